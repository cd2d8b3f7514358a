"""Workers of a batch as processes of this machine, each with a recognizer of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from facial_expressions.distributed.crew import WorkerEvent
from facial_expressions.distributed.work import (
    RecognizerFactory,
    Task,
    answer,
    open_recognizer,
)
from facial_expressions.errors import FacialExpressionsError

__all__ = ["LocalWorkers"]

_GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class _Worker:
    process: BaseProcess
    connection: Connection


class LocalWorkers:
    """Processes that are spawned, so that no state of this one leaks into them.

    Each has a pipe of its own: what one does while it dies cannot block another. A worker ends by
    itself when this process is gone.

    Args:
        factory: Opens a worker's recognizer.
        root: Folder at which relative paths start.
    """

    def __init__(self, factory: RecognizerFactory, root: Path) -> None:
        self._factory = factory
        self._root = root
        self._context = multiprocessing.get_context("spawn")
        self._workers: dict[int, _Worker] = {}

    def count_places(self, threads: int) -> int:
        """Return how many workers the cores that this process may use have room for.

        Args:
            threads: Threads of each.
        """
        has_affinity = hasattr(os, "sched_getaffinity")
        cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
        return max(1, cores // threads)

    def start(self, worker: int) -> None:
        """Start a process.

        Args:
            worker: Its number.
        """
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_serve, args=(theirs, self._factory, self._root), daemon=True
        )
        process.start()
        theirs.close()
        self._workers[worker] = _Worker(process, ours)

    def send(self, worker: int, task: Task) -> None:
        """Give a process a task.

        Args:
            worker: Its number.
            task: Done after those that it was given before.
        """
        with contextlib.suppress(OSError):  # it is dead; the event says so
            self._workers[worker].connection.send(task)

    def wait(self, timeout_s: float) -> list[WorkerEvent]:
        """Return what has happened since.

        Args:
            timeout_s: Longest wait.
        """
        by_connection = {one.connection: number for number, one in self._workers.items()}
        ready = wait(list(by_connection), timeout_s)
        return [
            event
            for connection, number in by_connection.items()
            if connection in ready
            for event in self._drain(number)
        ]

    def stop(self, worker: int) -> None:
        """Kill a process.

        Args:
            worker: Its number.
        """
        self._workers[worker].process.kill()

    def close(self) -> None:
        """End all processes."""
        for one in self._workers.values():
            one.process.terminate()
        for one in self._workers.values():
            one.process.join(_GRACE_S)
            if one.process.is_alive():
                one.process.kill()
                one.process.join()
            one.connection.close()
            one.process.close()
        self._workers = {}

    def _drain(self, number: int) -> Iterator[WorkerEvent]:
        """Yield a worker's messages; the last of a dead one is that it died."""
        worker = self._workers[number]
        try:
            while worker.connection.poll():
                kind, task, content = worker.connection.recv()
                if kind == "refused":
                    yield WorkerEvent(number, "refused", error=content)
                else:
                    yield WorkerEvent(number, kind, task, content or ())
        except (EOFError, OSError):
            del self._workers[number]
            worker.process.join(_GRACE_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            reason = f"exit code {worker.process.exitcode}"
            worker.connection.close()
            worker.process.close()
            yield WorkerEvent(number, "died", reason=reason)


def _serve(connection: Connection, factory: RecognizerFactory, root: Path) -> None:
    """Run a worker: tasks in, rows out, until the pipe closes.

    Nothing is caught but what is raised on purpose: a bug ends the process, which isolates the
    picture that made it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the parent decides
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            recognizer = open_recognizer(factory)
        except FacialExpressionsError as error:
            connection.send(("refused", -1, error))
            return
        connection.send(("ready", -1, None))
        while True:
            task: Task = connection.recv()
            connection.send(("answered", task.number, answer(recognizer, task.inputs, root)))
