"""Tiles: the parts of an image, scaled down, that a detector's network looks at."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MULTIPLE: Final = 32
"""Sides of the network's input are multiples of this: it halves the image five times."""

_MARGIN: Final = 1.6
"""A tile is at least so many times as wide and high as the face that it is for ..."""

_AROUND: Final = 64
"""... and by so many pixels wider and higher: with less around it a small face is not found."""

_START: Final = 3 * MULTIPLE**2
"""One more run of the network costs as much as so many pixels."""

_MOST: Final = 100
"""For more places than this the whole image is looked at."""

_GAP: Final = 1.0
"""Whole pixels are averaged first, as far as they go: several times as fast as filtering all of
them, and faces of 32 to 48 pixels are found slightly more often."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of an image that was scaled down; all four corners lie on a grid of ``MULTIPLE``.

    Attributes:
        x: First column, in pixels of the scaled image.
        y: First row.
        size: Width and height of the tile; it may leave the image to the right and below.
        sized: Width and height of the whole scaled image.
        scale: Pixels of the image for one of the scaled image, across and down.
    """

    x: int
    y: int
    size: tuple[int, int]
    sized: tuple[int, int]
    scale: tuple[float, float]

    @property
    def area(self) -> int:
        """Pixels that the network has to look at."""
        return self.size[0] * self.size[1]


def whole(image: tuple[int, int], factor: float) -> Tile:
    """Return the tile that is all of an image, whose sides are multiplied by a factor up to 1."""
    sized = (max(1, round(image[0] * factor)), max(1, round(image[1] * factor)))
    size = (_to_grid(sized[0]), _to_grid(sized[1]))
    return Tile(0, 0, size, sized, (image[0] / sized[0], image[1] / sized[1]))


def tiles_around(boxes: NDArray[np.float32], image: tuple[int, int], factor: float) -> list[Tile]:
    """Return tiles that hold all boxes; joined where one costs no more than two.

    Args:
        boxes: Left, top, right, bottom, in image pixels, ``(N, 4)``; they may leave the image.
        image: Width and height.
        factor: As for ``whole``.
    """
    all_of_it = whole(image, factor)
    scaled = boxes / np.tile(np.array(all_of_it.scale, np.float32), 2)
    limit = np.array(all_of_it.size)
    own = scaled[:, 2:] - scaled[:, :2]
    size = np.ceil(np.maximum(own * _MARGIN, own + _AROUND) / MULTIPLE) * MULTIPLE
    middle = (scaled[:, 2:] + scaled[:, :2]) / 2
    start = np.round((middle - size / 2) / MULTIPLE) * MULTIPLE
    start = np.clip(start, 0, np.maximum(limit - size, 0))
    places = np.concatenate([start, np.minimum(start + size, limit)], axis=1)
    parts = np.unique(places.astype(int), axis=0).tolist()
    if len(parts) > _MOST:
        return [all_of_it]
    return [
        Tile(left, top, (right - left, bottom - top), all_of_it.sized, all_of_it.scale)
        for left, top, right, bottom in _join(parts)
    ]


def cut(image: NDArray[np.uint8], tile: Tile) -> NDArray[np.uint8]:
    """Return a tile's pixels, black where it leaves the image, which may be a smaller copy."""
    width, height = (
        min(own, all_of_it - start)
        for own, all_of_it, start in zip(tile.size, tile.sized, (tile.x, tile.y), strict=True)
    )
    patch = np.zeros((tile.size[1], tile.size[0], 3), np.uint8)
    across, down = image.shape[1] / tile.sized[0], image.shape[0] / tile.sized[1]
    left, top = tile.x * across, tile.y * down
    right, bottom = left + width * across, top + height * down
    x, y = int(left), int(top)  # only what is needed is copied
    part = Image.fromarray(image[y : ceil(bottom), x : ceil(right)])
    box = (left - x, top - y, min(right - x, part.width), min(bottom - y, part.height))
    if box != (0, 0, width, height):
        part = part.resize((width, height), Image.Resampling.BILINEAR, box=box, reducing_gap=_GAP)
    patch[:height, :width] = np.asarray(part)
    return patch


def _join(parts: list[list[int]]) -> list[list[int]]:
    """Return as many parts or fewer that hold them all: two become one where that is cheaper."""
    joined: list[list[int]] = []
    for part in parts:
        one = part
        while True:
            unions = [[*map(min, one[:2], it[:2]), *map(max, one[2:], it[2:])] for it in joined]
            costs = [_area(both) - _area(it) for both, it in zip(unions, joined, strict=True)]
            if not costs or min(costs) > _area(one) + _START:
                break
            best = costs.index(min(costs))
            del joined[best]
            one = unions[best]
        joined.append(one)
    return joined


def _area(part: list[int]) -> int:
    left, top, right, bottom = part
    return (right - left) * (bottom - top)


def _to_grid(length: float) -> int:
    return ceil(length / MULTIPLE) * MULTIPLE
