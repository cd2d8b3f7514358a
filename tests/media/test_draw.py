"""Marked images: same size, a new image, frames and labels that can be seen everywhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.errors import ImageError
from facial_expressions.labels import FER2013, FERPLUS
from facial_expressions.media import draw
from facial_expressions.media.draw import draw_faces
from facial_expressions.quality import Quality
from facial_expressions.results import Box, Face, Prediction, TrackedFace
from tests.crowds import CROWDS, SIZE


def make_face(box: Box, *, expression: str = "happy", confidence: float = 0.88) -> Face:
    rest = (1 - confidence) / (len(FER2013) - 1)
    values = tuple(confidence if name == expression else rest for name in FER2013)
    return Face(box, 0.9, (), Prediction(FER2013.names, values, uncertain_below=0.5))


def plain(width: int, height: int, value: int = 90) -> NDArray[np.uint8]:
    return np.full((height, width, 3), value, np.uint8)


def changed(before: NDArray[np.uint8], after: Image.Image) -> NDArray[np.bool_]:
    return np.asarray((np.asarray(after).astype(int) != before).any(axis=2))


def test_without_faces_the_image_is_the_same() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    assert np.array_equal(np.asarray(draw_faces(image, [])), image)


def test_the_given_image_is_not_drawn_into() -> None:
    image = plain(200, 200)
    draw_faces(image, [make_face(Box(50, 50, 120, 140))])
    assert (image == 90).all()


def test_the_frame_lies_on_the_box_and_leaves_the_face_alone() -> None:
    image = plain(400, 400)
    marked = draw_faces(image, [make_face(Box(100, 120, 220, 280))])
    touched = changed(image, marked)
    assert touched[200, 98:103].any()
    assert touched[200, 218:223].any()
    assert touched[118:123, 160].any()
    assert touched[278:283, 160].any()
    assert not touched[135:265, 115:205].any()


@pytest.mark.parametrize("ground", [0, 60, 128, 200, 255])
@pytest.mark.parametrize("expression", FER2013.names)
def test_the_frame_stands_out_from_every_ground(ground: int, expression: str) -> None:
    """Line and rim together: somewhere across the frame the grey differs by 60 or more."""
    image = plain(400, 400, ground)
    face = make_face(Box(100, 120, 220, 280), expression=expression)
    across = np.asarray(draw_faces(image, [face]).convert("L")).astype(int)[200, 90:110]
    assert np.abs(across - ground).max() >= 60


@pytest.mark.parametrize("size", [(100, 100), (640, 480), (4000, 3000)])
def test_the_label_is_large_enough_to_see(size: tuple[int, int]) -> None:
    """The ground of the label is at least a fortieth of the image's shorter side high."""
    width, height = size
    image = plain(width, height, 255)
    box = Box(width * 0.4, height * 0.4, width * 0.6, height * 0.7)
    dark = np.asarray(draw_faces(image, [make_face(box)]).convert("L")) < 110
    above = dark[: int(box.top) - 1 - int(height * 0.004)].any(axis=1)
    assert above.sum() >= height / 40


@settings(max_examples=60)
@given(
    width=st.integers(1, 300), height=st.integers(1, 300),
    boxes=st.lists(
        st.tuples(*[st.floats(0, 1)] * 2, *[st.floats(0.01, 1.5)] * 2), max_size=9
    ),
)  # fmt: skip
def test_any_faces_in_any_image_can_be_drawn(
    width: int, height: int, boxes: list[tuple[float, float, float, float]]
) -> None:
    faces = [
        make_face(Box(x * width, y * height, (x + w) * width, (y + h) * height))
        for x, y, w, h in boxes
    ]
    marked = draw_faces(plain(width, height), faces)
    assert marked.size == (width, height)
    assert marked.mode == "RGB"


def test_probabilities_are_drawn_where_there_is_room_and_not_for_a_crowd() -> None:
    """Beside one face a dark panel; of twelve the space beside stays as it was."""
    image = plain(900, 900, 255)
    one = draw_faces(image, [make_face(Box(100, 100, 220, 250))])
    assert changed(image, one)[110:230, 240:360].mean() > 0.9
    corners = [(40 + 300 * (i % 3), 60 + 210 * (i // 3)) for i in range(12)]
    crowd = [make_face(Box(x, y, x + 60, y + 75)) for x, y in corners]
    assert not changed(image, draw_faces(image, crowd))[50:220, 410:630].any()


@pytest.mark.parametrize("crowd", CROWDS.values(), ids=CROWDS.keys())
@pytest.mark.parametrize("tracked", [False, True], ids=["image", "video"])
def test_labels_cover_at_most_a_fifth_of_any_face_in_a_crowd(
    crowd: list[Box], monkeypatch: pytest.MonkeyPatch, *, tracked: bool
) -> None:
    """Measured in pixels inside each frame's line that another colour than the image's got."""
    image = np.random.default_rng(1).integers(30, 220, (*SIZE[::-1], 3), dtype=np.uint8)
    faces: list[Face] = [make_face(box) for box in crowd]
    if tracked:
        faces = [
            TrackedFace(one.box, 0.9, (), one.prediction, track_id=7 * i)
            for i, one in enumerate(faces)
        ]
    touched = changed(image, draw_faces(image, faces))
    monkeypatch.setattr(draw, "_labels", lambda *_: ([], None))
    lines = changed(image, draw_faces(image, faces))
    assert (touched & ~lines).sum() > 2000
    for face in faces:
        left, top, right, bottom = map(int, face.box.xyxy)
        inner = np.s_[max(top, 0) : bottom, max(left, 0) : right]
        assert (touched & ~lines)[inner].mean() <= 0.2


def test_a_crowd_has_numbers_and_a_legend_of_them() -> None:
    """Three rows of nine: no label has room for a word, and the legend lies above the faces."""
    image = plain(*SIZE)
    crowd = [make_face(box) for box in CROWDS["three rows, nearly touching"]]
    marked = changed(image, draw_faces(image, crowd))
    assert marked[:230].sum() > 10_000
    other = [make_face(crowd[0].box, expression="sad"), *crowd[1:]]
    differs = np.asarray(draw_faces(image, crowd)) != np.asarray(draw_faces(image, other))
    assert differs[:230].any()


def test_a_label_says_the_reasons_where_there_is_room() -> None:
    """The image has room for one reason beside the confidence, not for five."""
    image = plain(300, 1000)
    face = make_face(Box(100, 450, 200, 610))
    answer = face.prediction
    unsure = replace(face, prediction=replace(answer, uncertain_below=0.99))
    blurred = replace(face, quality=Quality(100, 0.3, 200))
    everything = replace(face, quality=Quality(9, 0.3, 9, yaw=2, roll_degrees=90))
    short = np.asarray(draw_faces(image, [unsure]))  # happy? and its confidence
    assert changed(short, draw_faces(image, [blurred])).any()
    assert not changed(short, draw_faces(image, [everything])).any()


def test_eight_expressions_and_unknown_ones_can_be_drawn() -> None:
    for names in (FERPLUS.names, ("smirk", "frown")):
        values = (1.0, *[0.0] * (len(names) - 1))
        face = Face(Box(20, 30, 80, 100), 0.9, (), Prediction(names, values))
        assert changed(plain(400, 300), draw_faces(plain(400, 300), [face])).any()


def test_metadata_is_not_carried_over(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (60, 60)).save(path, exif=exif, comment=b"a comment")
    marked = draw_faces(path, [])
    assert marked.info == {}
    assert dict(marked.getexif()) == {}


def test_an_image_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ImageError):
        draw_faces(tmp_path / "gone.jpg", [])
