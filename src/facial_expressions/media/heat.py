"""Blend an explanation into an image: warm where a face supports its answer.

The grid of an explanation is laid over the face by the affine map of its crop, sampled bilinearly,
and fades out at the crop's edge. What speaks against the answer is left as it is: an image with
two colour scales is hard to read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.colors import HEAT_COLORS
from facial_expressions.results import Explanation

_STRENGTH: Final = 0.72
"""Share of the warm colour at the hottest place."""

_FADE: Final = 0.10
"""Width of the soft edge, as a fraction of the crop's side."""

_SIDE_PX: Final = 256
"""Side of the crop in which the colours are mixed before they are laid over the face."""

_COLORS: Final = np.array(HEAT_COLORS, dtype=np.float32)


def blend_heat(image: NDArray[np.uint8], explanations: Sequence[Explanation]) -> NDArray[np.uint8]:
    """Colour each face's warm places, scaled by its own hottest one, in a copy of an RGB image.

    Examples:
        >>> corners = ((0.0, 0.0), (8.0, 0.0), (8.0, 8.0), (0.0, 8.0))
        >>> cold = Explanation("happy", ((-1.0, -1.0), (-1.0, -1.0)), corners)
        >>> grey = np.full((8, 8, 3), 90, np.uint8)
        >>> bool((blend_heat(grey, [cold]) == grey).all())  # nothing supports the answer
        True
    """
    canvas = Image.fromarray(image)
    for explanation in explanations:
        _blend(canvas, explanation)
    return np.array(canvas)


def _blend(canvas: Image.Image, explanation: Explanation) -> None:
    """Blend one explanation into the image."""
    xs, ys = zip(*explanation.corners, strict=True)
    left, right = max(0, math.floor(min(xs))), min(canvas.width, math.ceil(max(xs)))
    top, bottom = max(0, math.floor(min(ys))), min(canvas.height, math.ceil(max(ys)))
    if left >= right or top >= bottom:
        return
    (x0, y0), (x1, y1), _, (x3, y3) = explanation.corners
    to_window = [[x1 - x0, x3 - x0, x0 - left], [y1 - y0, y3 - y0, y0 - top], [0, 0, 1]]
    to_crop = np.linalg.inv(np.array(to_window))[:2] * _SIDE_PX
    size, affine = (right - left, bottom - top), Image.Transform.AFFINE
    crop = _crop(np.array(explanation.heat, np.float32))
    warm = crop.transform(size, affine, to_crop.ravel().tolist(), Image.Resampling.BILINEAR)
    canvas.paste(warm, (left, top), warm)


def _crop(heat: NDArray[np.float32]) -> Image.Image:
    """Return the colours of a grid over its crop, RGBA; all is transparent where none is warm."""
    grid = Image.fromarray(heat).resize((_SIDE_PX, _SIDE_PX), Image.Resampling.BILINEAR)
    hottest = max(float(heat.max()), 1e-12)
    warm = np.clip(np.asarray(grid) / np.float32(hottest), 0, 1)
    place = (np.arange(_SIDE_PX) + 0.5) / _SIDE_PX
    edge = np.minimum(place, 1 - place)
    fade = np.clip(np.minimum(edge[:, None], edge) / _FADE, 0, 1)
    stops = np.linspace(0, 1, len(_COLORS))
    bands = [np.interp(warm, stops, _COLORS[:, band]) for band in range(3)]
    pixels = np.stack([*bands, 255 * _STRENGTH * warm * fade], axis=-1)
    return Image.fromarray(np.rint(pixels).astype(np.uint8))
