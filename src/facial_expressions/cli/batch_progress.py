"""One line on stderr that says how far a batch is, how fast, and how long it will still take."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TextIO

if TYPE_CHECKING:
    from facial_expressions.distributed.batch import BatchProgress

__all__ = ["ProgressLine", "describe_duration", "describe_progress"]

_TERMINAL_EVERY_S: Final = 0.5
_LOG_EVERY_S: Final = 10.0
_CLEAR: Final = "\r\x1b[2K"


class ProgressLine:
    """Rewrites one line on a terminal twice a second; elsewhere writes a line every ten seconds.

    Args:
        stream: Where the line appears.
        clock: Seconds that never go back.
    """

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._is_terminal = stream.isatty()
        self._every_s = _TERMINAL_EVERY_S if self._is_terminal else _LOG_EVERY_S
        self._start = self._shown = clock()
        self._is_listing = True

    def show(self, progress: BatchProgress) -> None:
        """Show the state when it is time to.

        Args:
            progress: How far the batch is.
        """
        now = self._clock()
        if self._is_listing and progress.n_inputs is not None:
            self._is_listing, self._start = False, now
        if now - self._shown < self._every_s:
            return
        self._shown = now
        line = describe_progress(progress, now - self._start)
        self._stream.write(f"{_CLEAR}{line}" if self._is_terminal else f"{line}\n")
        self._stream.flush()

    def clear(self) -> None:
        """Take the line off a terminal."""
        if self._is_terminal:
            self._stream.write(_CLEAR)
            self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.clear()


def describe_progress(progress: BatchProgress, seconds: float) -> str:
    """Say how far a batch is.

    Args:
        progress: How far it is.
        seconds: Since its first picture, or since it began to list them.

    Examples:
        >>> from facial_expressions.distributed.batch import BatchProgress
        >>> describe_progress(BatchProgress(600, 1000, n_before=200), 20.0)
        '600 of 1,000 pictures (60 %), 20.0 a second, 20 s left'
    """
    if progress.n_inputs is None:
        return f"listing: {progress.n_done:,} inputs"
    share = f"{progress.n_done:,} of {progress.n_inputs:,} pictures"
    share += f" ({100 * progress.n_done // max(1, progress.n_inputs)} %)"
    rate = (progress.n_done - progress.n_before) / max(seconds, 1e-9)
    if seconds <= 0 or rate <= 0:
        return share
    left = describe_duration((progress.n_inputs - progress.n_done) / rate)
    return f"{share}, {rate:,.1f} a second, {left} left"


def describe_duration(seconds: float) -> str:
    """Say how long something takes, in the two units that matter.

    Args:
        seconds: The duration.

    Examples:
        >>> describe_duration(3725), describe_duration(100_000), describe_duration(9.6)
        ('1 h 2 min', '1 d 3 h', '10 s')
    """
    whole = round(seconds)
    for size, unit, small_size, small_unit in (
        (86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"),
    ):  # fmt: skip
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // small_size} {small_unit}"
    return f"{whole} s"
