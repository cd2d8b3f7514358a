"""Random changes to training images, whole batches at a time, the same on every backend.

What happens to an image depends only on the seed, the epoch and the image's row number, never on
the batch: a run can stop and resume. All of a batch is sampled by one bilinear gather in NumPy; the
image's edge is repeated outside it. Then comes what bad cameras do: low light, blur, low
resolution, noise. Blur and loss of resolution are linear along each axis, so they are one matrix
for the rows and the same for the columns, and a batch is two matrix products.
"""

from __future__ import annotations

import functools
import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.data.dataset import Floats, Images
from facial_expressions.training.recipe import AugmentationRecipe

_N_FIRST: Final = 12
"""Columns drawn together, image by image; a later change takes a column after them."""

N_DEGRADATION_DRAWS: Final = 10
"""Columns of random numbers: whether and how far for each change, and the noise's own seed."""

N_DRAWS: Final = _N_FIRST + N_DEGRADATION_DRAWS
"""Uniform numbers drawn for each image."""

_LONGEST_ERASED: Final = 0.35
"""Longest side of an erased rectangle, as a fraction of the image's side."""

_MAX_SIGMA: Final = 1.5
"""Largest standard deviation of the blur, in pixels of an image whose side is ``_SIGMA_SIDE``."""

_SIGMA_SIDE: Final = 48
_MAX_REDUCTION: Final = 3.0
"""Largest reduction of resolution; 2 is half the side."""

_MAX_GAMMA: Final = 2.0
"""Largest power that grey values in 0..1 are raised to in the dark."""

_MAX_DARKENING: Final = 0.5
"""Largest share of the light that is then lost."""

_MAX_NOISE: Final = 0.08
"""Largest standard deviation of the noise, as a fraction of full white."""

_AT_ONCE: Final = 32
"""Images changed together: their arrays come from memory at hand. Those of a whole batch are
given back to the system and requested again at every step: two thirds of the time."""


def draw_epoch(n: int, *, seed: int, epoch: int) -> Floats:
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
    crops: Images, draws: Floats, recipe: AugmentationRecipe, *, size: int | None = None
) -> Floats:
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


def _augment_some(crops: Images, draws: Floats, recipe: AugmentationRecipe, side: int) -> Floats:
    images = _warp(crops, draws, recipe, side)
    signed = 2 * draws - 1
    mean = images.mean(axis=(1, 2), keepdims=True)
    contrast = 1 + signed[:, 5, None, None] * np.float32(recipe.contrast)
    brightness = 255 * signed[:, 6, None, None] * np.float32(recipe.brightness)
    images = (images - mean) * contrast + (mean + brightness)
    np.clip(images, 0, 255, out=images)
    images = degrade(images, draws[:, _N_FIRST:], recipe)
    return _erase(images, draws[:, 7:12], recipe)


def _warp(crops: Images, draws: Floats, recipe: AugmentationRecipe, side: int) -> Floats:
    """Sample each image on a mirrored, turned, scaled and shifted grid; (N, side, side)."""
    flipped = draws[:, 0, None, None] < recipe.flip
    moved = recipe.rotation_degrees or recipe.scale_fraction or recipe.shift_fraction
    if side == crops.shape[1] and not moved:  # every pixel falls on one: the same, at once
        return np.where(flipped, crops[:, :, ::-1], crops).astype(np.float32)
    signed = 2 * draws - 1
    angle = np.deg2rad(signed[:, 1] * recipe.rotation_degrees)
    scale = np.float32(1) / (1 + signed[:, 2] * np.float32(recipe.scale_fraction))
    shift = signed[:, 3:5] * recipe.shift_fraction * crops.shape[1]
    n, size = crops.shape[:2]
    middle = (size - 1) / 2
    step = np.float32(size / side)
    grid = (np.arange(side, dtype=np.float32) - np.float32((side - 1) / 2)) * step
    cos = (np.cos(angle) * scale).astype(np.float32)[:, None, None]
    sin = (np.sin(angle) * scale).astype(np.float32)[:, None, None]
    x, y = np.where(flipped, -grid, grid), grid[None, :, None]
    top = np.float32(size - 1)
    source_x = np.clip(cos * x - sin * y + (middle + shift[:, 0, None, None]), 0, top)
    source_y = np.clip(sin * x + cos * y + (middle + shift[:, 1, None, None]), 0, top)
    x0 = np.minimum(source_x.astype(np.int32), size - 2)
    y0 = np.minimum(source_y.astype(np.int32), size - 2)
    wx = source_x - x0.astype(np.float32)
    wy = source_y - y0.astype(np.float32)
    index = np.arange(n, dtype=np.int32)[:, None, None] * (size * size) + y0 * size + x0
    pixels = [crops.take(index + offset).astype(np.float32) for offset in (0, 1, size, size + 1)]
    upper = pixels[0] + (pixels[1] - pixels[0]) * wx
    lower = pixels[2] + (pixels[3] - pixels[2]) * wx
    return np.asarray(upper + (lower - upper) * wy, dtype=np.float32)


def _erase(images: Floats, draws: Floats, recipe: AugmentationRecipe) -> Floats:
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


def degrade(images: Floats, draws: Floats, recipe: AugmentationRecipe) -> Floats:
    """Darken, blur, coarsen and roughen some of the images, in this order.

    Args:
        images: Grey values 0 to 255, ``float32 (N, S, S)``; may be changed in place.
        draws: Uniform numbers in 0..1, ``float32 (N, N_DEGRADATION_DRAWS)``.
        recipe: Probabilities.

    Returns:
        Grey values 0 to 255, ``float32 (N, S, S)``.

    Examples:
        >>> images = np.full((1, 4, 4), 255, np.float32)
        >>> recipe = AugmentationRecipe(low_light=1.0)
        >>> float(degrade(images, np.full((1, 10), 0.5, np.float32), recipe)[0, 0, 0])
        191.25
    """
    hit = draws[:, 0] < recipe.low_light
    if hit.any():
        images[hit] = _darken(images[hit], draws[hit, 1], draws[hit, 2])
    hit = draws[:, 3] < recipe.blur
    if hit.any():
        images[hit] = _blur(images[hit], draws[hit, 4] * _MAX_SIGMA)
    hit = draws[:, 5] < recipe.low_resolution
    if hit.any():
        factors = 1 + draws[hit, 6] * (_MAX_REDUCTION - 1)
        images[hit] = _coarsen(images[hit], factors)
    hit = draws[:, 7] < recipe.noise
    if hit.any():
        noise = _gaussian(draws[hit, 9], images[0].size).reshape(-1, *images.shape[1:])
        strength = 255 * draws[hit, 8, None, None] * np.float32(_MAX_NOISE)
        images[hit] = np.clip(images[hit] + noise * strength, 0, 255)
    return images


def _darken(images: Floats, power: Floats, loss: Floats) -> Floats:
    """Raise grey values in 0..1 to a power, then take away a share of the light."""
    gamma = 1 + power[:, None, None] * np.float32(_MAX_GAMMA - 1)
    light = 255 * (1 - loss[:, None, None] * np.float32(_MAX_DARKENING))
    return np.asarray((images / 255) ** gamma * light, np.float32)


def _blur(images: Floats, sigmas: Floats) -> Floats:
    """Convolve each image with a Gaussian of its own; the weights inside the image sum to 1."""
    side = images.shape[1]
    sigmas = np.maximum(sigmas * side / _SIGMA_SIDE, 1e-3)[:, None, None]
    place = np.arange(side, dtype=np.float32)
    distance = (place[:, None] - place)[None] / sigmas
    weights = np.exp(-0.5 * np.square(distance))
    return _apply(weights / weights.sum(axis=2, keepdims=True), images)


def _coarsen(images: Floats, factors: Floats) -> Floats:
    """Shrink each image by its factor, to whole pixels, and enlarge it again."""
    side = images.shape[1]
    coarse = np.maximum(np.rint(side / factors), 1).astype(np.int64)
    return _apply(_coarsening(side)[coarse - 1], images)


@functools.lru_cache(maxsize=8)
def _coarsening(side: int) -> Floats:
    """Return for each side from 1 to ``side`` the matrix that shrinks to it and enlarges again."""
    return np.stack(
        [_enlarging(small, side) @ _shrinking(side, small) for small in range(1, side + 1)]
    )


def _shrinking(side: int, small: int) -> Floats:
    """Average over the pixels that each coarse pixel covers; ``(small, side)``."""
    edges = np.arange(small + 1) * (side / small)
    place = np.arange(side)
    covered = np.minimum(edges[1:, None], place + 1) - np.maximum(edges[:-1, None], place)
    return np.asarray(np.maximum(covered, 0) * (small / side), np.float32)


def _enlarging(small: int, side: int) -> Floats:
    """Interpolate linearly between the middles of the coarse pixels; ``(side, small)``."""
    middle = np.clip((np.arange(side) + 0.5) * (small / side) - 0.5, 0, small - 1)
    return np.asarray(np.maximum(1 - np.abs(middle[:, None] - np.arange(small)), 0), np.float32)


def _apply(matrices: Floats, images: Floats) -> Floats:
    """Apply each image's matrix ``(S, S)`` along its columns and along its rows."""
    return np.asarray(matrices @ images @ matrices.transpose(0, 2, 1), np.float32)


def _gaussian(seeds: Floats, n: int) -> Floats:
    """Return n Gaussian numbers for each seed in 0..1: hashes of seed and place, by Box-Muller.

    A hash instead of a generator for each image: all images at once, and the same numbers
    whatever else is in the batch.
    """
    words = (seeds.astype(np.float64) * 2**32).astype(np.uint32)[:, None]
    place = np.arange(n, dtype=np.uint32)[None, :]
    first = _hash(_hash(words) + 2 * place)
    second = _hash(_hash(words) + 2 * place + 1)
    radius = np.sqrt(-2 * np.log((first.astype(np.float32) + 1) / np.float32(2**32 + 2)))
    turn = np.float32(2 * math.pi / 2**32) * second.astype(np.float32)
    return np.asarray(radius * np.cos(turn), np.float32)


def _hash(words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Mix the bits of each word: the finaliser of MurmurHash3 (public domain)."""
    words = (words ^ (words >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    words = (words ^ (words >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return words ^ (words >> np.uint32(16))
