"""Byte-identical pictures."""

from __future__ import annotations

import numpy as np

from facial_expressions.data.duplicates import duplicate_groups, leaked_rows, picture_digests

PICTURES = np.random.default_rng(0).integers(0, 256, (6, 48, 48)).astype(np.uint8)


def test_groups_hold_the_rows_of_equal_pictures() -> None:
    images = PICTURES[[3, 1, 3, 2, 1, 3]]
    assert [group.tolist() for group in duplicate_groups(images)] == [[0, 2, 5], [1, 4]]


def test_one_pixel_makes_another_picture() -> None:
    images = PICTURES[[0, 0]].copy()
    images[1, 47, 47] ^= 1
    assert duplicate_groups(images) == []


def test_no_pictures_have_no_groups() -> None:
    assert duplicate_groups(PICTURES[:0]) == []
    assert leaked_rows(PICTURES, PICTURES[:0]).tolist() == []


def test_leaked_rows_are_those_seen_in_training() -> None:
    assert leaked_rows(PICTURES[:2], PICTURES[[5, 1, 0, 4]]).tolist() == [False, True, True, False]


def test_digest_does_not_depend_on_memory_order() -> None:
    turned = np.asfortranarray(PICTURES)
    assert np.array_equal(picture_digests(turned), picture_digests(PICTURES))
