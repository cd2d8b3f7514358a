"""The crew by a scripted backend: who gets tasks, who is blamed for a death, when it gives up."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

import pytest

from facial_expressions.distributed.crew import Crew, WorkerEvent
from facial_expressions.distributed.inputs import BatchInput
from facial_expressions.distributed.work import RowLine, Task
from facial_expressions.errors import ModelError


class ScriptedBackend:
    """Workers that do the oldest task at each ``wait``, and die at the names that they are told."""

    def __init__(self, deadly: Callable[[str], bool] = lambda name: False) -> None:
        self.deadly = deadly
        self.started: list[int] = []
        self.stopped: list[int] = []
        self.sent: list[tuple[int, tuple[int, ...]]] = []
        self.events: deque[WorkerEvent] = deque()
        self._tasks: dict[int, deque[Task]] = {}

    def count_places(self, threads: int) -> int:
        return 2 // threads

    def start(self, worker: int) -> None:
        self.started.append(worker)
        self._tasks[worker] = deque()
        self.events.append(WorkerEvent(worker, "ready"))

    def send(self, worker: int, task: Task) -> None:
        self.sent.append((worker, task.indices))
        self._tasks[worker].append(task)

    def wait(self, timeout_s: float) -> list[WorkerEvent]:
        events = [*self.events]
        self.events.clear()
        for worker, tasks in list(self._tasks.items()):
            if tasks and any(self.deadly(one.source) for one in tasks[0].inputs):
                del self._tasks[worker]
                events.append(WorkerEvent(worker, "died", reason="exit code -11"))
            elif tasks:
                task = tasks.popleft()
                rows = [RowLine(one.source, "ok", 0) for one in task.inputs]
                events.append(WorkerEvent(worker, "answered", task.number, rows))
        return events

    def stop(self, worker: int) -> None:
        self.stopped.append(worker)
        del self._tasks[worker]
        self.events.append(WorkerEvent(worker, "died", reason="killed"))

    def close(self) -> None:
        self._tasks = {}


def submit(crew: Crew, *groups: Sequence[str]) -> None:
    index = 0
    for names in groups:
        crew.submit([(index + i, BatchInput(name)) for i, name in enumerate(names)])
        index += len(names)


def finish(crew: Crew, n_inputs: int) -> list[tuple[int, RowLine]]:
    rows: list[tuple[int, RowLine]] = []
    for _ in range(100):
        rows += crew.collect()
        if len(rows) >= n_inputs:
            return rows
    raise AssertionError("never done")


def test_every_input_is_answered_once() -> None:
    crew = Crew(ScriptedBackend(), 2)
    submit(crew, "ab", "cd", "ef", "g")
    rows = finish(crew, 7)
    assert sorted(rows, key=lambda pair: pair[0]) == [
        (index, RowLine(name, "ok", 0)) for index, name in enumerate("abcdefg")
    ]


def test_the_image_that_kills_is_given_up_after_three_deaths_and_the_rest_is_done() -> None:
    backend = ScriptedBackend(lambda name: name == "poison")
    crew = Crew(backend, 2)
    submit(crew, ["a", "poison", "b"], ["c"], ["d", "e"])
    rows = dict(finish(crew, 6))
    assert {index: row.status for index, row in rows.items()} == {
        0: "ok", 1: "failed", 2: "ok", 3: "ok", 4: "ok", 5: "ok",
    }  # fmt: skip
    assert "killed 3 workers, the last: exit code -11" in rows[1].line
    assert len(backend.started) == 2 + 3


def test_tasks_that_merely_waited_are_not_suspect() -> None:
    """The second task of a worker that dies is sent again as it was, not image by image."""
    backend = ScriptedBackend(lambda name: name == "poison")
    crew = Crew(backend, 1)
    submit(crew, ["poison"], ["a", "b"])
    assert len(finish(crew, 3)) == 3
    assert {indices for _, indices in backend.sent} == {(0,), (1, 2)}


def test_a_death_that_was_not_the_images_fault_costs_no_row() -> None:
    killed = iter([True, False])
    crew = Crew(ScriptedBackend(lambda name: name == "a" and next(killed, False)), 2)
    submit(crew, ["a", "b"], ["c", "d"])
    assert sorted((index, row.status) for index, row in finish(crew, 4)) == [
        (0, "ok"), (1, "ok"), (2, "ok"), (3, "ok"),
    ]  # fmt: skip


def test_a_stuck_worker_is_ended_and_its_image_given_up() -> None:
    class Stuck(ScriptedBackend):
        def wait(self, timeout_s: float) -> list[WorkerEvent]:
            events = [*self.events]
            self.events.clear()
            return events

    backend = Stuck()
    crew = Crew(backend, 1, timeout_s=0)
    submit(crew, ["a"])
    ((index, row),) = finish(crew, 1)
    assert (index, row.status) == (0, "failed")
    assert "no answer in 0 seconds" in row.line
    assert backend.stopped == [1, 2, 3]


def test_workers_that_die_while_they_start_stop_the_batch() -> None:
    class NeverReady(ScriptedBackend):
        def start(self, worker: int) -> None:
            self.started.append(worker)
            self.events.append(WorkerEvent(worker, "died", reason="exit code 1"))

    backend = NeverReady()
    crew = Crew(backend, 2)
    submit(crew, ["a"])
    with pytest.raises(
        ChildProcessError, match="5 in a row died while starting, the last: exit code 1"
    ):
        finish(crew, 1)


def test_workers_that_die_while_they_start_stop_no_batch_that_goes_on() -> None:
    class OnlyTheFirstIsReady(ScriptedBackend):
        def start(self, worker: int) -> None:
            super().start(worker)
            if worker > 1:
                self.events[-1] = WorkerEvent(worker, "died", reason="exit code -9")

    backend = OnlyTheFirstIsReady()
    crew = Crew(backend, 2)
    submit(crew, *"abcdefghij")
    assert [index for index, _ in finish(crew, 10)] == list(range(10))
    assert len(backend.started) > 6


def test_a_recognizer_that_cannot_be_opened_is_raised_here() -> None:
    backend = ScriptedBackend()
    crew = Crew(backend, 1)
    backend.events[0] = WorkerEvent(1, "refused", error=ModelError("one: two. Do three"))
    with pytest.raises(ModelError, match="one: two"):
        crew.collect()


def test_there_is_room_for_as_many_waiting_tasks_as_workers() -> None:
    crew = Crew(ScriptedBackend(), 2)
    submit(crew, ["a"])
    assert crew.has_room
    submit(crew, ["b"])
    assert not crew.has_room


def test_few_rows_wait_for_an_image_that_is_not_done() -> None:
    """The other worker continues only so far, and takes no more inputs than there is room for."""

    class FirstDoneLate(ScriptedBackend):
        n_waits = 0

        def wait(self, timeout_s: float) -> list[WorkerEvent]:
            events = super().wait(timeout_s)
            held = [e for e in events if e.kind == "answered" and e.rows[0].line == "0"]
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
