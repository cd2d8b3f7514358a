"""What bad cameras do to a training image: low light, blur, low resolution, noise.

Each hits an image with its own probability and strength, decided by the image's own random
numbers. Blur and loss of resolution are linear along each axis, so they are one matrix for the rows
and the same for the columns, and a batch is two matrix products.
"""

from __future__ import annotations

import functools
import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.training.recipe import AugmentationRecipe

N_DEGRADATION_DRAWS: Final = 10
"""Columns of random numbers: whether and how far for each change, and the noise's own seed."""

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


def degrade(
    images: NDArray[np.float32], draws: NDArray[np.float32], recipe: AugmentationRecipe
) -> NDArray[np.float32]:
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


def _darken(
    images: NDArray[np.float32], power: NDArray[np.float32], loss: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Raise grey values in 0..1 to a power, then take away a share of the light."""
    gamma = 1 + power[:, None, None] * np.float32(_MAX_GAMMA - 1)
    light = 255 * (1 - loss[:, None, None] * np.float32(_MAX_DARKENING))
    return np.asarray((images / 255) ** gamma * light, np.float32)


def _blur(images: NDArray[np.float32], sigmas: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convolve each image with a Gaussian of its own; the weights inside the image sum to 1."""
    side = images.shape[1]
    sigmas = np.maximum(sigmas * side / _SIGMA_SIDE, 1e-3)[:, None, None]
    place = np.arange(side, dtype=np.float32)
    distance = (place[:, None] - place)[None] / sigmas
    weights = np.exp(-0.5 * np.square(distance))
    return _apply(weights / weights.sum(axis=2, keepdims=True), images)


def _coarsen(images: NDArray[np.float32], factors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shrink each image by its factor, to whole pixels, and enlarge it again."""
    side = images.shape[1]
    coarse = np.maximum(np.rint(side / factors), 1).astype(np.int64)
    return _apply(_coarsening(side)[coarse - 1], images)


@functools.lru_cache(maxsize=8)
def _coarsening(side: int) -> NDArray[np.float32]:
    """Return for each side from 1 to ``side`` the matrix that shrinks to it and enlarges again."""
    return np.stack(
        [_enlarging(small, side) @ _shrinking(side, small) for small in range(1, side + 1)]
    )


def _shrinking(side: int, small: int) -> NDArray[np.float32]:
    """Average over the pixels that each coarse pixel covers; ``(small, side)``."""
    edges = np.arange(small + 1) * (side / small)
    place = np.arange(side)
    covered = np.minimum(edges[1:, None], place + 1) - np.maximum(edges[:-1, None], place)
    return np.asarray(np.maximum(covered, 0) * (small / side), np.float32)


def _enlarging(small: int, side: int) -> NDArray[np.float32]:
    """Interpolate linearly between the middles of the coarse pixels; ``(side, small)``."""
    middle = np.clip((np.arange(side) + 0.5) * (small / side) - 0.5, 0, small - 1)
    return np.asarray(np.maximum(1 - np.abs(middle[:, None] - np.arange(small)), 0), np.float32)


def _apply(matrices: NDArray[np.float32], images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Apply each image's matrix ``(S, S)`` along its columns and along its rows."""
    return np.asarray(matrices @ images @ matrices.transpose(0, 2, 1), np.float32)


def _gaussian(seeds: NDArray[np.float32], n: int) -> NDArray[np.float32]:
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
