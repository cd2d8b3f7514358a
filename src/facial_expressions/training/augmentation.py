"""Random changes to training images, whole batches at a time, the same on every backend.

What happens to an image depends only on the seed, the epoch and the image's row number, never on
the batch: a run can stop and resume. All of a batch is sampled by one bilinear gather in NumPy; the
image's edge is repeated outside it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.training.degradation import N_DEGRADATION_DRAWS, degrade
from facial_expressions.training.recipe import AugmentationRecipe

_N_FIRST: Final = 12
"""Columns drawn together, image by image; a later change takes a column after them."""

N_DRAWS: Final = _N_FIRST + N_DEGRADATION_DRAWS
"""Uniform numbers drawn for each image."""

_LONGEST_ERASED: Final = 0.35
"""Longest side of an erased rectangle, as a fraction of the image's side."""

_AT_ONCE: Final = 32
"""Images changed together: their arrays come from memory at hand. Those of a whole batch are
given back to the system and requested again at every step: two thirds of the time."""


def draw_epoch(n: int, *, seed: int, epoch: int) -> NDArray[np.float32]:
    """Draw the random numbers that decide what happens to each of n images in an epoch, from 0.

    Returns:
        Uniform numbers in 0..1, ``float32 (n, N_DRAWS)``; row i belongs to image i.
    """
    draws = np.empty((n, N_DRAWS), np.float32)
    first, later = (np.random.default_rng([seed, epoch, stream]) for stream in (1, 5))
    draws[:, :_N_FIRST] = first.random((n, _N_FIRST), dtype=np.float32)
    # Column by column, so that a new one leaves those before it as they are.
    draws[:, _N_FIRST:] = later.random((N_DRAWS - _N_FIRST, n), dtype=np.float32).T
    return draws


def augment(
    crops: NDArray[np.uint8],
    draws: NDArray[np.float32],
    recipe: AugmentationRecipe,
    *,
    size: int | None = None,
) -> NDArray[np.float32]:
    """Change each image by its own random numbers.

    Args:
        crops: Grey images, ``uint8 (N, S, S)``.
        draws: Rows of ``draw_epoch`` that belong to them, ``float32 (N, N_DRAWS)``.
        recipe: Ranges.
        size: Side of the result in pixels, sampled in the same step; None keeps the crops' own.

    Returns:
        Grey values 0 to 255, ``float32 (N, size, size)``.
    """
    starts = range(0, max(len(crops), 1), _AT_ONCE)
    parts = [(crops[at : at + _AT_ONCE], draws[at : at + _AT_ONCE]) for at in starts]
    side = size or crops.shape[1]
    return np.concatenate([_augment_some(*part, recipe, side) for part in parts])


def _augment_some(
    crops: NDArray[np.uint8], draws: NDArray[np.float32], recipe: AugmentationRecipe, side: int
) -> NDArray[np.float32]:
    signed = 2 * draws - 1
    flip = np.where(draws[:, 0] < recipe.flip, -1.0, 1.0)
    angle = np.deg2rad(signed[:, 1] * recipe.rotation_degrees)
    scale = np.float32(1) / (1 + signed[:, 2] * np.float32(recipe.scale_fraction))
    shift = signed[:, 3:5] * recipe.shift_fraction * crops.shape[1]
    images = _warp(crops, side, flip=flip, angle=angle, scale=scale, shift=shift)
    mean = images.mean(axis=(1, 2), keepdims=True)
    contrast = 1 + signed[:, 5, None, None] * np.float32(recipe.contrast)
    brightness = 255 * signed[:, 6, None, None] * np.float32(recipe.brightness)
    images = (images - mean) * contrast + (mean + brightness)
    np.clip(images, 0, 255, out=images)
    images = degrade(images, draws[:, _N_FIRST:], recipe)
    return _erase(images, draws[:, 7:12], recipe)


def _warp(
    crops: NDArray[np.uint8],
    side: int,
    *,
    flip: NDArray[np.float64],
    angle: NDArray[np.float32],
    scale: NDArray[np.float32],
    shift: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Sample each image on a mirrored, turned, scaled and shifted grid; (N, side, side)."""
    n, size = crops.shape[:2]
    middle = (size - 1) / 2
    step = np.float32(size / side)
    grid = (np.arange(side, dtype=np.float32) - np.float32((side - 1) / 2)) * step
    cos = (np.cos(angle) * scale).astype(np.float32)[:, None, None]
    sin = (np.sin(angle) * scale).astype(np.float32)[:, None, None]
    mirror = flip.astype(np.float32)[:, None, None]
    x, y = grid[None, None, :] * mirror, grid[None, :, None]
    top = np.float32(size - 1)
    source_x = np.clip(cos * x - sin * y + (middle + shift[:, 0, None, None]), 0, top)
    source_y = np.clip(sin * x + cos * y + (middle + shift[:, 1, None, None]), 0, top)
    x0 = np.minimum(source_x.astype(np.int32), size - 2)
    y0 = np.minimum(source_y.astype(np.int32), size - 2)
    wx = source_x - x0.astype(np.float32)
    wy = source_y - y0.astype(np.float32)
    flat = crops.reshape(-1)
    index = np.arange(n, dtype=np.int32)[:, None, None] * (size * size) + y0 * size + x0
    pixels = [flat.take(index + offset).astype(np.float32) for offset in (0, 1, size, size + 1)]
    upper = pixels[0] + (pixels[1] - pixels[0]) * wx
    lower = pixels[2] + (pixels[3] - pixels[2]) * wx
    return np.asarray(upper + (lower - upper) * wy, dtype=np.float32)


def _erase(
    images: NDArray[np.float32], draws: NDArray[np.float32], recipe: AugmentationRecipe
) -> NDArray[np.float32]:
    """Overwrite a rectangle of some images with one grey value, in place."""
    size = images.shape[1]
    for row in np.flatnonzero(draws[:, 0] < recipe.erase):
        longest = _LONGEST_ERASED * size
        height, width = (max(1, round(float(v) * longest)) for v in (0.4 + 0.6 * draws[row, 1:3]))
        top = int(draws[row, 3] * (size - height + 1))
        left = int(draws[row, 4] * (size - width + 1))
        grey = 255 * float(draws[row, 1] * 7919 % 1)
        images[row, top : top + height, left : left + width] = grey
    return images
