"""Child processes that may die: started, waited for, ended at a deadline, stopped."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import IO, BinaryIO, Final, cast

__all__ = ["READY", "Child", "own_streams"]

READY: Final = b"R"
"""What a child that is waited for says first."""

_STOP_S: Final = 5.0


class Child:
    """A process of its own that runs a module and talks to this one over its stdin and stdout.

    It gets this process's path of imports and nothing else of its state, and is no part of its
    terminal session: Ctrl-C is for the parent alone. Its stdin ends with the parent; a child that
    then returns outlives no one.

    Args:
        module: What ``python -m`` runs.
        arguments: Words for it.
        environment: Variables to add to those of this process.
        stderr: Where its stderr goes, as for ``subprocess.Popen``; None leaves it as it is.

    Raises:
        OSError: No process can be started.

    Examples:
        >>> child = Child("platform")
        >>> answer = child.stdout.read()
        >>> child.stop()
        >>> child.exit_status
        0
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        stderr: int | None = None,
    ) -> None:
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, *arguments],  # -P: no modules of a photos' folder
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, "PYTHONPATH": path, **(environment or {})},
            start_new_session=os.name == "posix",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        self.stdin = cast("IO[bytes]", self._process.stdin)
        self.stdout = cast("io.BufferedReader", self._process.stdout)
        self._is_ready = False

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """How it ended, a signal as a negative number; None while it runs."""
        return self._process.poll()

    def wait_until_ready(self, within_s: float) -> None:
        """Wait for it to say ``READY``, once.

        Args:
            within_s: It is ended when it takes longer.

        Raises:
            EOFError: It died.
        """
        if not self._is_ready:
            with self.at_most(within_s):
                self._is_ready = self.receive(len(READY)) == READY

    def send(self, *parts: bytes) -> None:
        """Write bytes to its stdin.

        Args:
            parts: One after the other.

        Raises:
            OSError: It died.
        """
        for part in parts:
            self.stdin.write(part)
        self.stdin.flush()

    def receive(self, n_bytes: int) -> bytearray:
        """Read from its stdout.

        Args:
            n_bytes: How many bytes have to come.

        Raises:
            EOFError: It died before.
        """
        data = bytearray(n_bytes)
        if self.stdout.readinto(data) < n_bytes:
            raise EOFError("the process died")
        return data

    @contextlib.contextmanager
    def at_most(self, seconds: float) -> Iterator[None]:
        """End the process when the block takes longer; what reads from it then sees the end."""
        clock = threading.Timer(seconds, self._process.kill)
        clock.daemon = True
        clock.start()
        try:
            yield
        finally:
            clock.cancel()

    def stop(self) -> None:
        """End it by its stdin's end; by force when it does not obey."""
        self._close_pipes()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it by force."""
        self._process.kill()
        self._process.wait()
        self._close_pipes()

    def _close_pipes(self) -> None:
        for pipe in (self.stdin, self.stdout):
            with contextlib.suppress(OSError):  # what could not be written is lost with the process
                pipe.close()


def own_streams() -> tuple[BinaryIO, BinaryIO]:
    """Take a child's stdin and stdout for messages; what else it prints goes to its stderr.

    Returns:
        Where messages come from, and where they go.
    """
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return sys.stdin.buffer, answers
