"""The contact sheet of many images: counts, marks, the surest faces, nothing from elsewhere."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from facial_expressions.pages.contact_sheet import ContactSheet
from facial_expressions.results import Box, Face, ImageResult, Prediction
from tests.pages.page_checker import look_at

LABELS = ("happy", "sad")
PHOTO = np.full((300, 400, 3), 90, np.uint8)


def face(happy: float, left: float = 100.0) -> Face:
    """A face 40 pixels wide; under 0.6 its answer is uncertain."""
    answer = Prediction(LABELS, (happy, 1 - happy), 0.6)
    return Face(Box(left, 30, left + 40, 90), 0.9, (), answer)


def page_of(*results: ImageResult) -> tuple[str, list[str]]:
    sheet = ContactSheet("A <folder>", LABELS)
    for result in results:
        sheet.add(result.source, result, PHOTO if result.status == "ok" else None)
    page = sheet.to_html()
    checker = look_at(page)
    assert "folder" not in checker.tags
    return page, checker.texts


def ok(name: str, *faces: Face) -> ImageResult:
    return ImageResult(name, "ok", 400, 300, faces)


def test_counts_and_shares_of_all_images() -> None:
    _, texts = page_of(
        ok("a.jpg", face(0.9), face(0.8)), ok("b.jpg", face(0.1), face(0.7)), ok("c")
    )
    assert "3 images, 4 faces" in texts
    rows = texts[texts.index("Share") + 1 :][:6]
    assert rows == ["happy", "3", "75%", "sad", "1", "25%"]
    assert texts[texts.index("Without a face") + 1] == "1"


def test_marks_lie_where_the_faces_are() -> None:
    """Of 400 x 300 pixels: left 100, top 30, 40 wide and 60 high."""
    page, _ = page_of(ok("a.jpg", face(0.9)))
    assert "left:25.00%;top:10.00%;width:10.00%;height:20.00%" in page


def test_the_surest_of_each_expression_are_shown_in_order_and_no_uncertain_ones() -> None:
    shares = [0.61, 0.95, 0.7, 0.8, 0.99, 0.65, 0.9, 0.55, 0.45]
    _, texts = page_of(*(ok(f"{number}.jpg", face(share)) for number, share in enumerate(shares)))
    card = texts[texts.index("Most confident of each expression") : texts.index("Images", 8)]
    percents = [text for text in card if re.fullmatch(r"\d+%", text)]
    assert percents == ["99%", "95%", "90%", "80%", "70%", "65%"]
    assert "sad" not in card


def test_a_crowd_is_counted_and_what_is_not_read_says_why() -> None:
    crowd = [face(0.9, left=40 * number) for number in range(5)] + [face(0.1, 200), face(0.2, 300)]
    rejected = ImageResult("bad.jpg", "rejected", error="bad.jpg: file not found")
    _, texts = page_of(ok("crowd.jpg", *crowd), rejected)
    assert "7 faces: 5 happy, 2 sad" in texts
    assert "bad.jpg: file not found" in texts
    assert "1 not read" in texts


@pytest.mark.parametrize("left", [0.0, 370.0])
def test_copies_are_small_and_a_crop_may_reach_over_the_border(left: float) -> None:
    page, _ = page_of(ok("a.jpg", face(0.9, left)))
    sizes = []
    for content in re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page):
        with Image.open(io.BytesIO(base64.b64decode(content))) as image:
            sizes.append(image.size)
    assert sizes == [(112, 112), (360, 270)]


def test_nothing_found_has_a_page() -> None:
    _, texts = page_of()
    assert "0 images, 0 faces" in texts


def test_a_face_at_the_edge_is_shown_without_a_border() -> None:
    """The square is moved into the image: PHOTO has one shade of grey everywhere."""
    page, _ = page_of(ok("a.jpg", face(0.9, left=-10)), ok("b.jpg", face(0.95, left=370)))
    shown = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(uri))).convert("L"))
        for uri in re.findall(r'"crop"><img src="data:image/jpeg;base64,([^"]+)', page)
    ]
    assert len(shown) == 2
    assert all(np.ptp(np.append(crop, 90)) <= 2 for crop in shown)
