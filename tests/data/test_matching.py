"""Matching JPEG images to the lossless rows they were made from."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.data.dataset import Split
from facial_expressions.data.matching import match_images, match_rows
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


def test_each_jpeg_finds_its_row() -> None:
    assert np.array_equal(match_images(through_jpeg(IMAGES[ORDER]), IMAGES), ORDER)


def test_copies_are_given_away_once_each() -> None:
    rows = np.concatenate([IMAGES[:1]] * 11 + [IMAGES[1:3]])
    images = through_jpeg(rows)
    match = match_images(images, rows)
    assert sorted(match.tolist()) == list(range(13))
    assert match[11:].tolist() == [11, 12]


def test_an_image_that_is_no_row_is_not_matched() -> None:
    assert match_images(IMAGES[:2], IMAGES[1:3]).tolist() == [-1, 0]


def test_equal_images_are_told_apart_by_label_and_usage() -> None:
    same = IMAGES[[0, 0, 0]]
    rows = split_of(same, [3, 1, 1], ["Training", "Training", "PublicTest"])
    images = split_of(through_jpeg(same), [1, 3, 1], ["PublicTest", "Training", "Training"])
    assert match_rows(images, rows).tolist() == [2, 0, 1]


def test_another_label_is_no_hindrance_when_the_pixels_are_unique() -> None:
    rows = split_of(IMAGES[:3], [0, 1, 2], ["Training"] * 3)
    images = split_of(through_jpeg(IMAGES[:3]), [0, 5, 2], ["Training"] * 3)
    assert match_rows(images, rows).tolist() == [0, 1, 2]


def test_foreign_image_is_named() -> None:
    rows = split_of(IMAGES[:2], [0, 1], ["Training"] * 2)
    images = split_of(IMAGES[[0, 2]], [0, 1], ["Training"] * 2)
    with pytest.raises(
        DatasetError, match=r"^image 1: not in the competition file, like 0 more of 2"
    ):
        match_rows(images, rows)
