"""When and where the frames of a video are searched, and how many at a time.

On frames that are searched, each face is looked for in a part of the frame around where it should
be by its motion: that takes a fraction of the time, and boxes and landmarks are as fresh. A whole
frame is searched at an interval, at a cut, where its size changes, and when a face is lost; a face
that is new is found by the next of these.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from math import inf
from typing import Final, Literal, TypeVar

from facial_expressions.inference.contracts import Detection
from facial_expressions.inference.recognizer import ExpressionRecognizer
from facial_expressions.media.frames import Frame, ReadAhead
from facial_expressions.media.tracking import is_inside, shared

Found = TypeVar("Found")
Followed = TypeVar("Followed")
Plan = tuple[Callable[[], Found] | None, Callable[[Found | None], Followed]]
"""What is to be done with a frame: a search or None, in any thread; then, in order, what follows
from its answer or None."""

Every = int | Literal["auto"]
"""Every how many frames the detector runs; ``auto`` holds real time."""

_LONGEST_REST_S: Final = 0.5
"""With ``auto`` the detector runs at least twice in a second of video, however slow it is."""

FULL_SEARCH_S: Final = 0.5
"""Seconds of video from one search of a whole frame to the next."""

_REST_S: Final = 0.1
"""Lost faces call for no more than one search of a whole frame in this time."""
_SAME_FACE: Final = 0.2
"""A face is found again where its box and the expected one share at least this, IoU."""


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


class RegionSearch:
    """Finds the faces of one series of frames, in order.

    Args:
        recognizer: What finds faces; where its detector cannot look into regions, every frame is
            searched as a whole.
        interval_s: Seconds of video from one search of a whole frame to the next; 0 searches all
            frames as a whole.
    """

    def __init__(self, recognizer: ExpressionRecognizer, *, interval_s: float) -> None:
        self._recognizer = recognizer
        self._interval_s = interval_s if recognizer.can_search_regions else 0.0
        self._size: tuple[int, int] | None = None
        self._planned_s = -inf
        self._searched_s = -inf
        self._is_lost = False

    def is_full_due(self, frame: Frame) -> bool:
        """Say whether a frame is to be searched as a whole; asked once for each, in order."""
        has_changed = frame.is_cut or frame.size != self._size
        is_due = has_changed or frame.time_s - self._planned_s >= self._interval_s - 1e-6
        if is_due:
            self._size, self._planned_s = frame.size, frame.time_s
        return is_due

    def note_full(self, time_s: float) -> None:
        """Take note that the frame of this time was searched as a whole."""
        self._searched_s, self._is_lost = time_s, False

    def search(
        self, frame: Frame, expected: Sequence[Detection], hidden: Sequence[Detection]
    ) -> list[Detection]:
        """Find the faces of a frame where they should be; called in order.

        Args:
            frame: No earlier than the one before.
            expected: Where the faces of the frame before should be.
            hidden: The same of faces that were seen some frames ago.
        """
        present = [one.box for one in expected if is_inside(one.box, frame.size)]
        lately = [one.box for one in hidden if is_inside(one.box, frame.size)]
        found = self._recognizer.detect(frame.image, near=[*present, *lately])
        boxes = [one.box for one in found]
        self._is_lost |= any(all(shared(one, box) < _SAME_FACE for box in boxes) for one in present)
        if self._is_lost and frame.time_s - self._searched_s >= _REST_S:
            self.note_full(frame.time_s)
            return self._recognizer.detect(frame.image)
        return found


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
            frame, followed = begun.waiting.popleft()
            yield frame, followed.result()
    finally:
        searching.shutdown(wait=False, cancel_futures=True)
        following.shutdown(wait=True, cancel_futures=True)
        searching.shutdown(wait=True)
