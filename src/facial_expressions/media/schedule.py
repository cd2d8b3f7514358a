"""On which frames of a video the detector runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Literal

Every = int | Literal["auto"]
"""Every how many frames the detector runs; ``auto`` holds real time."""

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
        self._every = None if every == "auto" else int(every)
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
