"""Blend an explanation into a picture: warm where a face speaks for its answer.

The grid of an explanation is laid over the face by the affine map of its crop, sampled bilinearly,
and fades out at the crop's edge. What speaks against the answer is left as it is: a picture with
two colour scales is hard to read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.results import Explanation

__all__ = ["blend_heat"]

_STRENGTH: Final = 0.72
"""Share of the warm colour at the hottest place."""

_FADE: Final = 0.10
"""Width of the soft edge, as a fraction of the crop's side."""

_COLORS: Final = np.array(
    [(255, 214, 70), (250, 150, 40), (226, 60, 38), (150, 20, 60)], dtype=np.float32
)
"""From a little to most: yellow, orange, red, dark red; distinct also without colour vision."""


def blend_heat(image: NDArray[np.uint8], explanations: Sequence[Explanation]) -> NDArray[np.uint8]:
    """Colour each face's warm places.

    Args:
        image: RGB ``uint8 (H, W, 3)``.
        explanations: What to show; each face is scaled by its own hottest place.

    Returns:
        A new picture of the same shape.

    Examples:
        >>> corners = ((0.0, 0.0), (8.0, 0.0), (8.0, 8.0), (0.0, 8.0))
        >>> cold = Explanation("happy", ((-1.0, -1.0), (-1.0, -1.0)), corners)
        >>> grey = np.full((8, 8, 3), 90, np.uint8)
        >>> bool((blend_heat(grey, [cold]) == grey).all())  # nothing speaks for the answer
        True
    """
    canvas = image.copy()
    for explanation in explanations:
        _blend(canvas, explanation)
    return canvas


def _blend(canvas: NDArray[np.uint8], explanation: Explanation) -> None:
    """Blend one explanation into the canvas."""
    height, width = canvas.shape[:2]
    xs, ys = zip(*explanation.corners, strict=True)
    left, right = max(0, math.floor(min(xs))), min(width, math.ceil(max(xs)))
    top, bottom = max(0, math.floor(min(ys))), min(height, math.ceil(max(ys)))
    if left >= right or top >= bottom:
        return
    u, v = _crop_coordinates(explanation, (left, top, right, bottom))
    warm = np.maximum(_sample(np.array(explanation.heat, np.float32), u, v), 0)
    hottest = max(0.0, *(value for row in explanation.heat for value in row))
    if hottest <= 0:
        return
    warm = np.minimum(warm / np.float32(hottest), 1)
    inside = np.minimum(np.minimum(u, 1 - u), np.minimum(v, 1 - v)) / np.float32(_FADE)
    alpha = (_STRENGTH * warm * np.clip(inside, 0, 1))[..., None]
    window = canvas[top:bottom, left:right]
    mixed = window * (1 - alpha) + _color(warm) * alpha
    window[:] = np.rint(mixed).astype(np.uint8)


def _crop_coordinates(
    explanation: Explanation, window: tuple[int, int, int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return where each pixel's middle lies in the crop, 0 to 1 across and down."""
    left, top, right, bottom = window
    (x0, y0), (x1, y1), _, (x3, y3) = explanation.corners
    inverse = np.linalg.inv(np.array([[x1 - x0, x3 - x0], [y1 - y0, y3 - y0]]))
    x = (np.arange(left, right, dtype=np.float32) + np.float32(0.5 - x0))[None, :]
    y = (np.arange(top, bottom, dtype=np.float32) + np.float32(0.5 - y0))[:, None]
    (a, b), (c, d) = inverse.astype(np.float32)
    return a * x + b * y, c * x + d * y


def _sample(
    grid: NDArray[np.float32], u: NDArray[np.float32], v: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Sample a grid bilinearly; its values stand in the middle of their places."""
    rows, columns = grid.shape
    x = np.clip(u * columns - 0.5, 0, columns - 1)
    y = np.clip(v * rows - 0.5, 0, rows - 1)
    x0 = np.minimum(x.astype(np.int64), max(columns - 2, 0))
    y0 = np.minimum(y.astype(np.int64), max(rows - 2, 0))
    x1, y1 = np.minimum(x0 + 1, columns - 1), np.minimum(y0 + 1, rows - 1)
    wx, wy = x - x0.astype(np.float32), y - y0.astype(np.float32)
    upper = grid[y0, x0] * (1 - wx) + grid[y0, x1] * wx
    lower = grid[y1, x0] * (1 - wx) + grid[y1, x1] * wx
    return np.asarray(upper * (1 - wy) + lower * wy, np.float32)


def _color(warm: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the colour of each warmth of 0 to 1, ``(H, W, 3)``."""
    stops = np.linspace(0, 1, len(_COLORS))
    bands = [np.interp(warm, stops, _COLORS[:, band]) for band in range(3)]
    return np.stack(bands, axis=-1).astype(np.float32)
