"""Find room for labels in an image: inside it, beside their frames, over no face if possible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Rect = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels, right and bottom exclusive."""

_GRID: Final = 24
"""Places along each side of the image where a legend is tried."""


class Room:
    """What is still free of an image with faces: labels are put into it one after the other.

    Args:
        image: Width and height of the image.
        faces: Frames of its faces.
        most: Part of a face that all labels together may cover, 0 to 1.

    Examples:
        >>> room = Room((100, 100), [(20, 30, 60, 80)])
        >>> room.beside((40, 10), (20, 30, 60, 80), 2)
        (20, 18, 60, 28)
        >>> room.beside((40, 10), (20, 30, 60, 80), 2)
        (20, 82, 60, 92)
        >>> room.anywhere((90, 40), 2) is None
        True
    """

    def __init__(self, image: tuple[int, int], faces: Sequence[Rect], most: float = 0.0) -> None:
        self._image = image
        self._faces = np.array(faces, np.int64).reshape(-1, 4)
        sizes = self._faces[:, 2:] - self._faces[:, :2]
        self._may_cover = np.maximum(sizes.prod(axis=1), 1) * most
        self._labels = np.empty((0, 4), np.int64)

    def beside(self, size: tuple[int, int], frame: Rect, gap: int) -> Rect | None:
        """Put a label to a frame: above, below, at its sides, at its corners, or inside.

        Returns:
            The place, which is taken from now on; None where there is no room. Of the places with
            room it is the one that hides least of faces, the first of equals.
        """
        if size[0] > self._image[0] or size[1] > self._image[1]:
            return None
        corners = np.array([*_corners(size, frame, gap)], np.int64)
        return self._take(np.clip(corners, 0, np.array(self._image) - size), size)

    def anywhere(self, size: tuple[int, int], gap: int) -> Rect | None:
        """Put a legend anywhere, rather at the image's border, as ``beside`` puts a label."""
        width, height = (whole - one - gap for whole, one in zip(self._image, size, strict=True))
        if width < gap or height < gap:
            return None
        xs, ys = (np.linspace(gap, far, _GRID).astype(np.int64) for far in (width, height))
        corners = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
        inwards = np.minimum(corners - gap, (width, height) - corners).min(axis=1)
        return self._take(corners[np.argsort(inwards, kind="stable")], size)

    def aside(self, size: tuple[int, int], frame: Rect, gap: int) -> Rect | None:
        """Put a panel at a frame's right or left, below or above, as ``beside`` puts a label.

        Examples:
            >>> Room((100, 60), [(10, 10, 40, 40)]).aside((20, 10), (10, 10, 40, 40), 2)
            (42, 10, 62, 20)
        """
        (width, height), (left, top, right, bottom) = size, frame
        beside = max(min(top, self._image[1] - height - gap), gap)
        along = max(min(left, self._image[0] - width - gap), gap)
        corners = np.array([
            (right + gap, beside),
            (left - gap - width, beside),
            (along, bottom + gap),
            (along, top - gap - height),
        ])  # fmt: skip
        is_inside = (corners >= 0) & (corners + size <= self._image)
        return self._take(corners[is_inside.all(axis=1)], size)

    @property
    def taken(self) -> list[Rect]:
        """Where labels lie."""
        return [(left, top, right, bottom) for left, top, right, bottom in self._labels.tolist()]

    def _take(self, corners: NDArray[np.int64], size: tuple[int, int]) -> Rect | None:
        spots = np.hstack([corners, corners + size])
        over_faces = _shared(spots, self._faces)
        has_room = ~_shared(spots, self._labels).any(axis=1)
        has_room &= (over_faces <= self._may_cover).all(axis=1)
        if not has_room.any():
            return None
        best = int(np.where(has_room, over_faces.sum(axis=1), np.inf).argmin())
        self._may_cover = self._may_cover - over_faces[best]
        self._labels = np.vstack([self._labels, spots[best]])
        left, top, right, bottom = spots[best].tolist()
        return (left, top, right, bottom)


def _shared(spots: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the pixels that each spot shares with each of the others, ``(S, O)``."""
    low = np.maximum(spots[:, None, :2], others[None, :, :2])
    high = np.minimum(spots[:, None, 2:], others[None, :, 2:])
    shared: NDArray[np.int64] = np.maximum(high - low, 0).prod(axis=2)
    return shared


def _corners(size: tuple[int, int], frame: Rect, gap: int) -> Iterator[tuple[int, int]]:
    """Yield top left corners in order of preference."""
    width, height = size
    left, top, right, bottom = frame
    along = (left, right - width, (left + right - width) // 2)
    beside_x, beside_y = (right + gap, left - gap - width), (top, bottom - height)
    over_or_under = (top - gap - height, bottom + gap)
    yield from ((x, y) for y in over_or_under for x in along)
    yield from ((x, y) for y in beside_y for x in beside_x)
    yield from ((x, y) for y in over_or_under for x in beside_x)
    for y in (bottom - gap - height, top + gap):
        yield from ((x, y) for x in (left + gap, right - gap - width))
