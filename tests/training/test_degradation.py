"""What bad cameras do: each change by hand, off by default, independent of the batch."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from facial_expressions.training.augmentation import (
    N_DEGRADATION_DRAWS,
    augment,
    degrade,
    draw_epoch,
)
from facial_expressions.training.recipe import AugmentationRecipe

ALL = AugmentationRecipe(low_light=0.5, blur=0.5, low_resolution=0.5, noise=0.5)


def _draws(n: int = 1, **columns: float) -> NDArray[np.float32]:
    draws = np.full((n, N_DEGRADATION_DRAWS), 0.5, np.float32)
    for name, value in columns.items():
        draws[:, int(name[1:])] = value
    return draws


def _crops(n: int = 6, side: int = 48) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (n, side, side)).astype(np.uint8)


def _gaussian(sigma: float, n: int) -> NDArray[np.float64]:
    return np.exp(-((np.arange(n) - n // 2) ** 2) / (2 * sigma**2))


def test_by_default_nothing_happens() -> None:
    images = _crops().astype(np.float32)
    changed = degrade(
        images.copy(), np.zeros((6, N_DEGRADATION_DRAWS), np.float32), AugmentationRecipe()
    )
    np.testing.assert_array_equal(changed, images)


def test_blur_spreads_a_point_as_a_gaussian_does() -> None:
    image = np.zeros((1, 49, 49), np.float32)
    image[0, 24, 24] = 255
    blurred = degrade(image, _draws(c4=0.8), AugmentationRecipe(blur=1.0))[0]
    line = _gaussian(0.8 * 1.5 * 49 / 48, 49)
    np.testing.assert_allclose(blurred, 255 * np.outer(line, line) / line.sum() ** 2, atol=1e-3)


def test_blur_leaves_an_even_image_alone_up_to_its_edge() -> None:
    image = np.full((1, 48, 48), 80, np.float32)
    blurred = degrade(image, _draws(c4=1.0), AugmentationRecipe(blur=1.0))
    np.testing.assert_allclose(blurred, 80, rtol=1e-5)


def test_half_resolution_averages_blocks_and_interpolates_between_their_middles() -> None:
    image = np.zeros((1, 8, 8), np.float32)
    image[0] = [0, 20, 40, 60, 80, 100, 120, 140]  # blocks of two: 10, 50, 90, 130
    coarse = degrade(image, _draws(c6=0.5), AugmentationRecipe(low_resolution=1.0))[0]
    expected = [10, 20, 40, 60, 80, 100, 120, 130]  # a quarter of the way to the next, and so on
    np.testing.assert_allclose(coarse, np.tile(expected, (8, 1)), atol=1e-3)


def test_a_reduction_that_divides_no_side_keeps_the_mean_of_an_even_ramp() -> None:
    ramp = np.tile(np.arange(48, dtype=np.float32) * 4, (1, 48, 1))
    recipe = AugmentationRecipe(low_resolution=1.0)
    coarse = degrade(ramp.copy(), _draws(c6=0.9), recipe)  # a factor of 2.8: 17 pixels
    np.testing.assert_allclose(coarse[0, :, 10:-10], ramp[0, :, 10:-10], atol=0.1)
    assert coarse.mean() == pytest.approx(ramp.mean(), abs=0.01)


def test_low_light_raises_to_a_power_and_takes_light_away() -> None:
    image = np.full((1, 4, 4), 127.5, np.float32)
    recipe = AugmentationRecipe(low_light=1.0)
    dark = degrade(image, _draws(c1=1.0, c2=0.4), recipe)  # power 2, a fifth lost
    np.testing.assert_allclose(dark, 0.5**2 * 0.8 * 255, rtol=1e-5)


def test_noise_is_gaussian_of_the_strength_drawn() -> None:
    images = np.full((40, 48, 48), 128, np.float32)
    draws = draw_epoch(40, seed=1, epoch=0)[:, -N_DEGRADATION_DRAWS:]
    draws[:, 8] = 0.5
    noise = degrade(images, draws, AugmentationRecipe(noise=1.0)).astype(np.float64) - 128
    assert noise.mean() == pytest.approx(0, abs=0.15)
    assert noise.std() == pytest.approx(0.5 * 0.08 * 255, rel=0.01)
    assert np.mean(np.abs(noise) > noise.std()) == pytest.approx(0.3173, abs=0.005)
    correlation = np.corrcoef(noise.reshape(40, -1)) - np.eye(40)
    assert np.abs(correlation).max() < 0.1, "each image has noise of its own"


def test_each_change_hits_as_often_as_its_probability_says() -> None:
    images = np.full((2000, 4, 4), 100, np.float32)
    draws = draw_epoch(2000, seed=2, epoch=0)[:, -N_DEGRADATION_DRAWS:]
    changed = degrade(images, draws, AugmentationRecipe(low_light=0.3))
    hit = np.abs(changed - 100).max(axis=(1, 2)) > 1e-3
    assert hit.mean() == pytest.approx(0.3, abs=0.04)


def test_what_happens_to_an_image_does_not_depend_on_its_batch() -> None:
    crops, draws = _crops(), draw_epoch(6, seed=4, epoch=7)
    together = augment(crops, draws, ALL)
    for row in range(6):
        alone = augment(crops[row : row + 1], draws[row : row + 1], ALL)
        np.testing.assert_allclose(together[row], alone[0], atol=1e-3)


def test_values_stay_within_grey_levels() -> None:
    recipe = AugmentationRecipe(low_light=1.0, blur=1.0, low_resolution=1.0, noise=1.0)
    changed = augment(_crops(), draw_epoch(6, seed=2, epoch=0), recipe)
    assert changed.dtype == np.float32
    assert changed.min() >= 0
    assert changed.max() <= 255


def test_images_without_a_change_stay_to_the_bit() -> None:
    crops, draws = _crops(), draw_epoch(6, seed=4, epoch=1)
    plain = augment(crops, draws, AugmentationRecipe())
    draws[:3, 12:] = 1.0  # above every probability
    changed = augment(crops, draws, AugmentationRecipe(blur=0.99, noise=0.99))
    np.testing.assert_array_equal(changed[:3], plain[:3])
    assert not np.array_equal(changed[3:], plain[3:])
