"""Find room for a label beside a frame: inside the image, over as little as possible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

__all__ = ["Rect", "overlap", "panel_spots", "place"]

Rect = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels, right and bottom exclusive."""

_OVER_LABEL: Final = 20
_OVER_OTHER_FACE: Final = 4


def overlap(one: Rect, other: Rect) -> int:
    """Return the pixels that two rectangles share.

    Examples:
        >>> overlap((0, 0, 4, 4), (2, 3, 9, 9)), overlap((0, 0, 4, 4), (4, 0, 8, 4))
        (2, 0)
    """
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0) * max(height, 0)


def place(
    size: tuple[int, int],
    frame: Rect,
    image: tuple[int, int],
    gap: int,
    faces: Sequence[Rect],
    labels: Sequence[Rect],
) -> Rect:
    """Choose where a label goes: above its frame, below it, inside it, or at its sides.

    Args:
        size: Width and height of the label.
        frame: The frame it belongs to.
        image: Width and height of the image; no smaller than the label.
        gap: Distance between frame and label.
        faces: Frames of the other faces.
        labels: Where the labels placed before lie.

    Returns:
        A place wholly inside the image: of those tried, the one that hides least of other labels,
        of other faces, and of its own face, the first of equals.

    Examples:
        >>> place((40, 10), (20, 30, 60, 80), (100, 100), 2, [], [])
        (20, 18, 60, 28)
    """

    def hidden(spot: Rect) -> int:
        over_labels = sum(overlap(spot, label) for label in labels)
        over_faces = sum(overlap(spot, face) for face in faces)
        own = overlap(spot, frame)
        return _OVER_LABEL * over_labels + _OVER_OTHER_FACE * over_faces + own

    spots = [_inside(corner, size, image) for corner in _corners(size, frame, gap)]
    return min(spots, key=hidden)


def panel_spots(
    size: tuple[int, int], frame: Rect, image: tuple[int, int], gap: int
) -> Iterator[Rect]:
    """Yield places for a panel that lie inside the image, the best first.

    Args:
        size: Width and height of the panel.
        frame: The face that it belongs to.
        image: Width and height of the image.
        gap: Distance to the frame and to the image's border.

    Examples:
        >>> list(panel_spots((20, 10), (10, 10, 40, 40), (100, 60), 2))
        [(42, 10, 62, 20), (10, 42, 30, 52)]
    """
    width, height = size
    left, top, right, bottom = frame
    beside = max(min(top, image[1] - height - gap), gap)
    along = max(min(left, image[0] - width - gap), gap)
    corners = (
        (right + gap, beside),
        (left - gap - width, beside),
        (along, bottom + gap),
        (along, top - gap - height),
    )
    for x, y in corners:
        if x >= 0 and y >= 0 and x + width <= image[0] and y + height <= image[1]:
            yield (x, y, x + width, y + height)


def _corners(size: tuple[int, int], frame: Rect, gap: int) -> Iterator[tuple[int, int]]:
    """Yield top left corners in order of preference."""
    width, height = size
    left, top, right, bottom = frame
    middle = (left + right - width) // 2
    for x in (left, right - width, middle):
        yield x, top - gap - height
    for x in (left, right - width, middle):
        yield x, bottom + gap
    for y in (top, bottom - height):
        yield right + gap, y
        yield left - gap - width, y
    for y in (bottom - gap - height, top + gap):
        for x in (left + gap, right - gap - width):
            yield x, y


def _inside(corner: tuple[int, int], size: tuple[int, int], image: tuple[int, int]) -> Rect:
    """Shift a label into the image."""
    x = max(min(corner[0], image[0] - size[0]), 0)
    y = max(min(corner[1], image[1] - size[1]), 0)
    return (x, y, x + size[0], y + size[1])
