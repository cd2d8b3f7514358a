"""The one way of all text to stdout and stderr: UTF-8, harmless to terminals, closed or not."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, TextIO, cast

from facial_expressions.errors import StorageError
from facial_expressions.plain_text import visible

_STANDARD_STREAMS: Final = 3


class _Stream:
    """A stream of this process, which may be closed, with escapes for what would steer a terminal.

    What cannot be written to stdout is an error; to stderr, nobody is there to be told.
    """

    def __init__(self, stream: TextIO | None, *, is_needed: bool) -> None:
        self._is_open = stream is not None and not stream.closed
        self._is_needed = is_needed
        if stream is None or stream.closed:
            stream = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", closefd=False)
        self.whole = stream
        if isinstance(self.whole, io.TextIOWrapper):
            self.whole.reconfigure(encoding="utf-8", errors="backslashreplace")

    def write(self, text: str) -> int:
        if self._is_needed and not self._is_open:
            raise _no_stdout("it is closed")
        with self._to_end():
            self.whole.write(visible(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        with self._to_end():
            self.whole.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self.whole, name)

    @contextmanager
    def _to_end(self) -> Iterator[None]:
        """Give a stream up that takes no more, so that Python does not complain while it ends."""
        try:
            yield
        except OSError as error:
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.whole.fileno())
            if self._is_needed:
                if isinstance(error, BrokenPipeError):
                    raise
                from facial_expressions.files import reason_of

                raise _no_stdout(reason_of(error)) from error


@contextmanager
def harmless_streams() -> Iterator[None]:
    """Let all text to stdout and stderr pass through one place while the block runs.

    There characters that would steer a terminal are escaped, and so is what UTF-8 cannot hold.
    Where a stream is closed, its number is kept from the files that are opened later.

    Raises:
        StorageError: Something was written to a stdout that is closed, or on a full disk.
    """
    for number in range(_STANDARD_STREAMS):
        try:
            os.fstat(number)
        except OSError:  # the lowest number that is free is this one
            os.open(os.devnull, os.O_RDWR)
    before = sys.stdout, sys.stderr
    sys.stdout = cast("TextIO", _Stream(sys.stdout, is_needed=True))
    sys.stderr = cast("TextIO", _Stream(sys.stderr, is_needed=False))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def terminal_of(stream: TextIO) -> TextIO:
    """Return the stream behind one of ``harmless_streams``, for what steers the terminal itself."""
    return stream.whole if isinstance(stream, _Stream) else stream


def _no_stdout(reason: str) -> StorageError:
    return StorageError(
        f"standard output cannot be written: {reason}. Redirect it to a file or to a program"
    )
