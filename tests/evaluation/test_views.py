"""Test-time views move and mirror pixels and repeat the border."""

from __future__ import annotations

import numpy as np
import pytest

from facial_expressions.evaluation.views import TEST_TIME_VIEWS, View, apply_view

CROP = np.array([[[1, 2, 3], [4, 5, 6], [7, 8, 9]]], np.uint8)


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (View(), [[1, 2, 3], [4, 5, 6], [7, 8, 9]]),
        (View(mirrored=True), [[3, 2, 1], [6, 5, 4], [9, 8, 7]]),
        (View(right_px=1), [[1, 1, 2], [4, 4, 5], [7, 7, 8]]),
        (View(right_px=-1), [[2, 3, 3], [5, 6, 6], [8, 9, 9]]),
        (View(down_px=1), [[1, 2, 3], [1, 2, 3], [4, 5, 6]]),
        (View(down_px=-1), [[4, 5, 6], [7, 8, 9], [7, 8, 9]]),
        (View(right_px=1, mirrored=True), [[3, 3, 2], [6, 6, 5], [9, 9, 8]]),
    ],
)
def test_view_by_hand(view: View, expected: list[list[int]]) -> None:
    assert apply_view(CROP, view)[0].tolist() == expected


def test_colour_crops_keep_their_channels() -> None:
    colour = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    view = View(down_px=1, right_px=-1, mirrored=True)
    moved = apply_view(colour, view)
    for channel in range(3):
        assert np.array_equal(moved[..., channel], apply_view(colour[..., channel], view))


def test_crops_themselves_stay_as_they_are() -> None:
    before = CROP.copy()
    for view in TEST_TIME_VIEWS:
        apply_view(CROP, view)
    assert np.array_equal(CROP, before)


def test_ten_different_views_of_which_one_is_plain() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (1, 8, 8)).astype(np.uint8)
    assert len({apply_view(crop, view).tobytes() for view in TEST_TIME_VIEWS}) == 10
    assert TEST_TIME_VIEWS[0] == View()


def test_average_over_the_views_does_not_change_when_the_crop_is_mirrored() -> None:
    crop = np.random.default_rng(1).integers(0, 256, (1, 8, 8)).astype(np.uint8)
    sets = [
        {apply_view(start, view).tobytes() for view in TEST_TIME_VIEWS}
        for start in (crop, crop[:, :, ::-1])
    ]
    assert sets[0] == sets[1]
