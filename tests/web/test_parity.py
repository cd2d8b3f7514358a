"""The browser's answers are Python's: faces, labels, numbers, reasons, heat maps, cameras."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from facial_expressions.images import load_image
from facial_expressions.inference.recognizer import load_recognizer
from facial_expressions.server.answers import image_row, recognize_image
from facial_expressions.server.cameras import CameraSessions
from tests.server.browser import NEEDS_BROWSER
from tests.web.engine_page import call, packed, put_model
from tests.web.pictures import encoded, made_pictures
from tests.web.static_host import static_host

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

pytestmark = NEEDS_BROWSER

BY_8_BITS = 0.05
BY_FLOATS = 1e-5
"""How far probabilities may lie apart; both networks are rounded by the processor."""
BY_LOGITS = 1.5
"""The same of heat maps, whose values go up to 20."""
IN_A_ROW = 0.011
"""The last decimal of what is rounded to two: pixels and degrees."""

ASK = """
const { localRecognizer } = await load("local.js");
window.recognizer ??= localRecognizer({ base: "./" });
const photo = new Blob([bytesOf(given)]);
const { row, error } = await window.recognizer.recognize(photo, { explain: true });
return row ?? { error };
"""
FRAMES = """
const { open } = await load("worker.js");
let now = 0;
const engine = await open(document.baseURI, () => now);
const rows = [];
for (const { time, file } of given) {
  now = time;
  rows.push(await engine.recognize(new Blob([bytesOf(file)]), { session: "a camera" }));
}
return rows;
"""
BLOCKS = """
const { localRecognizer } = await load("local.js");
const recognizer = localRecognizer({ base: "./" });
const photo = new Blob([bytesOf(given)]);
await recognizer.recognize(photo);
let [longest, last] = [0, performance.now()];
const timer = setInterval(() => {
  longest = Math.max(longest, performance.now() - last);
  last = performance.now();
});
const began = performance.now();
await recognizer.recognize(photo);
clearInterval(timer);
return [longest, performance.now() - began];
"""


@contextmanager
def empty_page(browser: WebDriver, folder: Path) -> Iterator[WebDriver]:
    """Show an empty page in place of the one that ``make web`` builds, beside its other files."""
    with static_host(folder) as host:
        host.change["index.html"] = lambda _: b"<!doctype html><title>Empty</title>"
        browser.get(host.url)
        yield browser


@pytest.fixture
def page(browser: WebDriver, built: Path) -> Iterator[WebDriver]:
    with empty_page(browser, built) as shown:
        yield shown


def test_rows_are_those_of_python_for_every_format_and_orientation(
    page: WebDriver, astronaut: Path
) -> None:
    pictures = made_pictures(astronaut)
    recognizer = load_recognizer("compact-int8", threads=1)
    least = recognizer.classifier.head.calibration.uncertain_below
    n_close = 0
    for name, content in pictures.items():
        row = call(page, ASK, packed(content))
        wanted = recognize_image(recognizer, load_image(content), explain=True)
        assert len(wanted["faces"]) == 3
        for got, face in zip(row["faces"], wanted["faces"], strict=True):
            if got["uncertain"] != face["uncertain"]:  # only where rounding decides
                assert abs(face["confidence"] - least) < BY_8_BITS
                got |= {key: face[key] for key in ("uncertain", "reasons")}
                n_close += 1
        assert_same(row | {"source": wanted["source"]}, wanted, name)
    assert n_close <= 2  # of 81


def test_a_network_of_floats_gives_the_same_numbers(
    browser: WebDriver, built: Path, astronaut: Path, tmp_path: Path
) -> None:
    """One crop in ten thousand may differ: where last bits of the detector cross its grid."""
    folder = tmp_path / "floats"
    shutil.copytree(built, folder)
    put_model(folder, "compact")
    recognizer = load_recognizer("compact", threads=1)
    pictures = made_pictures(astronaut)
    with empty_page(browser, folder) as page:
        rows = {name: call(page, ASK, packed(content)) for name, content in pictures.items()}
    off = []
    for name, content in pictures.items():
        wanted = recognize_image(recognizer, load_image(content))
        for got, face in zip(rows[name]["faces"], wanted["faces"], strict=True):
            assert got["expression"] == face["expression"]
            values = face["probabilities"].items()
            off.append(max(abs(got["probabilities"][label] - value) for label, value in values))
    assert len(off) == 81
    assert sum(one > BY_FLOATS for one in off) <= 1


def test_frames_of_a_camera_are_searched_as_python_searches_them(
    page: WebDriver, astronaut: Path
) -> None:
    """A face moves, jumps, leaves and comes back; whole frames and regions take turns."""
    head = Image.open(astronaut).convert("RGB").crop((100, 10, 340, 250))
    frames = []
    for i, x in enumerate((20, 35, 50, 320, 330, None, None, 340, 60, 80)):
        frame = Image.new("RGB", (640, 480), (90, 110, 130))
        if x is not None:
            frame.paste(head, (x, 100 + 5 * i))
        frames.append((0.09 * i, encoded(frame, "JPEG", quality=85)))
    times = iter([time for time, _ in frames for _ in range(2)])
    cameras = CameraSessions(load_recognizer("compact-int8", threads=1), clock=times.__next__)
    rows = call(page, FRAMES, [{"time": time, "file": packed(file)} for time, file in frames])
    for i, ((_, file), row) in enumerate(zip(frames, rows, strict=True)):
        wanted = image_row(image := load_image(file), cameras.recognize("a camera", image))
        assert_same(row | {"source": wanted["source"]}, wanted, f"frame {i}")


def assert_same(got: object, wanted: object, where: str, tolerance: float = IN_A_ROW) -> None:
    """Compare two rows; only what the networks round may differ."""
    if isinstance(wanted, dict):
        assert isinstance(got, dict)
        assert got.keys() == wanted.keys(), where
        for name, value in wanted.items():
            inner = {"confidence": BY_8_BITS, "probabilities": BY_8_BITS, "heat": BY_LOGITS}
            assert_same(got[name], value, f"{where}.{name}", inner.get(name, tolerance))
    elif isinstance(wanted, list):
        assert isinstance(got, list)
        assert len(got) == len(wanted), where
        for i, (one, other) in enumerate(zip(got, wanted, strict=True)):
            assert_same(one, other, f"{where}[{i}]", tolerance)
    elif isinstance(wanted, float):
        assert got == pytest.approx(wanted, abs=tolerance), where
    else:
        assert got == wanted, where


def test_the_page_is_free_while_an_image_is_worked_on(page: WebDriver, astronaut: Path) -> None:
    """Were the work done on the page's thread, one detector pass would block it for most of it."""
    photo = Image.open(astronaut).convert("RGB").resize((1600, 1600))
    longest_ms, took_ms = call(page, BLOCKS, packed(encoded(photo, "JPEG")))
    assert longest_ms < took_ms / 3
