"""Workers of a batch as processes of this machine, each with a recognizer of its own."""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from facial_expressions.distributed.crew import WorkerEvent
from facial_expressions.distributed.inputs import BatchInput
from facial_expressions.distributed.work import RecognizerFactory, answer, open_recognizer
from facial_expressions.errors import BatchError, FacialExpressionsError
from facial_expressions.inference.contracts import RowRecognizer
from facial_expressions.processes import Child, own_streams

_GRACE_S = 5.0


class LocalWorkers:
    """A ``CrewBackend`` of processes that share no state with this one, nor with one another.

    Each has pipes of its own: what one does while it dies cannot block another. A worker ends by
    itself when this process is gone.

    Args:
        factory: Opens a worker's recognizer.
        root: Folder at which relative paths start.

    Raises:
        BatchError: The factory cannot be sent to another process.
    """

    def __init__(self, factory: RecognizerFactory, root: Path) -> None:
        try:
            self._opening = pickle.dumps((factory, root))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise BatchError(
                "the factory cannot be sent to workers. Define it as a function at the top of a "
                "module of its own, not inside another function or as a lambda"
            ) from error
        self._workers: dict[int, Child] = {}
        self._events: queue.SimpleQueue[WorkerEvent] = queue.SimpleQueue()

    @property
    def n_cores(self) -> int:
        """The cores that this process may use."""
        has_affinity = hasattr(os, "sched_getaffinity")
        return len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1

    def start(self, worker: int) -> None:
        """Start a process, and a thread that passes on what it says."""
        child = self._workers[worker] = Child(__name__)
        threading.Thread(target=self._listen, args=(worker, child), daemon=True).start()
        self._write(worker, self._opening)

    def send(self, worker: int, inputs: Sequence[BatchInput]) -> None:
        """Give a process a task."""
        self._write(worker, pickle.dumps(inputs))

    def wait(self, timeout_s: float) -> list[WorkerEvent]:
        """Return what has happened since."""
        events: list[WorkerEvent] = []
        with contextlib.suppress(queue.Empty):
            events.append(self._events.get(timeout=timeout_s))
            while True:
                events.append(self._events.get_nowait())
        return events

    def stop(self, worker: int) -> None:
        """Kill a process."""
        self._workers[worker].kill()

    def close(self) -> None:
        """Kill all processes."""
        for child in self._workers.values():
            child.end()
        self._workers = {}

    def _write(self, worker: int, message: bytes) -> None:
        with contextlib.suppress(OSError, ValueError):  # it is dead; the event says so
            self._workers[worker].send(message)

    def _listen(self, number: int, child: Child) -> None:
        """Pass a worker's messages on; the last of a dead one is that it died."""
        with contextlib.suppress(EOFError, OSError, ValueError, pickle.UnpicklingError):
            while True:
                self._events.put(WorkerEvent(number, pickle.load(child.answers)))
        child.end(within_s=_GRACE_S)
        self._events.put(WorkerEvent(number, death=f"exit code {child.returncode}"))


def _serve() -> None:
    """Run a worker: tasks in, rows out, until the pipe closes.

    Nothing is caught but what is raised on purpose: a bug ends the process, which isolates the
    image that made it.
    """
    tasks, answers = own_streams()

    def say(content: object) -> None:
        pickle.dump(content, answers)
        answers.flush()

    with contextlib.suppress(EOFError, BrokenPipeError):
        try:
            recognizer, root = _open(tasks)
        except FacialExpressionsError as error:
            say(error)
            return
        say(None)
        while True:
            say(answer(recognizer, pickle.load(tasks), root))


def _open(tasks: BinaryIO) -> tuple[RowRecognizer, Path]:
    try:
        factory, root = pickle.load(tasks)
    except (AttributeError, ImportError) as error:
        raise BatchError(
            "workers cannot import the factory, as they do not run your script. Move it from the "
            "script into a module beside it and import it from there"
        ) from error
    return open_recognizer(factory), root


if __name__ == "__main__":
    _serve()
