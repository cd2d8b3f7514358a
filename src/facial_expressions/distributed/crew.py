"""The workers of a batch: hands out tasks, replaces workers that die, isolates what kills them.

When a worker dies, its task is suspect: the inputs are tried again, each alone; an input that was
being done at three crashes gets a row of status ``failed``.
"""

from __future__ import annotations

import itertools
import queue
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final, Protocol

from facial_expressions.distributed.inputs import BatchInput
from facial_expressions.distributed.work import RowLine, row_line
from facial_expressions.results import ImageResult

MAX_DEATHS: Final = 3
"""An input that was being done at this many deaths is given up."""

IMAGE_TIMEOUT_S: Final = 120.0
"""A worker that needs longer for an image is ended."""

_TASKS_AHEAD: Final = 8
"""Tasks per worker that may be ahead of the oldest row that is not done: this bounds memory."""

_MAX_FAILED_STARTS: Final = 5
_POLL_S: Final = 1.0

_Rows = list[tuple[int, RowLine]]


class WorkerDiedError(Exception):
    """Raised by a worker that died, or that was ended as it took too long; says how."""


class Worker(Protocol):
    """A process of this machine, or an actor of a cluster, with a recognizer of its own."""

    def open(self) -> None:
        """Wait until its recognizer is open.

        Raises:
            WorkerDiedError: It died.
            FacialExpressionsError: The recognizer cannot be opened.
        """

    def answer(self, inputs: Sequence[BatchInput], within_s: float) -> Sequence[RowLine]:
        """Wait for the rows of a few inputs, in their order.

        Raises:
            WorkerDiedError: It died, or has been ended as it took longer.
        """
        ...

    def end(self) -> None:
        """End it at once, also while another thread waits for it."""


Start = Callable[[], Worker]
"""Starts a worker, without waiting for it."""


class Crew:
    """A fixed number of workers that outlives any of them; for each task a thread waits.

    Args:
        start: Starts a worker.
        n_workers: How many there are at a time.
        timeout_s: A worker that needs longer for an image is ended.

    Attributes:
        n_workers: As given.
    """

    def __init__(self, start: Start, n_workers: int, timeout_s: float = IMAGE_TIMEOUT_S) -> None:
        self.n_workers = n_workers
        self._start = start
        self._timeout_s = timeout_s
        self._askers = ThreadPoolExecutor(n_workers)
        self._openers = ThreadPoolExecutor(n_workers)
        self._living: set[Worker] = set()
        self._idle: queue.SimpleQueue[Worker | Exception] = queue.SimpleQueue()
        self._failed_starts = 0
        self._is_closed = False
        for _ in range(n_workers):
            self._openers.submit(self._open_another)

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
        tasks: deque[Future[_Rows]] = deque()
        most = max(_TASKS_AHEAD * self.n_workers, 64 // task_size)
        for task in iter(lambda: list(itertools.islice(items, task_size)), []):
            tasks.append(self._askers.submit(self._do, task))
            if len(tasks) >= most:
                yield from _result(tasks.popleft())
        while tasks:
            yield from _result(tasks.popleft())

    def close(self) -> None:
        """End all workers at once, and the threads that wait for them."""
        self._is_closed = True
        for worker in tuple(self._living):
            worker.end()
        self._idle.put(ChildProcessError("the batch has ended"))
        for threads in (self._askers, self._openers):
            threads.shutdown(cancel_futures=True)

    def _do(self, task: Sequence[tuple[int, BatchInput]]) -> _Rows:
        inputs = [one for _, one in task]
        try:
            rows = self._ask(inputs)
        except WorkerDiedError as death:
            rows = [self._ask_alone(one, death) for one in inputs]
        return [(index, row) for (index, _), row in zip(task, rows, strict=True)]

    def _ask_alone(self, one: BatchInput, death: WorkerDiedError) -> RowLine:
        """Try an input at which a worker has died again, until it is given up."""
        for _ in range(MAX_DEATHS - 1):
            try:
                (row,) = self._ask([one])
            except WorkerDiedError as another:
                death = another
            else:
                return row
        error = (
            f"the image killed {MAX_DEATHS} workers, the last: {death}. Check it with another "
            "program"
        )
        return row_line(ImageResult(one.source, "failed", error=error))

    def _ask(self, inputs: Sequence[BatchInput]) -> Sequence[RowLine]:
        """Have the worker that is idle for longest do some inputs; a dead one is replaced."""
        worker = self._idle.get()
        if isinstance(worker, Exception):
            self._idle.put(worker)  # for the other threads
            raise worker
        try:
            rows = worker.answer(inputs, self._timeout_s * len(inputs))
        except WorkerDiedError:
            self._living.discard(worker)
            self._openers.submit(self._open_another)
            raise
        self._failed_starts = 0  # somebody works: the others may start as often as needed
        self._idle.put(worker)
        return rows

    def _open_another(self) -> None:
        """Add a worker to the idle ones, or in its place why there will be none."""
        while not self._is_closed:
            try:
                self._idle.put(self._opened())
            except WorkerDiedError as death:
                self._failed_starts += 1
                if self._failed_starts < _MAX_FAILED_STARTS:
                    continue
                problem = (
                    f"workers: {self._failed_starts} in a row died while starting, the last: "
                    f"{death}. Use fewer workers, or more memory"
                )
                self._idle.put(ChildProcessError(problem))
            except Exception as error:  # noqa: BLE001 - raised where the rows are waited for
                self._idle.put(error)
            return

    def _opened(self) -> Worker:
        worker = self._start()
        self._living.add(worker)
        try:
            if self._is_closed:  # which has not seen this one
                worker.end()
            worker.open()
        except WorkerDiedError:
            self._living.discard(worker)
            raise
        self._failed_starts = 0
        return worker


def _result(task: Future[_Rows]) -> _Rows:
    while not task.done():
        wait([task], _POLL_S)  # Windows hears no Ctrl-C while it waits without an end
    return task.result()
