"""Kills or fails a save at each of its calls to the system, in a process of its own or in this one.

Python reports every call of a C function to a profiler. Those of ``posix`` and of files are the
calls that can leave something behind on disk.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

__all__ = ["count_calls", "failing_call", "kill_at_call", "kill_this_process_at_call"]

_MODULES: Final = ("posix", "nt")


def _is_system_call(function: object) -> bool:
    owner = type(getattr(function, "__self__", None)).__module__
    return getattr(function, "__module__", None) in _MODULES or owner == "_io"


class _Counter:
    """A profiler that counts calls and acts at one of them."""

    def __init__(self, act: Callable[[int], None]) -> None:
        self.n_calls = 0
        self._act = act

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:  # noqa: ANN401
        if event == "c_call" and _is_system_call(argument):
            self.n_calls += 1
            self._act(self.n_calls)


def count_calls(work: Callable[[], object]) -> int:
    """Return how many calls to the system some work makes."""
    counter = _Counter(lambda number: None)
    sys.setprofile(counter)
    try:
        work()
    finally:
        sys.setprofile(None)
    return counter.n_calls


def kill_at_call(number: int, work: Callable[[], object]) -> bool:
    """Run work in a forked process that is killed just before its n-th call to the system.

    Args:
        number: The call, from 1.
        work: What is run; its answer is dropped.

    Returns:
        Whether it was killed; false when the work makes fewer calls.
    """
    process = os.fork()
    if process == 0:
        try:
            kill_this_process_at_call(number)
            work()
        finally:
            sys.setprofile(None)
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL


def kill_this_process_at_call(number: int) -> None:
    """Kill this process just before its n-th call to the system from now on.

    Args:
        number: The call, from 1.
    """

    def act(reached: int) -> None:
        if reached == number:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(_Counter(act))


class failing_call:
    """Let one of ``os``' functions fail, from its n-th call on, for a while.

    Args:
        name: ``open``, ``write``, ``fsync``, ``replace`` or ``close``.
        number: The call that fails, from 1.
        code: The error, see ``errno``.
        for_good: Whether all later calls fail too.
    """

    def __init__(self, name: str, number: int, code: int, *, for_good: bool) -> None:
        self._name, self._number, self._code, self._for_good = name, number, code, for_good
        self._real: Callable[..., Any] = getattr(os, name)
        self.has_failed = False

    def __enter__(self) -> failing_call:
        n_calls = 0

        def call(*words: Any, **options: Any) -> Any:  # noqa: ANN401 - any of os' functions
            nonlocal n_calls
            n_calls += 1
            if n_calls == self._number or (self._for_good and n_calls > self._number):
                self.has_failed = True
                if self._name == "close":
                    self._real(*words, **options)
                raise OSError(self._code, os.strerror(self._code))
            return self._real(*words, **options)

        setattr(os, self._name, call)
        return self

    def __exit__(self, *_: object) -> None:
        setattr(os, self._name, self._real)
