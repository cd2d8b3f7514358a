"""Frames: an image with its number and its time, and what everything that gives them has."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image of a video or a camera.

    Attributes:
        frame: Number of the frame, counted from 0; as in results and rows.
        time_s: Seconds since the video's start, as players show it; never goes back.
        image: RGB ``uint8 (H, W, 3)``, upright, of square pixels.
        is_cut: Whether a new shot begins with it; see ``mark_cuts``.
        pts_s: Presentation time in seconds as the stream has it; None where it has none.
    """

    frame: int
    time_s: float
    image: NDArray[np.uint8]
    is_cut: bool = False
    pts_s: float | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return (self.image.shape[1], self.image.shape[0])


class FrameSource(AbstractContextManager["FrameSource"]):
    """Anything that gives frames one by one and has to be closed.

    Attributes:
        name: What rows call the source.
        frame_interval_s: Seconds from frame to frame, on average.
        duration_s: Length in seconds; None where there is no end or nobody knows it.
        note: After the last frame: what was wrong with the source; empty when nothing was.
    """

    name: str
    frame_interval_s: float
    duration_s: float | None = None
    note: str = ""

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames, in order."""

    def close(self) -> None:
        """Let go of what is open, if anything is."""

    def __exit__(self, *error: object) -> None:
        self.close()


class ReadAhead(Generic[Item]):
    """Reads items before they are taken; what reading one raises comes when it is its turn.

    Attributes:
        waiting: What was read and not yet taken, from the left.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        self._reader = iter(items)
        self._end: Exception | None = None
        self.waiting: deque[Item] = deque()

    def fill(self, n: int) -> bool:
        """Read until ``n`` items wait or there are no more; say whether any waits."""
        while self._end is None and len(self.waiting) < n:
            try:
                self.waiting.append(next(self._reader))
            except Exception as error:  # noqa: BLE001 - comes after the items before it
                self._end = error
        if not (self.waiting or isinstance(self._end, StopIteration | None)):
            raise self._end
        return bool(self.waiting)
