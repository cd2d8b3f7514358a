"""Child processes that may die: started, waited for, ended at a deadline, buried."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import IO, BinaryIO, Final, cast

READY: Final = b"R"
"""What a child that is waited for says first."""


class Child(subprocess.Popen[bytes]):
    """A process that runs a module of ours and talks to this one over its stdin and stdout.

    It gets this process's path of imports and nothing else of its state, and is not part of its
    terminal session: Ctrl-C is for the parent alone. Its stdin ends with the parent; a child that
    then returns outlives no one.

    Args:
        module: What ``python -m`` runs.
        arguments: Words for it.
        environment: Variables to add to those of this process.
        stderr: Where its stderr goes; None leaves it as it is.

    Raises:
        OSError: No process can be started.

    Examples:
        >>> child = Child("this")
        >>> child.receive(7)
        bytearray(b'The Zen')
        >>> child.end(within_s=5)
        >>> child.returncode
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
        super().__init__(
            [sys.executable, "-P", "-m", module, *arguments],  # -P: no modules of a photos' folder
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, "PYTHONPATH": path, **(environment or {})},
            start_new_session=os.name == "posix",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        self.requests = cast("IO[bytes]", self.stdin)
        self.answers = cast("io.BufferedReader", self.stdout)
        self._is_ready = False
        self._is_late = False

    @property
    def is_late(self) -> bool:
        """Whether it ended because it took too long: by the clock, or in processor time."""
        return self._is_late or self.returncode == -getattr(signal, "SIGXCPU", 0) != 0

    def wait_until_ready(self, within_s: float) -> None:
        """Wait for it to say ``READY``, once; end it when it takes longer.

        Raises:
            EOFError: It died.
        """
        if not self._is_ready:
            with self.at_most(within_s):
                self._is_ready = self.receive(len(READY)) == READY

    @contextlib.contextmanager
    def at_most(self, seconds: float) -> Iterator[None]:
        """End the process when the block takes longer; what reads from it then sees the end."""

        def stop() -> None:
            self._is_late = True
            self.kill()

        clock = threading.Timer(seconds, stop)
        clock.daemon = True
        clock.start()
        try:
            yield
        finally:
            clock.cancel()

    def send(self, *parts: bytes) -> None:
        """Write bytes to its stdin, one part after the other; OSError says that it died."""
        for part in parts:
            self.requests.write(part)
        self.requests.flush()

    def receive(self, n_bytes: int) -> bytearray:
        """Read so many bytes from its stdout; EOFError says that it died before."""
        data = bytearray(n_bytes)
        if self.answers.readinto(data) < n_bytes:
            raise EOFError("the process died")
        return data

    def end(self, *, within_s: float = 0.0) -> None:
        """End it, by force after the time that it has to end by itself; take back what it holds."""
        if not within_s:
            self.kill()
        with contextlib.suppress(OSError):  # what could not be written is lost with the process
            self.requests.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(within_s)
        self.kill()
        self.wait()
        self.answers.close()


def own_streams() -> tuple[BinaryIO, BinaryIO]:
    """Return where a child's requests come from and answers go; its prints go to stderr."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return sys.stdin.buffer, answers
