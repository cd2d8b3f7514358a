"""The crew by scripted workers: who gets tasks, who is blamed for a death, when it gives up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing

import pytest

from facial_expressions.distributed.crew import Answer, Crew, Row, WorkerDiedError
from facial_expressions.distributed.inputs import BatchInput
from facial_expressions.errors import ModelError


class Script:
    """Starts workers that answer by an image's name, and die at the names that they are told."""

    def __init__(
        self,
        deadly: Callable[[str], bool] = lambda name: False,
        opening: Callable[[int], WorkerDiedError | ModelError | None] = lambda number: None,
    ) -> None:
        self.deadly = deadly
        self.opening = opening
        self.n_started = 0
        self.sent: list[str] = []
        self.limits: set[float] = set()
        self.gate = threading.Event()
        self.gate.set()

    def start(self) -> ScriptedWorker:
        self.n_started += 1
        return ScriptedWorker(self, self.n_started)


class ScriptedWorker:
    def __init__(self, script: Script, number: int) -> None:
        self._script = script
        self._number = number
        self._is_ended = threading.Event()

    def answer(self, inputs: Sequence[BatchInput], within_s: float) -> Answer:
        if not inputs:
            return self._open()
        names = [one.source for one in inputs]
        self._script.sent.append(" ".join(names))
        self._script.limits.add(within_s / len(inputs))
        if "late" in names:
            self._script.gate.wait(60)
        if "endless" in names:
            self._is_ended.wait(60)
        if self._is_ended.is_set() or any(map(self._script.deadly, names)):
            raise WorkerDiedError("exit code -11")
        return [{"source": name, "status": "ok"} for name in names]

    def _open(self) -> Answer:
        problem = self._script.opening(self._number)
        if isinstance(problem, WorkerDiedError):
            raise problem
        return problem or []

    def end(self) -> None:
        self._is_ended.set()


def rows_of(
    script: Script, names: Iterable[str], n_workers: int = 2, task_size: int = 2
) -> list[Row]:
    """Return the rows in order, each by its place in the list."""
    with closing(Crew(script.start, n_workers)) as crew:
        numbered = list(crew.rows_in_order(enumerate(map(BatchInput, names)), task_size))
    assert [index for index, _ in numbered] == list(range(len(numbered)))
    return [row for _, row in numbered]


def test_every_input_is_answered_once() -> None:
    assert rows_of(Script(), "abcdefg") == [{"source": name, "status": "ok"} for name in "abcdefg"]


def test_the_image_that_kills_is_given_up_after_three_deaths_and_the_rest_is_done() -> None:
    script = Script(lambda name: name == "poison")
    rows = rows_of(script, ["a", "poison", "b", "c", "d", "e"])
    assert [row["status"] for row in rows] == ["ok", "failed", "ok", "ok", "ok", "ok"]
    assert "killed 3 workers, the last: exit code -11" in rows[1]["error"]
    assert sum("poison" in names for names in script.sent) == 3


def test_only_the_task_at_which_a_worker_died_is_suspect() -> None:
    """Others are sent as they are, not image by image."""
    script = Script(lambda name: name == "poison")
    assert len(rows_of(script, ["poison", "a", "b", "c"], n_workers=1)) == 4
    assert sorted(script.sent) == ["a", "b c", "poison", "poison", "poison a"]


def test_a_death_that_was_not_the_images_fault_costs_no_row() -> None:
    killed = iter([True, False])
    rows = rows_of(Script(lambda name: name == "a" and next(killed, False)), "abcd")
    assert [row["status"] for row in rows] == ["ok"] * 4


def test_a_task_has_time_for_each_of_its_images() -> None:
    script = Script()
    with closing(Crew(script.start, 1, timeout_s=7)) as crew:
        list(crew.rows_in_order(enumerate(map(BatchInput, "abc")), 2))
    assert script.limits == {7}


def test_workers_that_die_while_they_start_stop_the_batch() -> None:
    script = Script(opening=lambda number: WorkerDiedError("exit code 1"))
    said = "5 in a row died while starting, the last: exit code 1"
    with pytest.raises(ChildProcessError, match=said):
        rows_of(script, ["a"], n_workers=1)
    assert script.n_started == 5


def test_workers_that_die_while_they_start_stop_no_batch_that_goes_on() -> None:
    """While one works, the other dies ten times, once at each image."""
    at_image, died = threading.Semaphore(0), threading.Semaphore(0)

    def opening(number: int) -> WorkerDiedError | None:
        if number == 1 or number > 11 or not at_image.acquire(timeout=60):
            return None
        died.release()
        return WorkerDiedError("exit code -9")

    def is_deadly(name: str) -> bool:
        at_image.release()
        return not died.acquire(timeout=60)

    script = Script(is_deadly, opening)
    assert {row["status"] for row in rows_of(script, "abcdefghij", task_size=1)} == {"ok"}
    assert script.n_started >= 11


def test_a_recognizer_that_cannot_be_opened_is_raised_here() -> None:
    script = Script(opening=lambda number: ModelError("one: two. Do three"))
    with pytest.raises(ModelError, match="one: two"):
        rows_of(script, ["a"], n_workers=1)


def test_closing_ends_a_worker_that_is_at_an_image() -> None:
    script = Script()
    crew = Crew(script.start, 1)
    rows = crew.rows_in_order(enumerate(map(BatchInput, ["a", "endless"])), 1)
    assert next(rows)[0] == 0
    crew.close()
    assert script.n_started <= 2


def test_few_rows_wait_for_an_image_that_is_not_done() -> None:
    """The other worker continues only so far, and no more inputs are taken than there is room."""
    n_taken = 0

    def inputs() -> Iterator[tuple[int, BatchInput]]:
        nonlocal n_taken
        for n_taken in range(1000):
            yield n_taken, BatchInput("late" if n_taken == 0 else str(n_taken))

    def open_the_gate(name: str) -> bool:
        if name == "63":
            script.gate.set()
        return False

    script = Script(open_the_gate)
    script.gate.clear()
    with closing(Crew(script.start, 2)) as crew:
        rows = crew.rows_in_order(inputs(), task_size=4)
        assert next(rows)[0] == 0
        assert n_taken < 70
        assert [index for index, _ in rows] == list(range(1, 1000))
