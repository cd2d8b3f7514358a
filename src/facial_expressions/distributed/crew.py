"""The workers of a batch: hands out tasks, replaces workers that die, isolates what kills them.

A worker has at most two tasks, so that it never waits. When one dies, the task that it was at is
suspect: its inputs are tried again one by one, each alone in a task; an input that was being done
at three crashes gets a row of status ``failed``. Tasks that merely waited there are handed out
again.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from facial_expressions.distributed.inputs import BatchInput
from facial_expressions.distributed.work import RowLine, Task, row_line
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


@dataclass(frozen=True, slots=True)
class WorkerEvent:
    """What a worker reports, or what became of it.

    Attributes:
        worker: Its number.
        kind: ``ready`` (its recognizer is open), ``refused`` (it cannot be opened), ``answered`` (a
            task is done) or ``died``.
        task: Number of the task that was answered.
        rows: Its rows.
        error: Why it was refused.
        reason: How it died.
    """

    worker: int
    kind: Literal["ready", "refused", "answered", "died"]
    task: int = -1
    rows: Sequence[RowLine] = ()
    error: FacialExpressionsError | None = None
    reason: str = ""


class CrewBackend(Protocol):
    """Workers of one kind: processes of this machine, or actors of a cluster."""

    def count_places(self, threads: int) -> int:
        """Return how many workers there is room for.

        Args:
            threads: Threads of each.
        """
        ...

    def start(self, worker: int) -> None:
        """Start a worker; its first event is ``ready`` or ``refused``.

        Args:
            worker: Its number, which no other had before.
        """

    def send(self, worker: int, task: Task) -> None:
        """Give a worker a task.

        Args:
            worker: Its number.
            task: Done after those that it was given before.
        """

    def wait(self, timeout_s: float) -> list[WorkerEvent]:
        """Return what has happened since; waits for something to happen.

        Args:
            timeout_s: Longest wait.
        """
        ...

    def stop(self, worker: int) -> None:
        """End a worker at once; the event ``died`` follows.

        Args:
            worker: Its number.
        """

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
    """

    def __init__(
        self, backend: CrewBackend, n_workers: int, *, timeout_s: float = IMAGE_TIMEOUT_S
    ) -> None:
        self._backend = backend
        self._timeout_s = timeout_s
        self._members: dict[int, _Member] = {}
        self._waiting: deque[Task] = deque()
        self._deaths: dict[int, int] = {}
        self._failed_starts = 0
        self._n_started = 0
        self._n_tasks = 0
        for _ in range(n_workers):
            self._start()

    @property
    def has_room(self) -> bool:
        """Whether another task would soon be taken up."""
        return len(self._waiting) < len(self._members)

    def submit(self, items: Sequence[tuple[int, BatchInput]]) -> None:
        """Take a few inputs to be done.

        Args:
            items: Position and input each.
        """
        self._waiting.append(self._build_task(items))

    def collect(self) -> list[tuple[int, RowLine]]:
        """Hand out tasks, wait for something to happen, and return the rows that are done.

        Returns:
            Position and row of each input that is done; may be empty.

        Raises:
            FacialExpressionsError: A worker cannot open its recognizer.
            ChildProcessError: Workers keep dying while they start, and none does any work.
        """
        self._hand_out()
        done: list[tuple[int, RowLine]] = []
        for event in self._backend.wait(_POLL_S):
            member = self._members.get(event.worker)
            if member is None:
                continue
            if event.kind == "refused" and event.error is not None:
                raise event.error
            if event.kind == "ready":
                member.is_ready = True
                self._failed_starts = 0
            elif event.kind == "answered":
                self._failed_starts = 0  # somebody works: the others may start as often as needed
                done += self._take_rows(member, event)
            else:
                done += self._bury(event.worker, event.reason)
        self._end_the_stuck()
        return done

    def rows_in_order(
        self, items: Iterator[tuple[int, BatchInput]], task_size: int
    ) -> Iterator[tuple[int, RowLine]]:
        """Have inputs done; few rows wait in memory for an earlier one.

        Args:
            items: Position and input each, taken as there is room.
            task_size: Inputs per task.

        Yields:
            Position and row of every input, in the order of the inputs.
        """
        order: deque[int] = deque()
        done: dict[int, RowLine] = {}
        most = max(_TASKS_AHEAD * len(self._members) * task_size, 64)
        is_exhausted = False
        while True:
            while not is_exhausted and len(order) < most and self.has_room:
                taken = list(itertools.islice(items, task_size))
                is_exhausted = not taken
                order.extend(index for index, _ in taken)
                done.update((index, _known_row(one)) for index, one in taken if one.status)
                attempted = [(index, one) for index, one in taken if not one.status]
                if attempted:
                    self.submit(attempted)
            while order and order[0] in done:
                index = order.popleft()
                yield index, done.pop(index)
            if is_exhausted and not order:
                return
            done.update(self.collect())

    def _start(self) -> None:
        self._n_started += 1
        self._members[self._n_started] = _Member()
        self._backend.start(self._n_started)

    def _build_task(self, items: Sequence[tuple[int, BatchInput]]) -> Task:
        self._n_tasks += 1
        return Task(
            self._n_tasks, tuple(index for index, _ in items), tuple(one for _, one in items)
        )

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
            self._backend.send(number, task)

    def _take_rows(self, member: _Member, event: WorkerEvent) -> list[tuple[int, RowLine]]:
        task = next(one for one in member.tasks if one.number == event.task)
        member.tasks.remove(task)
        member.since = time.monotonic()
        for index in task.indices:
            self._deaths.pop(index, None)
        return list(zip(task.indices, event.rows, strict=True))

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
        suspects = member.tasks.popleft() if member.tasks else None
        self._waiting.extendleft(reversed(member.tasks))
        return [] if suspects is None else self._suspect(suspects, reason)

    def _suspect(self, task: Task, reason: str) -> list[tuple[int, RowLine]]:
        """Try every input of a task again alone, or give up the one that was alone too often."""
        again, given_up = [], []
        for index, one in zip(task.indices, task.inputs, strict=True):
            self._deaths[index] = self._deaths.get(index, 0) + 1
            if self._deaths[index] < MAX_DEATHS:
                again.append(self._build_task([(index, one)]))
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
                allowed = self._timeout_s * len(member.tasks[0].inputs)
                if now - member.since > allowed:
                    member.end_reason = f"no answer in {allowed:.0f} seconds"
                    self._backend.stop(number)


def _known_row(one: BatchInput) -> RowLine:
    """Return the row of an input whose fate was known when it was listed."""
    return row_line(ImageResult(one.source, one.status or "failed", error=one.error))
