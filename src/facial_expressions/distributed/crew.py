"""The workers of a batch: what they do, who hands out tasks, replaces and isolates.

When a worker dies, its task is suspect: the inputs are tried again, each alone; an input that was
being done at three crashes gets a row of status ``failed``.
"""

from __future__ import annotations

import functools
import itertools
import queue
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol

from facial_expressions.distributed.inputs import BatchInput
from facial_expressions.errors import FacialExpressionsError
from facial_expressions.inference.contracts import RowRecognizer
from facial_expressions.results import ImageResult

MAX_DEATHS: Final = 3
"""An input that was being done at this many deaths is given up."""

IMAGE_TIMEOUT_S: Final = 120.0
"""A worker that needs longer for an image is ended."""

_TASKS_AHEAD: Final = 8
"""Tasks per worker that may be ahead of the oldest row that is not done: this bounds memory."""

_MAX_FAILED_STARTS: Final = 5
_POLL_S: Final = 0.2


Row = dict[str, Any]
"""What ``ImageResult.to_dict`` returns."""

Answer = list[Row] | FacialExpressionsError
"""Rows of a few inputs, in their order, or why the recognizer cannot be opened."""


@dataclass
class RowMaker:
    """What every worker does, in a process of its own.

    Attributes:
        factory: Opens its recognizer, with the first answer; must pickle.
        root: Folder at which relative paths start.
    """

    factory: Callable[[], RowRecognizer]
    root: Path

    @functools.cached_property
    def _recognizer(self) -> RowRecognizer:
        warnings.filterwarnings("ignore", module=r"PIL\.")  # of metadata that is ignored anyway
        return self.factory()

    def answer(self, inputs: Sequence[BatchInput]) -> Answer:
        """Recognise a few inputs; all faces go through the network at once."""
        try:
            recognizer = self._recognizer
        except FacialExpressionsError as error:
            return error
        read = [one.read(self.root) for one in inputs]
        sources = [one for one in read if not isinstance(one, ImageResult)]
        results = recognizer.recognize_rows(sources, batch_size=max(1, len(sources)))
        rows = []
        for one, source in zip(inputs, read, strict=True):
            result = source if isinstance(source, ImageResult) else next(results)
            rows.append(replace(result, source=one.source).to_dict())
        return rows


class WorkerDiedError(Exception):
    """Raised by a worker that died, or that was ended as it took too long; says how."""


class Worker(Protocol):
    """A process of this machine, or an actor of a cluster, with a ``RowMaker`` of its own."""

    def answer(self, inputs: Sequence[BatchInput], within_s: float) -> Answer:
        """Wait for what the maker answers; to no inputs it does as soon as it is ready.

        Raises:
            WorkerDiedError: It died, or has been ended as it took longer.
        """
        ...

    def end(self) -> None:
        """End it at once, also while another thread waits for it."""


Start = Callable[[], Worker]
"""Starts a worker, without waiting for it."""


@dataclass(slots=True)
class _Job:
    """One input on its way to a row."""

    index: int
    one: BatchInput
    row: Future[Row] = field(default_factory=Future)
    n_deaths: int = 0


class Crew:
    """A fixed number of workers that outlives any of them, each with a thread that waits for it.

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
        # By the position of their first input: the oldest first.
        self._tasks: queue.PriorityQueue[tuple[int, list[_Job]]] = queue.PriorityQueue()
        self._living: set[Worker] = set()
        self._failed_starts = 0
        self._closed = threading.Event()
        self._pool = ThreadPoolExecutor(n_workers)
        self._threads: list[Future[Any]] = [self._pool.submit(self._work) for _ in range(n_workers)]

    def rows_in_order(
        self, items: Iterator[tuple[int, BatchInput]], task_size: int
    ) -> Iterator[tuple[int, Row]]:
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
        waiting: deque[_Job] = deque()
        most = max(_TASKS_AHEAD * self.n_workers * task_size, 64)
        jobs = itertools.starmap(_Job, items)
        for task in iter(lambda: list(itertools.islice(jobs, task_size)), []):
            self._tasks.put((task[0].index, task))
            waiting += task
            while len(waiting) >= most:
                yield self._finished(waiting.popleft())
        while waiting:
            yield self._finished(waiting.popleft())

    def close(self) -> None:
        """End all workers at once, and the threads that wait for them."""
        self._closed.set()
        for worker in tuple(self._living):
            worker.end()
        for _ in self._threads:
            self._tasks.put((-1, []))
        self._pool.shutdown()

    def _finished(self, job: _Job) -> tuple[int, Row]:
        while not job.row.done():
            # Windows hears no Ctrl-C while it waits without an end.
            done, _ = wait([job.row, *self._threads], _POLL_S, FIRST_COMPLETED)
            for one in done:
                one.result()  # of a thread: raises why it gave up
        return job.index, job.row.result()

    def _work(self) -> None:
        """Have one worker after another do tasks."""
        while not self._closed.is_set():
            worker = self._start()
            self._living.add(worker)
            if self._closed.is_set():  # which has not seen this one
                worker.end()
            self._use(worker)
            self._living.discard(worker)

    def _use(self, worker: Worker) -> None:
        """Have a worker do tasks until it dies, or the batch ends."""
        task: list[_Job] = []  # done when it is ready
        within_s = threading.TIMEOUT_MAX
        try:
            while True:
                answer = worker.answer([job.one for job in task], within_s)
                if isinstance(answer, FacialExpressionsError):
                    raise answer
                self._failed_starts = 0  # somebody works: the others may start as often as needed
                for job, row in zip(task, answer, strict=True):
                    job.row.set_result(row)
                task = self._tasks.get()[1]
                if not task:
                    return
                within_s = self._timeout_s * len(task)
        except WorkerDiedError as death:
            self._failed_starts += not task
            if self._failed_starts >= _MAX_FAILED_STARTS:
                raise ChildProcessError(
                    f"workers: {self._failed_starts} in a row died while starting, the last: "
                    f"{death}. Use fewer workers, or more memory"
                ) from death
            for job in task:
                self._try_alone(job, death)

    def _try_alone(self, job: _Job, death: WorkerDiedError) -> None:
        """Have an input done again at which a worker has died, unless it is given up."""
        job.n_deaths += 1
        if job.n_deaths < MAX_DEATHS:
            self._tasks.put((job.index, [job]))
            return
        error = (
            f"the image killed {MAX_DEATHS} workers, the last: {death}. Check it with another "
            "program"
        )
        job.row.set_result(ImageResult(job.one.source, "failed", error=error).to_dict())
