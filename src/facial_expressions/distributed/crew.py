"""The workers of a batch: hands out tasks, replaces workers that die, isolates what kills them.

A worker has at most two tasks, so that it never waits. When one dies, the task that it was at is
suspect: its inputs are tried again one by one, each alone in a task; an input that was being done
at three crashes gets a row of status ``failed``. Tasks that merely waited there are handed out
again.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from facial_expressions.distributed.inputs import BatchInput
from facial_expressions.distributed.work import RowLine, row_line
from facial_expressions.errors import FacialExpressionsError
from facial_expressions.results import ImageResult

MAX_DEATHS: Final = 3
"""An input that was being done at this many deaths is given up."""

IMAGE_TIMEOUT_S: Final = 120.0
"""A worker that needs longer for an image is ended."""

_DEPTH: Final = 2
_TASKS_AHEAD: Final = 8
"""Tasks per worker that may be ahead of the oldest row that is not done: this bounds memory."""

_MAX_FAILED_STARTS: Final = 5
_POLL_S: Final = 1.0

Task = Sequence[tuple[int, BatchInput]]
"""A few inputs that one worker does at once, each after its position in the batch."""


@dataclass(frozen=True, slots=True)
class WorkerEvent:
    """What a worker says, or what became of it.

    Attributes:
        worker: Its number.
        answer: At first None, when its recognizer is open, or why it cannot be opened; then the
            rows of its tasks, in the order in which it was given them.
        death: How it died; empty while it lives.
    """

    worker: int
    answer: Sequence[RowLine] | FacialExpressionsError | None = None
    death: str = ""


class CrewBackend(Protocol):
    """Workers of one kind: processes of this machine, or actors of a cluster.

    Each is called by a number that no other had before.
    """

    @property
    def n_cores(self) -> int:
        """Cores that there are for all workers."""
        ...

    def start(self, worker: int) -> None:
        """Start a worker."""

    def send(self, worker: int, inputs: Sequence[BatchInput]) -> None:
        """Give a worker a task, which is done after those that it was given before."""

    def wait(self, timeout_s: float) -> list[WorkerEvent]:
        """Wait for something to happen, but not for longer; return what has happened since."""
        ...

    def stop(self, worker: int) -> None:
        """End a worker at once; that it died is an event."""

    def close(self) -> None:
        """End all workers at once and give everything back."""


@dataclass(slots=True)
class _Member:
    """A worker as the crew sees it; ``since`` is when it took up the first of its tasks."""

    is_ready: bool = False
    since: float = 0.0
    end_reason: str = ""
    tasks: deque[Task] = field(default_factory=deque)


class Crew:
    """A fixed number of workers that outlives any of them.

    Args:
        backend: Starts and ends workers.
        n_workers: How many there are at a time.
        timeout_s: A worker that needs longer for an image is ended.

    Attributes:
        n_workers: As given.
    """

    def __init__(
        self, backend: CrewBackend, n_workers: int, *, timeout_s: float = IMAGE_TIMEOUT_S
    ) -> None:
        self._backend = backend
        self._timeout_s = timeout_s
        self._members: dict[int, _Member] = {}
        self._waiting: deque[Task] = deque()
        self._deaths: Counter[int] = Counter()
        self._failed_starts = 0
        self._n_started = 0
        self.n_workers = n_workers
        for _ in range(n_workers):
            self._start()

    def rows_in_order(
        self, items: Iterator[tuple[int, BatchInput]], task_size: int
    ) -> Iterator[tuple[int, RowLine]]:
        """Have inputs done; few rows wait in memory for an earlier one.

        Args:
            items: Position and input each, taken as there is room.
            task_size: Inputs per task.

        Yields:
            Position and row of every input, in the order of the inputs.

        Raises:
            FacialExpressionsError: A worker cannot open its recognizer.
            ChildProcessError: Workers keep dying while they start, and none does any work.
        """
        order: deque[int] = deque()
        done: dict[int, RowLine] = {}
        most = max(_TASKS_AHEAD * self.n_workers * task_size, 64)
        is_exhausted = False
        while True:
            while not is_exhausted and len(order) < most and len(self._waiting) < self.n_workers:
                taken = list(itertools.islice(items, task_size))
                is_exhausted = not taken
                order.extend(index for index, _ in taken)
                done.update((index, _known_row(one)) for index, one in taken if one.status)
                if attempted := [(index, one) for index, one in taken if not one.status]:
                    self._waiting.append(attempted)
            while order and order[0] in done:
                index = order.popleft()
                yield index, done.pop(index)
            if is_exhausted and not order:
                return
            self._hand_out()
            for event in self._backend.wait(_POLL_S):
                done.update(self._take(event))
            self._end_the_stuck()

    def _start(self) -> None:
        self._n_started += 1
        self._members[self._n_started] = _Member()
        self._backend.start(self._n_started)

    def _hand_out(self) -> None:
        """Give tasks to the workers that have fewest."""
        while self._waiting:
            able = [
                (len(member.tasks), number)
                for number, member in self._members.items()
                if member.is_ready and len(member.tasks) < _DEPTH
            ]
            if not able:
                return
            _, number = min(able)
            member, task = self._members[number], self._waiting.popleft()
            if not member.tasks:
                member.since = time.monotonic()
            member.tasks.append(task)
            self._backend.send(number, [one for _, one in task])

    def _take(self, event: WorkerEvent) -> list[tuple[int, RowLine]]:
        """Return the rows that an event brings, with their positions."""
        if event.death:
            return self._bury(event.worker, event.death)
        if isinstance(event.answer, FacialExpressionsError):
            raise event.answer
        member = self._members[event.worker]
        self._failed_starts = 0  # somebody works: the others may start as often as needed
        if event.answer is None:
            member.is_ready = True
            return []
        indices = [index for index, _ in member.tasks.popleft()]
        member.since = time.monotonic()
        for index in indices:
            del self._deaths[index]
        return list(zip(indices, event.answer, strict=True))

    def _bury(self, number: int, reason: str) -> list[tuple[int, RowLine]]:
        """Replace a dead worker; return the row of an input that is given up."""
        member = self._members.pop(number)
        reason = member.end_reason or reason
        if not member.is_ready:
            self._failed_starts += 1
            if self._failed_starts >= _MAX_FAILED_STARTS:
                raise ChildProcessError(
                    f"workers: {self._failed_starts} in a row died while starting, the last: "
                    f"{reason}. Use fewer workers, or more memory"
                )
        self._start()
        suspects = member.tasks.popleft() if member.tasks else ()
        self._waiting.extendleft(reversed(member.tasks))
        return self._suspect(suspects, reason)

    def _suspect(self, task: Task, reason: str) -> list[tuple[int, RowLine]]:
        """Try every input of a task again alone, or give up the one that was alone too often."""
        again, given_up = [], []
        for index, one in task:
            self._deaths[index] += 1
            if self._deaths[index] < MAX_DEATHS:
                again.append([(index, one)])
                continue
            del self._deaths[index]
            error = (
                f"the image killed {MAX_DEATHS} workers, the last: {reason}. Check it with another "
                "program"
            )
            given_up.append((index, row_line(ImageResult(one.source, "failed", error=error))))
        self._waiting.extendleft(reversed(again))
        return given_up

    def _end_the_stuck(self) -> None:
        now = time.monotonic()
        for number, member in self._members.items():
            if member.tasks and not member.end_reason:
                allowed = self._timeout_s * len(member.tasks[0])
                if now - member.since > allowed:
                    member.end_reason = f"no answer in {allowed:.0f} seconds"
                    self._backend.stop(number)


def _known_row(one: BatchInput) -> RowLine:
    """Return the row of an input whose fate was known when it was listed."""
    return row_line(ImageResult(one.source, one.status or "failed", error=one.error))
