"""Workers of a batch as processes of this machine, each with a recognizer of its own."""

from __future__ import annotations

import contextlib
import functools
import os
import pickle
from collections.abc import Iterator, Sequence

from facial_expressions.distributed.crew import Answer, RowMaker, Start, WorkerDiedError
from facial_expressions.distributed.inputs import BatchInput
from facial_expressions.errors import BatchError
from facial_expressions.processes import Child, own_streams

_GRACE_S = 5.0


@contextlib.contextmanager
def local_workers(maker: RowMaker) -> Iterator[tuple[Start, int]]:
    """Yield what starts a process as a worker, and for how many cores there are.

    A worker shares no state with this process, nor with other workers, and ends by itself when this
    process is gone.

    Args:
        maker: What each does.

    Raises:
        BatchError: The factory cannot be sent to another process.
    """
    try:
        opening = pickle.dumps(maker)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise BatchError(
            "the factory cannot be sent to workers. Define it as a function at the top of a "
            "module of its own, not inside another function or as a lambda"
        ) from error
    has_affinity = hasattr(os, "sched_getaffinity")
    n_cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    yield functools.partial(_LocalWorker, opening), n_cores


class _LocalWorker(Child):
    """A ``Worker`` that is given pickled tasks."""

    def __init__(self, opening: bytes) -> None:
        super().__init__(__name__)
        self._opening = opening

    def answer(self, inputs: Sequence[BatchInput], within_s: float) -> Answer:
        try:
            with self.at_most(within_s):
                self.send(self._opening, pickle.dumps(inputs))
                self._opening = b""
                answer: Answer = pickle.load(self.answers)
        except (EOFError, OSError, ValueError, pickle.UnpicklingError) as error:
            self.end(within_s=_GRACE_S)
            late = f"no answer in {within_s:.0f} seconds"
            raise WorkerDiedError(
                late if self.is_late else f"exit code {self.returncode}"
            ) from error
        return answer


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
            maker = pickle.load(tasks)
        except (AttributeError, ImportError):
            problem = (
                "workers cannot import the factory, as they do not run your script. Move it from "
                "the script into a module beside it and import it from there"
            )
            say(BatchError(problem))
            return
        while True:
            say(maker.answer(pickle.load(tasks)))


if __name__ == "__main__":
    _serve()
