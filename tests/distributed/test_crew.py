"""The crew by a scripted backend: who gets tasks, who is blamed for a death, when it gives up."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

import pytest

from facial_expressions.distributed.crew import Crew, WorkerEvent
from facial_expressions.distributed.inputs import BatchInput
from facial_expressions.distributed.work import RowLine
from facial_expressions.errors import ModelError


class ScriptedBackend:
    """Workers that do the oldest task at a ``wait`` after which none was sent.

    They die at the names that they are told.
    """

    n_cores = 2

    def __init__(self, deadly: Callable[[str], bool] = lambda name: False) -> None:
        self.deadly = deadly
        self.started: list[int] = []
        self.stopped: list[int] = []
        self.sent: list[str] = []
        self.events: deque[WorkerEvent] = deque()
        self._tasks: dict[int, deque[Sequence[BatchInput]]] = {}
        self._takes_more = False

    def start(self, worker: int) -> None:
        self.started.append(worker)
        self._tasks[worker] = deque()
        self.events.append(WorkerEvent(worker))

    def send(self, worker: int, inputs: Sequence[BatchInput]) -> None:
        self.sent.append(" ".join(one.source for one in inputs))
        self._tasks[worker].append(inputs)
        self._takes_more = True

    def wait(self, timeout_s: float) -> list[WorkerEvent]:
        events = [*self.events]
        self.events.clear()
        if self._takes_more:
            self._takes_more = False
            return events
        for worker, tasks in list(self._tasks.items()):
            if tasks and any(self.deadly(one.source) for one in tasks[0]):
                del self._tasks[worker]
                events.append(WorkerEvent(worker, death="exit code -11"))
            elif tasks:
                rows = [RowLine(one.source, "ok", 0) for one in tasks.popleft()]
                events.append(WorkerEvent(worker, rows))
        return events

    def stop(self, worker: int) -> None:
        self.stopped.append(worker)
        del self._tasks[worker]
        self.events.append(WorkerEvent(worker, death="killed"))

    def close(self) -> None:
        self._tasks = {}


def rows_of(crew: Crew, names: Iterable[str], task_size: int = 2) -> list[RowLine]:
    """Return the rows in order, each by its place in the list."""
    numbered = list(crew.rows_in_order(enumerate(map(BatchInput, names)), task_size))
    assert [index for index, _ in numbered] == list(range(len(numbered)))
    return [row for _, row in numbered]


def test_every_input_is_answered_once() -> None:
    rows = rows_of(Crew(ScriptedBackend(), 2), "abcdefg")
    assert rows == [RowLine(name, "ok", 0) for name in "abcdefg"]


def test_the_image_that_kills_is_given_up_after_three_deaths_and_the_rest_is_done() -> None:
    backend = ScriptedBackend(lambda name: name == "poison")
    rows = rows_of(Crew(backend, 2), ["a", "poison", "b", "c", "d", "e"])
    assert [row.status for row in rows] == ["ok", "failed", "ok", "ok", "ok", "ok"]
    assert "killed 3 workers, the last: exit code -11" in rows[1].line
    assert len(backend.started) == 2 + 3


def test_tasks_that_merely_waited_are_not_suspect() -> None:
    """The second task of a worker that dies is sent again as it was, not image by image."""
    backend = ScriptedBackend(lambda name: name == "poison")
    assert len(rows_of(Crew(backend, 1), ["poison", "a", "b", "c"])) == 4
    assert backend.sent[:2] == ["poison a", "b c"]
    assert set(backend.sent[2:]) == {"poison", "a", "b c"}


def test_a_death_that_was_not_the_images_fault_costs_no_row() -> None:
    killed = iter([True, False])
    crew = Crew(ScriptedBackend(lambda name: name == "a" and next(killed, False)), 2)
    assert [row.status for row in rows_of(crew, "abcd")] == ["ok"] * 4


def test_a_stuck_worker_is_ended_and_its_image_given_up() -> None:
    class Stuck(ScriptedBackend):
        def wait(self, timeout_s: float) -> list[WorkerEvent]:
            events = [*self.events]
            self.events.clear()
            return events

    backend = Stuck()
    (row,) = rows_of(Crew(backend, 1, timeout_s=0), ["a"])
    assert row.status == "failed"
    assert "no answer in 0 seconds" in row.line
    assert backend.stopped == [1, 2, 3]


def test_workers_that_die_while_they_start_stop_the_batch() -> None:
    class NeverReady(ScriptedBackend):
        def start(self, worker: int) -> None:
            self.started.append(worker)
            self.events.append(WorkerEvent(worker, death="exit code 1"))

    with pytest.raises(
        ChildProcessError, match="5 in a row died while starting, the last: exit code 1"
    ):
        rows_of(Crew(NeverReady(), 2), ["a"])


def test_workers_that_die_while_they_start_stop_no_batch_that_goes_on() -> None:
    class OnlyTheFirstIsReady(ScriptedBackend):
        def start(self, worker: int) -> None:
            super().start(worker)
            if worker > 1:
                self.events[-1] = WorkerEvent(worker, death="exit code -9")

    backend = OnlyTheFirstIsReady()
    assert len(rows_of(Crew(backend, 2), "abcdefghij", task_size=1)) == 10
    assert len(backend.started) > 6


def test_a_recognizer_that_cannot_be_opened_is_raised_here() -> None:
    backend = ScriptedBackend()
    crew = Crew(backend, 1)
    backend.events[0] = WorkerEvent(1, ModelError("one: two. Do three"))
    with pytest.raises(ModelError, match="one: two"):
        rows_of(crew, ["a"])


def test_few_rows_wait_for_an_image_that_is_not_done() -> None:
    """The other worker continues only so far, and takes no more inputs than there is room for."""

    class FirstDoneLate(ScriptedBackend):
        n_waits = 0

        def wait(self, timeout_s: float) -> list[WorkerEvent]:
            events = super().wait(timeout_s)
            held = [one for one in events if one.worker == 1 and one.answer]
            self.n_waits += 1
            if self.n_waits < 200:
                self.events.extend(held)
                return [event for event in events if event not in held]
            return events

    n_taken = 0

    def inputs() -> Iterator[tuple[int, BatchInput]]:
        nonlocal n_taken
        for n_taken in range(1000):
            yield n_taken, BatchInput(str(n_taken))

    rows = Crew(FirstDoneLate(), 2).rows_in_order(inputs(), task_size=4)
    assert next(rows)[0] == 0
    assert n_taken < 70
    assert [index for index, _ in rows] == list(range(1, 1000))
