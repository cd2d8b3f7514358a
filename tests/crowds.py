"""Five crowds of faces in images of 640x600 pixels, for tests of where labels go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from facial_expressions.results import Box

__all__ = ["CROWDS", "SIZE", "overlap"]

SIZE = (640, 600)


def _boxes(corners: Iterable[complex], width: float = 60) -> list[Box]:
    return [Box(at.real, at.imag, at.real + width, at.imag + width * 1.25) for at in corners]


CROWDS = {
    "three rows, nearly touching": _boxes(
        20 + 66 * i + 33 * (row % 2) + 1j * (260 + 90 * row) for row in range(3) for i in range(9)
    ),
    "a wall of faces without gaps": _boxes(
        150 + 60 * i + 1j * (25 + 75 * row) for row in range(7) for i in range(7)
    ),
    "sixty small faces": _boxes(
        (60 + 50 * i + 7 * row + 1j * (120 + 52 * row) for row in range(6) for i in range(10)), 22
    ),
    "overlapping faces": _boxes(300 + 30 * i + 1j * (200 + 22 * i) for i in range(10)),
    "faces along all edges": _boxes(
        [75 * i + 1j * y for i in range(9) for y in (0, 525)]
        + [x + 1j * (80 + 80 * i) for i in range(5) for x in (0, 580)]
    ),
}
"""Boxes by what is hard about them."""


def overlap(one: Sequence[int], other: Sequence[int]) -> int:
    """Return the pixels that two rectangles (left, top, right, bottom) share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0) * max(height, 0)
