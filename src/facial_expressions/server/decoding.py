"""Decode untrusted pictures in child processes, each replaced as soon as it dies.

Pillow's decoders are C code that reads strangers' bytes. A picture that crashes one, or makes it
run or grow without end, costs its own request and nothing more: the child is ended by its limits
or by the clock here, the request is answered with 422, and a new child takes the place. What a
child sends is checked as if it were a stranger's too.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import IO, Final, cast

import numpy as np
from numpy.typing import NDArray

from facial_expressions.errors import ImageError
from facial_expressions.inference.images import MAX_SIDE
from facial_expressions.server.decoder_child import ANSWER, OUTCOMES, PICTURE, READY, REQUEST
from facial_expressions.server.failures import RequestError
from facial_expressions.server.limits import MEBIBYTE, ServerLimits

__all__ = ["DecoderPool"]

logger = logging.getLogger(__name__)

_BYTES_PER_PIXEL: Final = 16
"""Address space for each allowed pixel: a picture with alpha needs four copies of three or four."""

_SPARE_BYTES: Final = 256 * MEBIBYTE
_MESSAGE_BYTES: Final = 64 * 1024
_PIPE_BYTES: Final = 1024 * 1024
_STOP_S: Final = 5.0
_BOOT_S: Final = 60.0
_MANY: Final = 5
_WINDOW_S: Final = 60.0


class DecoderPool:
    """Children that decode, as many as pictures may be worked on at one time.

    Args:
        limits: How many, how large a picture, how long.

    Examples:
        >>> from facial_expressions.server.limits import ServerLimits
        >>> with contextlib.closing(DecoderPool(ServerLimits(workers=1))) as pool:
        ...     try:
        ...         pool.decode(b"no picture")
        ...     except Exception as error:
        ...         print(type(error).__name__)
        ImageFormatError
    """

    def __init__(self, limits: ServerLimits) -> None:
        self._limits = limits
        self._idle: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        self._deaths: deque[float] = deque(maxlen=_MANY)
        self._n_deaths = 0
        self._lock = threading.Lock()
        for _ in range(limits.workers):
            self._idle.put(None)

    @property
    def n_deaths(self) -> int:
        """How many children have died so far."""
        return self._n_deaths

    @property
    def is_failing(self) -> bool:
        """Whether children die one after another: five within a minute."""
        with self._lock:
            deaths = list(self._deaths)
        return len(deaths) == _MANY and time.monotonic() - deaths[0] < _WINDOW_S

    def start(self) -> None:
        """Start every child now, instead of with its first picture, and wait for them."""
        children = [self._idle.get() or self._new_child() for _ in range(self._limits.workers)]
        for child in children:
            if child is not None:
                with contextlib.suppress(OSError, EOFError):  # one that died is found out when used
                    child.wait_until_ready()
            self._idle.put(child)

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """Decode one picture; waits for a free child.

        Args:
            data: The bytes of a file.

        Returns:
            RGB ``uint8 (H, W, 3)``, upright.

        Raises:
            ImageError: The picture cannot be read, as ``load_image`` says.
            RequestError: 422, the child died of the picture or took too long; 503, there is none.
        """
        child = self._idle.get()
        if child is not None and child.is_dead:  # killed while it waited: no request is hurt
            self._bury(child, None)
            child = None
        if child is None:
            child = self._new_child()
        if child is None:
            self._idle.put(None)
            raise RequestError(
                503,
                "no_decoder",
                "The server cannot read pictures just now; try again in a moment.",
                retry_after_s=self._limits.retry_after_s,
            )  # fmt: skip
        try:
            return child.decode(data, self._limits)
        except ImageError:
            raise
        except (OSError, EOFError, ValueError, MemoryError) as error:
            self._bury(child, error)
            child = self._new_child()
            raise RequestError(
                422, "undecodable_picture", "The picture cannot be decoded; save it anew as JPEG."
            ) from error
        finally:
            self._idle.put(child)

    def close(self) -> None:
        """End the children that are idle; one that works ends when it notices that nobody reads."""
        with contextlib.suppress(queue.Empty):
            while True:
                child = self._idle.get_nowait()
                if child is not None:
                    child.stop()

    def _new_child(self) -> _Child | None:
        try:
            return _Child(self._limits)
        except OSError:
            logger.exception("a decoder cannot be started")
            return None

    def _bury(self, child: _Child, error: Exception | None) -> None:
        """End a child for good and note its death."""
        child.kill()
        with self._lock:
            self._n_deaths += 1
            self._deaths.append(time.monotonic())
        logger.warning("a decoder died (%s, exit status %s) and is replaced",
                       type(error).__name__, child.exit_status)  # fmt: skip


class _Child:
    """One decoding process."""

    def __init__(self, limits: ServerLimits) -> None:
        memory = limits.pixels * _BYTES_PER_PIXEL + _SPARE_BYTES
        module = "facial_expressions.server.decoder_child"
        one_thread = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, str(memory), str(limits.decode_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **one_thread, "PYTHONDONTWRITEBYTECODE": "1"},
            start_new_session=os.name == "posix",  # Ctrl-C in a terminal is for the server alone
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        self._stdin = cast("IO[bytes]", self._process.stdin)
        self._stdout = cast("io.BufferedReader", self._process.stdout)
        self._is_ready = False
        for pipe in (self._stdin, self._stdout):
            _widen(pipe)

    @property
    def is_dead(self) -> bool:
        return self._process.poll() is not None

    @property
    def exit_status(self) -> int | None:
        return self._process.poll()

    def decode(self, data: bytes, limits: ServerLimits) -> NDArray[np.uint8]:
        """Let the process decode; it is ended when it takes too long."""
        self.wait_until_ready()
        with self._at_most(limits.decode_s):
            self._stdin.write(REQUEST.pack(len(data), limits.pixels))
            self._stdin.write(data)
            self._stdin.flush()
            head = bytearray(ANSWER.size)
            self._read(head)
            outcome, width, height = ANSWER.unpack(head)
            if outcome in OUTCOMES and width <= _MESSAGE_BYTES:
                message = bytearray(width)
                self._read(message)
                raise OUTCOMES[outcome](message.decode(errors="replace"))
            is_possible = 0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE
            if outcome != PICTURE or not is_possible or width * height > limits.pixels:
                raise ValueError(f"the decoder answered {outcome}, {width}, {height}")
            pixels = np.empty((height, width, 3), np.uint8)
            self._read(pixels.data)
            return pixels

    def wait_until_ready(self) -> None:
        """Wait for the process to start; on a busy machine that takes longer than a picture may."""
        if self._is_ready:
            return
        with self._at_most(_BOOT_S):
            said = bytearray(len(READY))
            self._read(said)
            self._is_ready = True

    @contextlib.contextmanager
    def _at_most(self, seconds: float) -> Iterator[None]:
        """End the process when the block takes longer."""
        clock = threading.Timer(seconds, self._process.kill)
        clock.daemon = True
        clock.start()
        try:
            yield
        finally:
            clock.cancel()

    def _read(self, into: bytearray | memoryview) -> None:
        view = memoryview(into).cast("B")
        while view:
            n_bytes = self._stdout.readinto(view)
            if not n_bytes:
                raise EOFError("the decoder died")
            view = view[n_bytes:]

    def stop(self) -> None:
        """End the process by its stdin's end; by force when it does not obey."""
        self._close_pipes()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the process by force."""
        self._process.kill()
        self._close_pipes()
        self._process.wait()

    def _close_pipes(self) -> None:
        for pipe in (self._stdin, self._stdout):
            with contextlib.suppress(OSError):  # what could not be written is lost with the process
                pipe.close()


def _widen(pipe: IO[bytes]) -> None:
    """Let a pipe hold a whole small picture, so that it is handed over at once."""
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
