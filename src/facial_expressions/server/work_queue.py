"""Bounded work: a few workers, a short queue, a deadline; what nobody waits for is dropped.

Work runs in threads, so that the event loop stays free to answer. What is admitted is counted until
its thread is done with it, even when its client has long been told that it took too long: the
count says how busy the machine is, not how many clients wait. On a slow machine the queue is
shorter than its limit: who would wait longer than half the deadline is turned away at once, while
that is still of use to them.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Final, TypeVar

from facial_expressions.server.limits import OVERLOADED, RequestError, ServerLimits

_LONGEST_WAIT: Final = 0.5
"""Share of the deadline that may be spent waiting."""

_MEMORY: Final = 0.8
"""Weight of what was known of the time of a piece of work, against that of the newest."""

Answer = TypeVar("Answer")
CheckWanted = Callable[[], None]
"""Called by work between its stages; ends it, by raising, when nobody waits for its answer."""


class WorkQueue:
    """Lets work in, up to a limit, and runs it.

    Args:
        limits: How many workers, how long a queue, what deadline.

    Attributes:
        admitted: Pieces of work that run or wait.
    """

    def __init__(self, limits: ServerLimits) -> None:
        self._limits = limits
        self._workers = ThreadPoolExecutor(limits.workers, thread_name_prefix="recognize")
        self._lock = threading.Lock()
        self.admitted = 0
        self._takes_s = 0.0
        self._began: dict[int, float] = {}

    def check_room(self) -> None:
        """Turn away what would not be admitted.

        Raises:
            RequestError: 503, the queue is full, or as long as the deadline allows.
        """
        n_before = max(0, self.admitted - self._limits.workers + 1)
        running_s = time.monotonic() - min(list(self._began.values()), default=math.inf)
        wait_s = n_before / self._limits.workers * max(self._takes_s, running_s)
        if n_before > self._limits.waiting or wait_s > _LONGEST_WAIT * self._limits.answer_s:
            raise RequestError(503, *OVERLOADED)

    async def run(self, work: Callable[[CheckWanted], Answer]) -> Answer:
        """Run work in a thread and wait for its answer.

        Cancelling this drops the work when it has not begun, and tells it when it has.

        Args:
            work: Called with a function that it calls between its stages.

        Returns:
            What the work returns.

        Raises:
            RequestError: 503, the queue is full; 504, the deadline passed.
        """
        abandoned = threading.Event()
        with self._lock:
            self.check_room()
            self.admitted += 1
        future = self._workers.submit(self._timed, work, abandoned)
        future.add_done_callback(self._leave)
        try:
            async with asyncio.timeout(self._limits.answer_s) as deadline:
                return await asyncio.wrap_future(future)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise RequestError(
                504, "deadline_passed", "The answer took too long. Try a smaller image."
            ) from None
        finally:
            abandoned.set()

    def close(self) -> None:
        """Drop what waits; what runs is let finish."""
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _timed(self, work: Callable[[CheckWanted], Answer], abandoned: threading.Event) -> Answer:
        """Run work in a thread and remember how long it takes, unless it was dropped."""

        def check_wanted() -> None:
            if abandoned.is_set():
                raise CancelledError

        began = self._began[threading.get_ident()] = time.monotonic()
        try:
            return work(check_wanted)
        finally:
            took_s = time.monotonic() - began
            with self._lock:
                del self._began[threading.get_ident()]
                known_s = self._takes_s or took_s
                # What was dropped would have taken longer still, or had not even begun.
                if not abandoned.is_set() or took_s > known_s * _MEMORY:
                    self._takes_s = _MEMORY * known_s + (1 - _MEMORY) * took_s

    def _leave(self, _: Future[Answer]) -> None:
        with self._lock:
            self.admitted -= 1
