"""Stop on SIGTERM and SIGHUP as on Ctrl-C: blocks are left in order, files are whole lines."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Final, NoReturn

_SHELL_BASE: Final = 128
"""Shells report a program that a signal ended by this and the signal's number."""

_NAMES: Final[dict[int, str]] = {
    getattr(signal, name): name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
}
"""What stops a program; Windows has no SIGHUP."""


@contextlib.contextmanager
def stop_in_order() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into ``SystemExit`` of 143 and 129 while the block runs.

    A signal that the caller has switched off (``nohup``) or handles already stays as it is. The
    second signal of a kind ends the process at once.
    """
    replaced = []
    if threading.current_thread() is threading.main_thread():
        for number in _NAMES:
            if number != signal.SIGINT and signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _stop)
                replaced.append(number)
    try:
        yield
    finally:
        for number in replaced:
            signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def hold_signals() -> Iterator[None]:
    """Let the first signal wait until a short block is done, so that all of it is done or nothing.

    A second one acts at once.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _NAMES}

    def release() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def hold(number: int, _: FrameType | None) -> None:
        came.append(number)
        release()

    for number, handler in before.items():
        if callable(handler):
            signal.signal(number, hold)
    try:
        yield
    finally:
        release()
        if came:
            signal.raise_signal(came[0])


def explain_stop(code: int) -> int:
    """Say on stderr that a signal stopped the program, if one did; return a shell's exit code."""
    if code == signal.SIGTERM:  # Ray's own handler leaves with it
        code += _SHELL_BASE
    if name := _NAMES.get(code - _SHELL_BASE):
        print("interrupted" if name == "SIGINT" else f"stopped by {name}", file=sys.stderr)
    return code


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    signal.signal(number, signal.SIG_DFL)
    sys.exit(_SHELL_BASE + number)
