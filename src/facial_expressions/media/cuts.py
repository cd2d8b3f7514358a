"""Find the cuts of a video: the frames with which another shot begins.

Two frames are compared as small grey images, block by block: how well each block of one correlates
with its place in the other, give or take a step. So brightness and contrast do not count, and a
block without contrast has no say. Where that is not enough, the best shift of the whole image is
looked for, which is what a pan looks like.

A frame begins a new shot if it is like the frame before nowhere, or clearly less like it than its
neighbours are like theirs. Frames without contrast (black, white) are passed over, and so are a few
frames after which the old image is back: a flash. The last image that was seen stays the one that
is compared with. Dissolves are not cuts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.media.frames import Frame, ReadAhead

_WIDTH: Final = 72
_HEIGHT: Final = 48
_BLOCK: Final = 12
"""Sizes in pixels of the small image and its blocks."""
_SAMPLES: Final = 4
"""The small image's pixels are means of so many samples a side."""
_STEP: Final = 2
"""A block may lie this many small pixels off."""
_LEAST_OVERLAP: Final = 0.4
"""Two shifted images share this much of what they show, at least."""

_LEAST_CONTRAST: Final = 3.0
_MOST_CONTRAST: Final = 40.0
"""Standard deviations of grey values: a block under the first has no say, and none has more say
than one of the second."""

_UNLIKE: Final = 0.6
"""Frames less alike are of two shots; of pairs of unrelated photos nine in ten are."""
_ALIKE: Final = 0.78
"""Frames more alike are of one shot: faster motion than from frame to frame of a video is rare."""
_DROP: Final = 0.12
"""In between, a cut is this much less alike than its neighbours."""
_LONGEST_FLASH: Final = 5
"""Frames after which the old image is back at the latest."""

_Floats = NDArray[np.float32]


def mark_cuts(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Give the frames as they come, those that begin a new shot with ``is_cut``.

    Where a frame may be a cut, up to five more are read first, to tell a flash.

    Args:
        frames: In order; the first is not a cut.

    Yields:
        The frames, in order.

    Raises:
        Exception: What reading a frame raises comes when it is that frame's turn.

    Examples:
        >>> shots = np.random.default_rng(0).integers(0, 256, (2, 6, 9, 3), np.uint8)
        >>> shots = shots.repeat(20, axis=1).repeat(20, axis=2)
        >>> frames = [Frame(i, i / 25, shots[i // 10]) for i in range(20)]
        >>> [frame.frame for frame in mark_cuts(frames) if frame.is_cut]
        [10]
    """
    views = ReadAhead(_View(frame, _shrunk(frame.image)) for frame in frames)
    reference: _View | None = None
    usual = 1.0
    while views.fill(1):
        view = views.waiting.popleft()
        if view.is_blank:
            yield view.frame
            continue
        alike = _likeness(reference, view) if reference else 1.0
        is_cut = False
        if reference and alike < _ALIKE:
            views.fill(_LONGEST_FLASH)
            coming = [one for one in views.waiting if not one.is_blank]
            if any(_in_place(reference, one) >= _ALIKE for one in coming):
                yield view.frame
                continue
            after = _likeness(view, coming[0]) if coming else 1.0
            is_cut = alike < _UNLIKE or alike < min(usual, after) - _DROP
        if not is_cut:
            usual = alike
        reference = view
        yield replace(view.frame, is_cut=True) if is_cut else view.frame


@dataclass(frozen=True)
class _View:
    """A frame, and its grey values as they are compared, ``(_HEIGHT, _WIDTH)``."""

    frame: Frame
    small: _Floats

    @cached_property
    def blocks(self) -> tuple[_Floats, _Floats]:
        """Its blocks, standardised ``(blocks, pixels)``, and the weight of each."""
        rows, columns = _HEIGHT // _BLOCK, _WIDTH // _BLOCK
        divided = self.small.reshape(rows, _BLOCK, columns, _BLOCK).transpose(0, 2, 1, 3)
        units, contrast = _standardised(divided.reshape(rows * columns, -1))
        return units, np.where(contrast < _LEAST_CONTRAST, 0, np.minimum(contrast, _MOST_CONTRAST))

    @cached_property
    def is_blank(self) -> bool:
        """Whether there is nothing in it to compare."""
        return not self.blocks[1].any()


def _shrunk(image: NDArray[np.uint8]) -> _Floats:
    """Return the small grey image ``(_HEIGHT, _WIDTH)``; of a large one not every pixel counts."""
    skip_y = max(image.shape[0] // (_SAMPLES * _HEIGHT), 1)
    skip_x = max(image.shape[1] // (_SAMPLES * _WIDTH), 1)
    part = np.ascontiguousarray(image[::skip_y, ::skip_x])
    small = Image.fromarray(part).convert("L").resize((_WIDTH, _HEIGHT), Image.Resampling.BOX)
    return np.asarray(small, np.float32)


def _standardised(patches: _Floats) -> tuple[_Floats, _Floats]:
    """Return patches ``(..., pixels)`` with mean 0 and length 1, and their contrast."""
    centered = patches - patches.mean(axis=-1, keepdims=True)
    length = np.sqrt(np.einsum("...p,...p->...", centered, centered))
    units = centered / np.maximum(length, 1e-6)[..., None]
    return units, length / patches.shape[-1] ** 0.5


def _likeness(one: _View, other: _View) -> float:
    """Return how alike two views are, 1 where equal, wherever they have moved."""
    in_place = _in_place(one, other)
    if in_place >= _ALIKE:
        return in_place
    return max(in_place, _shifted(one, other), _shifted(other, one))


def _in_place(one: _View, other: _View) -> float:
    """Return how alike two views are at the same place; what only one shows does not count."""
    likeness = _found_near(one, other)
    return likeness if likeness >= _ALIKE else max(likeness, _found_near(other, one))


def _found_near(one: _View, other: _View) -> float:
    """Return how well the blocks of one are found near their places in the other."""
    around = _windows(np.pad(other.small, _STEP, mode="edge"))
    offsets = np.arange(2 * _STEP + 1)
    rows = np.arange(0, _HEIGHT, _BLOCK)[:, None] + offsets
    columns = np.arange(0, _WIDTH, _BLOCK)[:, None] + offsets
    near = around[rows[:, None, :, None], columns[None, :, None, :]]
    units, weights = one.blocks
    found, contrast = _standardised(near.reshape(len(units), len(offsets) ** 2, -1))
    likeness = np.einsum("bop,bp->bo", found, units) * (contrast >= _LEAST_CONTRAST)
    return float(np.average(likeness.max(axis=1), weights=weights))


def _shifted(one: _View, other: _View) -> float:
    """Return how well the blocks of one are found in the other, all shifted by about the same."""
    units, weights = one.blocks
    windows = _windows(other.small)
    n_y, n_x = windows.shape[:2]
    found, contrast = _standardised(windows.reshape(n_y * n_x, -1))
    found[contrast < _LEAST_CONTRAST] = 0
    likeness = _widened((units @ found.T).reshape(-1, n_y, n_x))
    total, shared = np.zeros((2, 2 * n_y - 1, 2 * n_x - 1), np.float32)
    for block, weight in enumerate(weights):
        y, x = (place * _BLOCK for place in divmod(block, _WIDTH // _BLOCK))
        there = np.s_[n_y - 1 - y : 2 * n_y - 1 - y, n_x - 1 - x : 2 * n_x - 1 - x]
        total[there] += weight * likeness[block]
        shared[there] += weight
    is_enough = shared >= _LEAST_OVERLAP * weights.sum()
    return float((total[is_enough] / shared[is_enough]).max())


def _windows(small: _Floats) -> _Floats:
    return sliding_window_view(small, (_BLOCK, _BLOCK))


def _widened(likeness: _Floats) -> _Floats:
    """Return the largest value within ``_STEP`` of each place ``(blocks, y, x)``."""
    for axis in (1, 2):
        around = [(_STEP, _STEP) if place == axis else (0, 0) for place in range(3)]
        padded = np.pad(likeness, around, constant_values=-1)
        likeness = sliding_window_view(padded, 2 * _STEP + 1, axis=axis).max(-1)
    return likeness
