"""Workers of a batch as actors of Ray, on this machine or on a cluster."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from facial_expressions.distributed.crew import WorkerEvent
from facial_expressions.distributed.inputs import BatchInput
from facial_expressions.distributed.work import (
    RecognizerFactory,
    RowLine,
    answer,
    open_recognizer,
)
from facial_expressions.errors import FacialExpressionsError, first_line, needs_extra
from facial_expressions.inference.contracts import RowRecognizer

_TRIES: Final = 2
"""Ray gives its own processes 30 seconds to start, which a busy machine may not make at first."""


@dataclass(slots=True)
class _Handle:
    """An actor and what it is to answer, oldest first."""

    actor: Any
    awaited: deque[Any]


class RayWorkers:
    """A ``CrewBackend`` of actors with a recognizer each; Ray never restarts one, the crew does.

    Without an address Ray is started on this machine, reachable from it alone, without dashboard
    and without reports of use.

    Args:
        factory: Opens an actor's recognizer.
        root: Folder at which relative paths start, on every machine.
        threads: Cores that an actor takes.
        n_workers: Actors that a Ray started here needs room for; None makes room for one per core.
        address: A cluster's address; None starts Ray here.

    Raises:
        MissingExtraError: Ray is not installed.
        ChildProcessError: Ray cannot be started or reached.
    """

    def __init__(
        self,
        factory: RecognizerFactory,
        root: Path,
        *,
        threads: int = 1,
        n_workers: int | None = None,
        address: str | None = None,
    ) -> None:
        self._ray = _import_ray()
        self._factory = factory
        self._root = root
        self._handles: dict[int, _Handle] = {}
        where: dict[str, Any] = {"address": address}
        if not address:
            where = {
                "address": "local", "include_dashboard": False, "_node_ip_address": "127.0.0.1"
            }  # fmt: skip
            if n_workers is not None:
                where["num_cpus"] = n_workers * threads
        _start_ray(self._ray, where, tries=1 if address else _TRIES)
        options = {"num_cpus": threads, "max_restarts": 0, "max_task_retries": 0}
        self._actor_class = self._ray.remote(**options)(_RecognizerActor)

    @property
    def n_cores(self) -> int:
        """The cluster's cores."""
        return int(self._ray.cluster_resources().get("CPU", 1))

    def start(self, worker: int) -> None:
        """Ask for an actor; it starts when the cluster has room."""
        actor = self._actor_class.remote(self._factory, self._root)
        self._handles[worker] = _Handle(actor, deque([actor.open.remote()]))

    def send(self, worker: int, inputs: Sequence[BatchInput]) -> None:
        """Give an actor a task."""
        handle = self._handles[worker]
        handle.awaited.append(handle.actor.answer.remote(inputs))

    def wait(self, timeout_s: float) -> list[WorkerEvent]:
        """Return what has happened since.

        Raises:
            ChildProcessError: Ray itself is gone.
        """
        first = {one.awaited[0]: number for number, one in self._handles.items() if one.awaited}
        try:
            self._ray.wait([*first], num_returns=1, timeout=timeout_s)
            ready, _ = self._ray.wait([*first], num_returns=len(first), timeout=0)
        except self._ray.exceptions.RayError as error:
            raise ChildProcessError(
                f"Ray: connection lost: {first_line(error)}. Start it, then run the same command "
                "with --resume"
            ) from error
        return [self._take(first[answer]) for answer in ready]

    def stop(self, worker: int) -> None:
        """Kill an actor."""
        self._ray.kill(self._handles[worker].actor)

    def close(self) -> None:
        """End all actors, and Ray where it was started here."""
        for handle in self._handles.values():
            self._end(handle)
        self._handles = {}
        self._ray.shutdown()

    def _take(self, number: int) -> WorkerEvent:
        """Return the oldest answer of an actor, or its death."""
        handle = self._handles[number]
        try:
            return WorkerEvent(number, self._ray.get(handle.awaited.popleft()))
        except self._ray.exceptions.RayError as error:
            self._end(self._handles.pop(number))  # after an exception in a task it still lives
            return WorkerEvent(number, death=first_line(error))

    def _end(self, handle: _Handle) -> None:
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.kill(handle.actor)


class _RecognizerActor:
    """Runs on a worker's machine; opens its recognizer when it is told to."""

    def __init__(self, factory: RecognizerFactory, root: Path) -> None:
        self._factory = factory
        self._root = root
        self._recognizer: RowRecognizer

    def open(self) -> FacialExpressionsError | None:
        """Open the recognizer; return why it cannot be opened."""
        try:
            self._recognizer = open_recognizer(self._factory)
        except FacialExpressionsError as error:
            return error
        return None

    def answer(self, inputs: Sequence[BatchInput]) -> list[RowLine]:
        """Return one row per input."""
        return answer(self._recognizer, inputs, self._root)


def _start_ray(ray: Any, where: dict[str, Any], *, tries: int) -> None:  # noqa: ANN401 - a module
    """Start Ray or join a cluster; what a failed try has started is ended before the next."""
    for left in reversed(range(tries)):
        try:
            ray.init(**where, log_to_driver=False, logging_level="error")
        except Exception as error:  # Ray raises plain ones when a process of its own fails
            ray.shutdown()
            if left:
                continue
            raise ChildProcessError(
                f"Ray at {where['address']!r}: cannot be started or reached: {error}. Check the "
                "address, and 'ray status'"
            ) from error
        else:
            return


def _import_ray() -> Any:  # noqa: ANN401 - a module
    """Import Ray with its reports of use switched off: nothing leaves the machine."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # silences a notice
    with needs_extra("ray"):
        import ray
    return ray
