"""The browser's answers are Python's: faces, labels, numbers, reasons, heat maps, cameras."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from facial_expressions.images import load_image
from facial_expressions.inference.model_store import resolve
from facial_expressions.inference.recognizer import load_recognizer
from facial_expressions.server.answers import recognize_frame, recognize_image
from facial_expressions.server.cameras import CameraSessions
from tests.server.browser import NEEDS_BROWSER
from tests.web.engine_page import call, packed
from tests.web.pictures import encoded, made_pictures
from tests.web.static_host import static_host
from web.export_facts import facts

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

pytestmark = NEEDS_BROWSER

BY_8_BITS = 0.05
BY_FLOATS = 1e-4
"""How far probabilities may lie apart; both networks are rounded by the processor."""

ASK = """
const { localRecognizer } = await load("local.js");
const recognizer = localRecognizer({ base: "./" });
const rows = {};
for (const [name, file] of Object.entries(given)) {
  const { row, error } = await recognizer.recognize(new Blob([bytesOf(file)]), { explain: true });
  rows[name] = row ?? { error };
}
return rows;
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
    """Show an empty page beside all that ``make web`` builds."""
    (folder / "empty.html").write_text("<!doctype html><title>Empty</title>", "utf-8")
    with static_host(folder) as host:
        browser.get(f"{host.url}empty.html")
        yield browser


@pytest.fixture
def page(browser: WebDriver, built: Path) -> Iterator[WebDriver]:
    with empty_page(browser, built) as shown:
        yield shown


def test_rows_are_those_of_python_for_every_format_and_orientation(
    page: WebDriver, astronaut: Path
) -> None:
    assert_same_answers(page, made_pictures(astronaut), "compact-int8", BY_8_BITS)


def test_a_network_of_floats_gives_the_same_numbers(
    browser: WebDriver, built: Path, astronaut: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "floats"
    shutil.copytree(built, folder)
    (folder / "classifier.bin").write_bytes(gzip.compress(resolve("compact")[0].read_bytes(), 1))
    files = json.loads((folder / "model.json").read_bytes())
    (folder / "model.json").write_text(json.dumps(files | facts("compact")), "utf-8")
    pictures = dict(list(made_pictures(astronaut).items())[:6])
    with empty_page(browser, folder) as page:
        assert_same_answers(page, pictures, "compact", BY_FLOATS)


def assert_same_answers(
    page: WebDriver, pictures: Mapping[str, bytes], model: str, tolerance: float
) -> None:
    recognizer = load_recognizer(model, threads=1)
    rows = call(page, ASK, {name: packed(content) for name, content in pictures.items()})
    for name, content in pictures.items():
        wanted = recognize_image(recognizer, load_image(content), explain=True)
        assert len(wanted["faces"]) == 3
        assert_same(rows[name] | {"source": wanted["source"]}, wanted, tolerance, name)


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
        wanted = recognize_frame(cameras, "a camera", load_image(file))
        assert_same(row | {"source": wanted["source"]}, wanted, BY_8_BITS, f"frame {i}")


def assert_same(got: object, wanted: object, tolerance: float, where: str) -> None:
    """Compare two rows; only what the networks round may differ."""
    if isinstance(wanted, dict):
        assert isinstance(got, dict)
        assert got.keys() == wanted.keys(), where
        for name, value in wanted.items():
            by = {"confidence": tolerance, "heat": 50 * tolerance}.get(name, 0.011)
            is_probable = where.endswith(".probabilities")
            assert_same(got[name], value, tolerance if is_probable else by, f"{where}.{name}")
    elif isinstance(wanted, list):
        assert isinstance(got, list)
        assert len(got) == len(wanted), where
        for i, (one, other) in enumerate(zip(got, wanted, strict=True)):
            assert_same(one, other, tolerance, f"{where}[{i}]")
    elif isinstance(wanted, float):
        assert got == pytest.approx(wanted, abs=tolerance), where
    else:
        assert got == wanted, where


def test_the_page_is_free_while_an_image_is_worked_on(page: WebDriver, astronaut: Path) -> None:
    """Were the work done on the page's thread, one detector pass would block it for most of it."""
    photo = Image.open(astronaut).convert("RGB").resize((1600, 1600))
    longest_ms, took_ms = call(page, BLOCKS, packed(encoded(photo, "JPEG")))
    assert longest_ms < took_ms / 3
