"""Test-time views: small variants of a crop, over which a classifier may average its answers.

A face mirrored or moved by one pixel shows the same expression, but a network with a strided stem
samples it again. Borders are repeated, not wrapped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class View:
    """One variant of a crop.

    Attributes:
        down_px: Pixels that the content moves down; negative is up.
        right_px: Pixels that the content moves to the right; negative is left.
        mirrored: Whether left and right are swapped, before moving.
    """

    down_px: int = 0
    right_px: int = 0
    mirrored: bool = False


TEST_TIME_VIEWS: Final = tuple(
    View(down_px, right_px, mirrored)
    for down_px, right_px in ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
    for mirrored in (False, True)
)
"""Ten views: still and moved by one pixel in each direction, each as it is and mirrored."""


def apply_view(crops: NDArray[np.uint8], view: View) -> NDArray[np.uint8]:
    """Return crops as one view shows them.

    Args:
        crops: ``uint8 (N, S, S)`` or ``(N, S, S, 3)``.
        view: What to do.

    Returns:
        Crops of the same shape; pixels that move in repeat the border.

    Examples:
        >>> crop = np.array([[[1, 2, 3]]], np.uint8)
        >>> apply_view(crop, View(right_px=1)).tolist()
        [[[1, 1, 2]]]
        >>> apply_view(crop, View(mirrored=True)).tolist()
        [[[3, 2, 1]]]
    """
    moved = crops[:, :, ::-1] if view.mirrored else crops
    for axis, shift in ((1, view.down_px), (2, view.right_px)):
        if shift:
            index = np.clip(np.arange(crops.shape[axis]) - shift, 0, crops.shape[axis] - 1)
            moved = np.take(moved, index, axis=axis)
    return np.ascontiguousarray(moved)
