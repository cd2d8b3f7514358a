"""Byte-identical images."""

from __future__ import annotations

import numpy as np

from facial_expressions.data.dataset import duplicate_groups, image_digests, leaked_rows

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 48, 48)).astype(np.uint8)


def test_groups_hold_the_rows_of_equal_images() -> None:
    images = IMAGES[[3, 1, 3, 2, 1, 3]]
    assert [group.tolist() for group in duplicate_groups(images)] == [[0, 2, 5], [1, 4]]


def test_one_pixel_makes_another_image() -> None:
    images = IMAGES[[0, 0]].copy()
    images[1, 47, 47] ^= 1
    assert duplicate_groups(images) == []


def test_no_images_have_no_groups() -> None:
    assert duplicate_groups(IMAGES[:0]) == []
    assert leaked_rows(IMAGES, IMAGES[:0]).tolist() == []


def test_leaked_rows_are_those_seen_in_training() -> None:
    assert leaked_rows(IMAGES[:2], IMAGES[[5, 1, 0, 4]]).tolist() == [False, True, True, False]


def test_digest_does_not_depend_on_memory_order() -> None:
    turned = np.asfortranarray(IMAGES)
    assert np.array_equal(image_digests(turned), image_digests(IMAGES))
