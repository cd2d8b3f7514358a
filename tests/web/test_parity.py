"""The browser's answers are Python's: faces, labels, numbers, reasons, heat maps, cameras."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterator
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
BY_LOGITS = 1.5
"""The same of heat maps, whose values go up to 20."""
IN_A_ROW = 0.011
"""The last decimal of what is rounded to two: pixels and degrees."""

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
CLASSIFIED = """
const [{ open }, { decode }] = [await load("worker.js"), await load("images.js")];
const engine = await open(document.baseURI);
const { limits } = await (await fetch("model.json")).json();
const answers = [];
for (const { file, found } of given) {
  answers.push(await engine.classify(await decode(new Blob([bytesOf(file)]), limits), found));
}
return answers;
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
    rows = call(page, ASK, {name: packed(content) for name, content in pictures.items()})
    for name, content in pictures.items():
        wanted = recognize_image(recognizer, load_image(content), explain=True)
        assert len(wanted["faces"]) == 3
        assert_same(rows[name] | {"source": wanted["source"]}, wanted, name)


def test_a_network_of_floats_gives_the_same_numbers_for_the_same_boxes(
    browser: WebDriver, built: Path, astronaut: Path, tmp_path: Path
) -> None:
    """From whole images they differ by up to 2e-3.

    The detector's floats differ in their last bits, and in a few crops that tips one grey value.
    """
    folder = tmp_path / "floats"
    shutil.copytree(built, folder)
    (folder / "classifier.bin").write_bytes(gzip.compress(resolve("compact")[0].read_bytes(), 1))
    known = json.loads((folder / "model.json").read_bytes())
    (folder / "model.json").write_text(json.dumps(known | facts("compact")), "utf-8")
    recognizer = load_recognizer("compact", threads=1)
    images = [load_image(content) for content in list(made_pictures(astronaut).values())[::3]]
    found = [recognizer.detect(image) for image in images]
    given = [
        {
            "file": packed(encoded(Image.fromarray(image), "PNG")),
            "found": [
                {"box": one.box.xyxy, "landmarks": one.landmarks, "score": one.score} for one in its
            ],
        }
        for image, its in zip(images, found, strict=True)
    ]
    with empty_page(browser, folder) as page:
        answers = call(page, CLASSIFIED, given)
    for image, its, faces in zip(images, found, answers, strict=True):
        for face, got in zip(recognizer.classify(image, its), faces, strict=True):
            assert got["expression"] == face.expression
            assert got["probabilities"] == pytest.approx(face.probabilities, abs=BY_FLOATS)


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
