"""Boxes, numbers and cards on the page: no face is hidden, crowds are folded."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from facial_expressions.colors import EXPRESSION_COLORS, HEAT_COLORS
from facial_expressions.labels import FER2013
from facial_expressions.results import Box
from tests.crowds import CROWDS, SIZE, overlap
from tests.server.browser import (
    NEEDS_BROWSER,
    add,
    click,
    count,
    downloaded,
    keep_shot,
    resized,
    text,
    until,
)  # fmt: skip

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

pytestmark = NEEDS_BROWSER

MOOD = ["happy"] * 7 + ["sad", "neutral", "surprise"]


def answer_with(page: WebDriver, boxes: Sequence[Box]) -> None:
    """Let the server answer with these faces; each tenth is uncertain."""
    faces = [
        {
            "box": box.xyxy, "detection_score": 0.9, "expression": MOOD[i % 10],
            "confidence": 0.8, "uncertain": i % 10 == 9, "uncertain_below": 0.5,
            "probabilities": dict.fromkeys(FER2013, 1 / 7), "reasons": [],
        }
        for i, box in enumerate(boxes)
    ]  # fmt: skip
    row = {"schema": 1, "status": "ok", "width": SIZE[0], "height": SIZE[1], "faces": faces}
    page.execute_script(f"window.fetch = async () => new Response({json.dumps(json.dumps(row))});")


@pytest.fixture
def wide_photo(tmp_path: Path) -> Path:
    """A grey image in which the left half is darker."""
    pixels = np.full((SIZE[1], SIZE[0], 3), 200, np.uint8)
    pixels[:, : SIZE[0] // 2] = 60
    Image.fromarray(pixels).save(tmp_path / "crowd.png")
    return tmp_path / "crowd.png"


def places(page: WebDriver, selector: str) -> list[tuple[int, int, int, int]]:
    found: list[list[float]] = page.execute_script(
        "return [...document.querySelectorAll(arguments[0])].filter((one) => one.offsetParent)"
        ".map((one) => one.getBoundingClientRect()).map((r) => [r.left, r.top, r.right, r.bottom])",
        selector,
    )
    return [(round(a), round(b), round(c), round(d)) for a, b, c, d in found]


@pytest.mark.parametrize("crowd", CROWDS, ids=str)
@pytest.mark.parametrize("width", [1280, 390])
def test_tags_cover_at_most_a_fifth_of_any_face(
    page: WebDriver, wide_photo: Path, crowd: str, width: int
) -> None:
    """Counted in the browser. At least two thirds of the faces have their number."""
    boxes = CROWDS[crowd]
    with resized(page, width):
        answer_with(page, boxes)
        add(page, wide_photo)
        until(lambda: count(page, ".box") == len(boxes) and places(page, "#photo")[0][3] > 400)
        tags, frames = places(page, ".tag:not([hidden])"), places(page, ".box")
        (image,) = places(page, "#photo")
        keep_shot(page, f"crowd-{width}-{len(boxes)}")
    assert len(tags) >= len(boxes) * 2 / 3
    for frame in frames:
        covered = sum(overlap(frame, tag) for tag in tags)
        assert covered <= 0.2 * (frame[2] - frame[0]) * (frame[3] - frame[1])
    for i, tag in enumerate(tags):
        assert overlap(tag, (image[0] - 1, image[1] - 1, image[2] + 1, image[3] + 1)) == (
            (tag[2] - tag[0]) * (tag[3] - tag[1])
        )
        assert not any(overlap(tag, other) for other in tags[:i])


def test_a_crowd_folds_into_a_summary_with_the_list_below(
    page: WebDriver, wide_photo: Path
) -> None:
    boxes = CROWDS["three rows, nearly touching"]
    answer_with(page, boxes)
    add(page, wide_photo)
    until(lambda: count(page, ".card") == 27)
    counts = Counter(MOOD[i % 10] for i in range(27) if i % 10 != 9)
    assert text(page, "status") == (
        f"27 faces: {counts['happy']} happy, {counts['sad']} sad, {counts['neutral']} neutral, "
        "2 uncertain"
    )
    assert count(page, ".card details[open]") == 0
    shares = page.execute_script(
        "return [...document.querySelectorAll('#tally li')].map((one) => one.title)"
    )
    assert shares == [f"{counts['happy']} happy", "2 sad", "2 neutral", "2 uncertain"]
    page.find_elements("css selector", ".card summary")[4].click()
    assert count(page, ".card details[open]") == 1
    assert len([bar for bar in page.find_elements("css selector", ".bar .word") if bar.text]) == 7


@pytest.mark.parametrize(("touched", "answering"), [(".box", ".card"), (".card", ".box")])
def test_a_box_and_its_card_point_at_one_another(
    page: WebDriver, wide_photo: Path, touched: str, answering: str
) -> None:
    """By the mouse and by the keyboard."""
    from selenium.webdriver import ActionChains

    boxes = [Box(100, 100, 200, 220), Box(300, 100, 400, 220), Box(500, 100, 600, 220)]
    answer_with(page, boxes)
    add(page, wide_photo)
    until(lambda: count(page, ".box") == 3)
    one = page.find_elements("css selector", touched)[1]
    marked = (
        "return [...document.querySelectorAll(arguments[0])].map((one) =>"
        " one.classList.contains('current'))"
    )
    with resized(page, 1280):
        until(lambda: places(page, "#photo")[0][3] > 400)  # or the box moves from under the mouse
        ActionChains(page).move_to_element(one).perform()
        assert page.execute_script(marked, answering) == [False, True, False]
        ActionChains(page).move_to_element(page.find_element("css selector", "h1")).perform()
        assert page.execute_script(marked, answering) == [False] * 3
        page.execute_script("(arguments[0].querySelector('summary') ?? arguments[0]).focus()", one)
        assert page.execute_script(marked, answering) == [False, True, False]


def test_a_card_shows_its_face(page: WebDriver, wide_photo: Path) -> None:
    """One face in the dark half of the image, one in the light."""
    answer_with(page, [Box(100, 100, 160, 175), Box(400, 100, 460, 175)])
    add(page, wide_photo)
    until(lambda: count(page, ".card") == 2)
    middles = (
        "return [...document.querySelectorAll('.thumbnail')].map((one) =>"
        " one.getContext('2d').getImageData(48, 48, 1, 1).data[0])"
    )
    until(lambda: page.execute_script(middles) == [60, 200])


def test_the_marked_image_is_saved_with_its_frames_and_a_legend(
    page: WebDriver, wide_photo: Path, downloads: Path
) -> None:
    boxes = CROWDS["three rows, nearly touching"]
    answer_with(page, boxes)
    add(page, wide_photo)
    until(lambda: page.find_element("id", "marked").is_displayed())
    click(page, "marked")
    saved = Image.open(io.BytesIO(downloaded(downloads, "crowd-marked.png"))).convert("RGB")
    assert saved.width == SIZE[0]
    assert saved.height > SIZE[1]  # 27 numbers need a legend
    left, middle = int(boxes[0].left), int((boxes[0].top + boxes[0].bottom) / 2)
    assert saved.getpixel((left, middle)) == EXPRESSION_COLORS["happy"]
    assert saved.getpixel((600, 60)) == (200, 200, 200)
    pixels = np.asarray(saved)[SIZE[1] :]
    assert (pixels == 255).all(axis=2).any()


def test_faces_of_an_image_that_the_browser_cannot_show_are_listed(
    page: WebDriver, tmp_path: Path
) -> None:
    (tmp_path / "scan.tif").write_bytes(b"II*\0 a format that this browser does not know")
    answer_with(page, [Box(100, 100, 160, 175)])
    add(page, tmp_path / "scan.tif")
    until(lambda: "cannot show this image" in text(page, "caption"))
    assert text(page, "status") == "1 face: happy 80%"
    assert count(page, ".card") == 1
    assert not page.find_element("id", "marked").is_displayed()
    assert page.find_element("id", "json").is_displayed()


def test_the_colors_are_those_of_marked_files(page: WebDriver) -> None:
    names = [*FER2013, "contempt", *(f"heat-{i}" for i in range(len(HEAT_COLORS)))]
    found = page.execute_script(
        "const style = getComputedStyle(document.documentElement);"
        "return arguments[0].map((name) => style.getPropertyValue(`--${name}`))",
        names,
    )
    colors = [*map(EXPRESSION_COLORS.__getitem__, [*FER2013, "contempt"]), *HEAT_COLORS]
    assert found == [f"rgb{color}" for color in colors]


@pytest.mark.parametrize(("name", "faces"), [("One face", 1), ("A video call", 15)])
def test_an_example_can_be_clicked(page: WebDriver, name: str, faces: int) -> None:
    until(lambda: count(page, "#examples button") == 3)
    page.find_element("xpath", f"//button[contains(., '{name}')]").click()
    until(lambda: count(page, ".box") == faces)
    assert text(page, "caption") == f"{name}.jpg"


def test_a_face_that_is_hard_to_see_is_an_example(page: WebDriver) -> None:
    until(lambda: count(page, "#examples button") == 3)
    page.find_element("xpath", "//button[contains(., 'Hard to see')]").click()
    until(lambda: count(page, ".box") == 1)
    assert count(page, ".doubt:not([hidden])") == 1
