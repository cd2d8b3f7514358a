"""When the frames of a video are searched: on which the detector runs, and how many at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from facial_expressions.media.frames import ReadAhead

if TYPE_CHECKING:
    from facial_expressions.media.frames import Frame

Found = TypeVar("Found")
Followed = TypeVar("Followed")
Plan = tuple[Callable[[], Found] | None, Callable[[Found | None], Followed]]
"""What is to be done with a frame: a search or None, in any thread; then, in order, what follows
from its answer or None."""

Every = int | Literal["auto"]
"""Every how many frames the detector runs; ``auto`` holds real time."""

EVERY_AUTO: Final = "auto"

_LONGEST_REST_S: Final = 0.5
"""With ``auto`` the detector runs at least twice in a second of video, however slow it is."""


class Schedule:
    """Says whether the detector is to run on a frame; asked once for each, in order.

    With n it runs on frames 0, n, 2n, ... With ``auto`` it runs whenever there is time for it: as
    long as the work is not behind the video. Which frames those are depends on the machine and its
    load; a number repeats.

    Args:
        every: A number of frames, 1 or more, or ``auto``.
        interval_s: Seconds from frame to frame; with ``auto`` the work may be one of them behind.
        clock: Gives the time in seconds.

    Raises:
        ValueError: The number is under 1.

    Examples:
        >>> schedule = Schedule(3, interval_s=0.04)
        >>> [schedule.is_due(index, index * 0.04) for index in range(4)]
        [True, False, False, True]
        >>> clock = iter([0.0, 0.03, 0.2, 0.21]).__next__
        >>> schedule = Schedule("auto", interval_s=0.04, clock=clock)
        >>> [schedule.is_due(index, index * 0.04) for index in range(4)]
        [True, True, False, False]
    """

    def __init__(
        self, every: Every, *, interval_s: float, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._every = None if every == EVERY_AUTO else int(every)
        if self._every is not None and self._every < 1:
            raise ValueError(f"every: must be 'auto' or 1 or more frames, not {every}")
        self._interval_s = interval_s
        self._clock = clock
        self._start_s: float | None = None
        self._last_run_s = 0.0

    def is_due(self, index: int, time_s: float) -> bool:
        """Return whether the detector is to run on a frame, by its number and its time."""
        if self._every is not None:
            return index % self._every == 0
        now_s = self._clock()
        if self._start_s is None:
            self._start_s, self._last_run_s = now_s - time_s, time_s
            return True
        behind_s = now_s - self._start_s - time_s
        is_due = behind_s <= self._interval_s or time_s - self._last_run_s >= _LONGEST_REST_S
        if is_due:
            self._last_run_s = time_s
        return is_due


def look_ahead(
    frames: Iterable[Frame],
    plan: Callable[[Frame], Plan[Found, Followed]],
    ahead: int,
    *,
    threads: int,
) -> Iterator[tuple[Frame, Followed]]:
    """Give each frame with what its plan gave, while the next frames are being worked on.

    Frames are read in the caller's thread and come out in order. What follows a search runs in one
    thread, frame by frame.

    Args:
        frames: In order; read by whoever takes the results, at most ``ahead`` in advance.
        plan: Asked once for each frame, in order.
        ahead: Frames in advance.
        threads: Searches at once.

    Raises:
        ValueError: ``ahead`` is under 1.
        Exception: What reading or searching a frame raises comes when it is that frame's turn.
    """
    if ahead < 1:
        raise ValueError(f"ahead: must be 1 or more, not {ahead}")
    searching = ThreadPoolExecutor(threads, thread_name_prefix="detect")
    following = ThreadPoolExecutor(1, thread_name_prefix="detect-in-order")

    def begin(frame: Frame) -> tuple[Frame, Future[Followed]]:
        search, follow = plan(frame)
        found = searching.submit(search) if search else None
        return frame, following.submit(lambda: follow(found.result() if found else None))

    begun = ReadAhead(map(begin, frames))
    try:
        while begun.fill(ahead + 1):
            frame, followed = begun.take()
            yield frame, followed.result()
    finally:
        searching.shutdown(wait=False, cancel_futures=True)
        following.shutdown(wait=True, cancel_futures=True)
        searching.shutdown(wait=True)
