"""Augmentation: each change by hand, and independence of the batch."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from facial_expressions.training.augmentation import N_DRAWS, augment, draw_epoch
from facial_expressions.training.recipe import AugmentationRecipe
from tests.training.still import STILL


@pytest.fixture
def crops() -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (5, 48, 48)).astype(np.uint8)


def _draws(n: int, **columns: float) -> NDArray[np.float32]:
    """Draws in the middle of every range (no change), but for the columns named ``cN``."""
    draws = np.full((n, N_DRAWS), 0.5, np.float32)
    for name, value in columns.items():
        draws[:, int(name[1:])] = value
    return draws


def test_without_ranges_an_image_stays_as_it_is(crops: NDArray[np.uint8]) -> None:
    draws = draw_epoch(len(crops), seed=1, epoch=1)
    np.testing.assert_allclose(augment(crops, draws, STILL), crops, atol=1e-3)


def test_a_flip_mirrors_left_and_right(crops: NDArray[np.uint8]) -> None:
    changed = augment(crops, _draws(5, c0=0.4), dataclasses.replace(STILL, flip=0.5))
    np.testing.assert_allclose(changed, crops[:, :, ::-1], atol=1e-3)


def test_mirror_images_alone_are_exact_and_those_of_the_warp(crops: NDArray[np.uint8]) -> None:
    """A turn by 1e-30 degrees samples every pixel where it was."""
    draws = _draws(len(crops))
    draws[:, 0] = 0.1, 0.9, 0.4, 0.6, 0.5  # the first and the third are mirrored
    recipe = dataclasses.replace(STILL, flip=0.5)
    sampled = augment(crops, draws, dataclasses.replace(recipe, rotation_degrees=1e-30))
    np.testing.assert_array_equal(augment(crops, draws, recipe), sampled)


def test_a_shift_moves_by_whole_pixels_and_repeats_the_edge(crops: NDArray[np.uint8]) -> None:
    recipe = dataclasses.replace(STILL, shift_fraction=2 / 48)
    changed = augment(crops, _draws(5, c3=1.0, c4=0.0), recipe)  # +2 in x, -2 in y
    np.testing.assert_allclose(changed[:, 2:, :-2], crops[:, :-2, 2:], atol=1e-2)
    np.testing.assert_allclose(changed[:, 0, :-2], crops[:, 0, 2:], atol=1e-2)


def test_a_quarter_turn_equals_numpys(crops: NDArray[np.uint8]) -> None:
    changed = augment(crops, _draws(5, c1=1.0), dataclasses.replace(STILL, rotation_degrees=90.0))
    np.testing.assert_allclose(changed, np.rot90(crops, axes=(1, 2)), atol=0.05)


def test_scaling_up_by_two_shows_the_middle_at_twice_the_size() -> None:
    ramp = np.tile(np.arange(48, dtype=np.uint8) * 5, (1, 48, 1))
    changed = augment(ramp, _draws(1, c2=1.0), dataclasses.replace(STILL, scale_fraction=1.0))
    np.testing.assert_allclose(np.diff(changed[0, 0]), 2.5, atol=1e-3)  # half the slope of 5
    assert changed[0].mean() == pytest.approx(ramp.mean(), abs=1e-3)


def test_brightness_adds_and_contrast_spreads_about_the_mean() -> None:
    crop = np.full((1, 48, 48), 100, np.uint8)
    crop[0, :, 24:] = 140  # mean 120
    bright = augment(crop, _draws(1, c6=1.0), dataclasses.replace(STILL, brightness=0.2))
    np.testing.assert_allclose(np.unique(bright.round(2)), [151, 191])  # + 0.2 * 255
    strong = augment(crop, _draws(1, c5=1.0), dataclasses.replace(STILL, contrast=0.5))
    np.testing.assert_allclose(np.unique(strong.round(2)), [90, 150])  # 120 -+ 1.5 * 20


def test_erasing_overwrites_one_rectangle_of_the_longest_side_or_less(
    crops: NDArray[np.uint8],
) -> None:
    recipe = dataclasses.replace(STILL, erase=1.0)
    draws = draw_epoch(5, seed=3, epoch=0)
    changed = np.abs(augment(crops, draws, recipe) - crops) > 1e-3
    for mask in changed:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert 6 <= np.ptp(rows) + 1 <= 17  # 0.4 to 1 times 0.35 of 48
        assert 6 <= np.ptp(columns) + 1 <= 17


def test_values_stay_within_grey_levels(crops: NDArray[np.uint8]) -> None:
    recipe = AugmentationRecipe(brightness=1.0, contrast=1.0, erase=1.0)
    changed = augment(crops, draw_epoch(5, seed=2, epoch=0), recipe)
    assert changed.dtype == np.float32
    assert changed.min() >= 0
    assert changed.max() <= 255


def test_what_happens_to_an_image_does_not_depend_on_its_batch(crops: NDArray[np.uint8]) -> None:
    recipe, draws = AugmentationRecipe(erase=0.5), draw_epoch(5, seed=4, epoch=7)
    together = augment(crops, draws, recipe)
    for row in range(5):
        alone = augment(crops[row : row + 1], draws[row : row + 1], recipe)
        np.testing.assert_array_equal(together[row], alone[0])


def test_a_large_batch_is_changed_as_its_images_alone_are() -> None:
    images = np.random.default_rng(1).integers(0, 256, (70, 12, 12), np.uint8)
    recipe, draws = AugmentationRecipe(erase=0.5), draw_epoch(70, seed=4, epoch=7)
    together = augment(images, draws, recipe)
    assert together.shape == (70, 12, 12)
    for row in (0, 31, 32, 63, 64, 69):
        alone = augment(images[row : row + 1], draws[row : row + 1], recipe)
        np.testing.assert_array_equal(together[row], alone[0])


def test_a_smaller_result_is_sampled_in_the_same_step() -> None:
    ramp = np.tile(np.arange(48, dtype=np.uint8) * 5, (1, 48, 1))
    smaller = augment(ramp, _draws(1), STILL, size=24)
    assert smaller.shape == (1, 24, 24)
    # Pixel i of 24 covers pixels 2i and 2i + 1 of 48: its middle lies between the two.
    np.testing.assert_allclose(smaller[0, 0], (np.arange(24) * 2 + 0.5) * 5, atol=1e-3)


def test_the_first_twelve_columns_are_those_of_the_first_release() -> None:
    by_hand = np.random.default_rng([7, 2, 1]).random((10, 12), dtype=np.float32)
    draws = draw_epoch(10, seed=7, epoch=2)
    np.testing.assert_array_equal(draws[:, :12], by_hand)


def test_draws_repeat_for_a_seed_and_epoch_and_differ_between_them() -> None:
    first = draw_epoch(10, seed=1, epoch=2)
    np.testing.assert_array_equal(first, draw_epoch(10, seed=1, epoch=2))
    assert not np.array_equal(first, draw_epoch(10, seed=1, epoch=3))
    assert not np.array_equal(first, draw_epoch(10, seed=2, epoch=2))
