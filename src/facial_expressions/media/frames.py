"""Frames: a picture with its number and its time, and what everything that gives them has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["ClosedAtExit", "Frame", "FrameSource"]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a video or a camera.

    Attributes:
        index: Number of the frame, counted from 0.
        time_s: Presentation time in seconds; never goes back.
        image: RGB ``uint8 (H, W, 3)``, upright.
    """

    index: int
    time_s: float
    image: NDArray[np.uint8]

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.image.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.image.shape[0])


class FrameSource(Protocol):
    """Anything that gives frames one by one and has to be closed."""

    @property
    def name(self) -> str:
        """What rows call the source."""
        ...

    @property
    def duration_s(self) -> float | None:
        """Length in seconds; None where there is no end or nobody knows it."""
        ...

    @property
    def frame_interval_s(self) -> float:
        """Seconds from frame to frame, on average."""
        ...

    @property
    def note(self) -> str:
        """After the last frame: what was wrong with the source; empty when nothing was."""
        ...

    def __iter__(self) -> Iterator[Frame]: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class ClosedAtExit(ABC):
    """Something with ``close`` that a ``with`` block closes at its end."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
