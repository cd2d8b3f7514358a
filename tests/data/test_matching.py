"""Matching JPEG images to the lossless rows they were made from."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.data.dataset import Split
from facial_expressions.data.ferplus import _match_rows
from facial_expressions.errors import DatasetError
from tests.builders import jpeg, make_rows

ROWS = make_rows(train=6, public=2, private=2)
IMAGES = np.stack([row.image for row in ROWS])
ORDER = np.random.default_rng(1).permutation(len(ROWS))


def through_jpeg(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.stack([np.asarray(Image.open(io.BytesIO(jpeg(image)))) for image in images])


def split_of(images: NDArray[np.uint8], labels: list[int], usages: list[str]) -> Split:
    sources = tuple(f"image {k}" for k in range(len(images)))
    return Split("all", images, np.array(labels, np.int64), np.array(usages), sources)


def match_images(images: NDArray[np.uint8], rows: NDArray[np.uint8]) -> list[int]:
    """Match images of one label."""
    left, right = (split_of(one, [0] * len(one), ["Training"] * len(one)) for one in (images, rows))
    return list(_match_rows(left, right))


def test_each_jpeg_finds_its_row() -> None:
    assert match_images(through_jpeg(IMAGES[ORDER]), IMAGES) == ORDER.tolist()


def test_copies_are_given_away_once_each_in_order() -> None:
    rows = np.concatenate([IMAGES[:1]] * 11 + [IMAGES[1:3]])
    assert match_images(through_jpeg(rows), rows) == list(range(13))


def test_the_closest_of_two_images_gets_the_row() -> None:
    """Both images are nearer to the second row, which the second one is."""
    dark = IMAGES[0] // 2
    rows = np.stack([dark + np.uint8(3), dark])
    assert match_images(np.stack([dark + np.uint8(1), dark]), rows) == [0, 1]


def test_equal_images_are_told_apart_by_label_and_usage() -> None:
    same = IMAGES[[0, 0, 0]]
    rows = split_of(same, [3, 1, 1], ["Training", "Training", "PublicTest"])
    images = split_of(through_jpeg(same), [1, 3, 1], ["PublicTest", "Training", "Training"])
    assert _match_rows(images, rows).tolist() == [2, 0, 1]


def test_another_label_is_no_hindrance_when_the_pixels_are_unique() -> None:
    rows = split_of(IMAGES[:3], [0, 1, 2], ["Training"] * 3)
    images = split_of(through_jpeg(IMAGES[:3]), [0, 5, 2], ["Training"] * 3)
    assert _match_rows(images, rows).tolist() == [0, 1, 2]


def test_an_unknown_usage_is_no_hindrance_either() -> None:
    rows = split_of(IMAGES[:3], [0, 1, 2], ["Training", "PublicTest", "PrivateTest"])
    images = split_of(through_jpeg(IMAGES[[2, 0, 1]]), [2, 0, 1], ["", "Training", ""])
    assert _match_rows(images, rows).tolist() == [2, 0, 1]


def test_foreign_image_is_named() -> None:
    rows = split_of(IMAGES[:2], [0, 1], ["Training"] * 2)
    images = split_of(IMAGES[[0, 2]], [0, 1], ["Training"] * 2)
    with pytest.raises(
        DatasetError, match=r"^image 1: not in the competition file, like 0 more of 2"
    ):
        _match_rows(images, rows)
