"""Workers of a batch as actors of Ray, on this machine or on a cluster."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Sequence
from typing import Any, Final

from facial_expressions.distributed.crew import Answer, RowMaker, Start, WorkerDiedError
from facial_expressions.distributed.inputs import BatchInput
from facial_expressions.errors import first_line, needs_extra

_TRIES: Final = 2
"""Ray gives its own processes 30 seconds to start, which a busy machine may not make at first."""


@contextlib.contextmanager
def ray_workers(
    maker: RowMaker, threads: int, n_workers: int | None, address: str | None
) -> Iterator[tuple[Start, int]]:
    """Yield what starts an actor as a worker, and for how many cores of the cluster there are.

    Ray never restarts an actor, the crew does. Without an address Ray is started on this machine,
    reachable from it alone, without dashboard and without reports of use, and ended again.

    Args:
        maker: What each does; its root is a folder on every machine.
        threads: Cores that an actor takes.
        n_workers: Actors that a Ray started here needs room for; None makes room for one per core.
        address: A cluster's address; None starts Ray here.

    Raises:
        MissingExtraError: Ray is not installed.
        ChildProcessError: Ray cannot be started or reached.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves the machine
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # silences a notice
    with needs_extra("ray"):
        import ray as module
    ray: Any = module  # which is typed in parts
    where: dict[str, Any] = {"address": address}
    if not address:
        where = {
            "address": "local", "include_dashboard": False, "_node_ip_address": "127.0.0.1"
        }  # fmt: skip
        if n_workers is not None:
            where["num_cpus"] = n_workers * threads
    _start_ray(ray, where, tries=1 if address else _TRIES)
    try:
        options = {"num_cpus": threads, "max_restarts": 0, "max_task_retries": 0}
        actors = ray.remote(**options)(RowMaker)
        n_cores = int(ray.cluster_resources().get("CPU", 1))
        yield functools.partial(_RayWorker, ray, actors, maker), n_cores
    finally:
        ray.shutdown()


class _RayWorker:
    """A ``Worker`` that is an actor; it starts when the cluster has room."""

    def __init__(self, ray: Any, actors: Any, maker: RowMaker) -> None:  # noqa: ANN401 - a module
        self._ray = ray
        self._actor = actors.remote(maker.factory, maker.root)

    def answer(self, inputs: Sequence[BatchInput], within_s: float) -> Answer:
        try:
            answer: Answer = self._ray.get(self._actor.answer.remote(inputs), timeout=within_s)
        except self._ray.exceptions.RaySystemError as error:
            raise ChildProcessError(
                f"Ray: connection lost: {first_line(error)}. Start it, then run the same command "
                "with --resume"
            ) from error
        except self._ray.exceptions.GetTimeoutError as error:
            self.end()
            raise WorkerDiedError(f"no answer in {within_s:.0f} seconds") from error
        except self._ray.exceptions.RayError as error:
            self.end()  # after an exception in a task it still lives
            raise WorkerDiedError(first_line(error)) from error
        return answer

    def end(self) -> None:
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.kill(self._actor)


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
