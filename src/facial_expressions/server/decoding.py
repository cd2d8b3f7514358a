"""Decode untrusted images in child processes, each replaced as soon as it dies.

Pillow's decoders are C code that reads strangers' bytes. An image that crashes one, or makes it
run or grow without end, costs its own request and nothing more: the child is ended by its limits
or by the clock here, the request is answered with 422, or 504 when it took too long, and a new
child takes the place. What counts is processor time, as far as the system measures it: on a busy
machine a good image may take its time. What a child sends is checked as if it were a stranger's.

A child runs this module too. Before the first byte of an image it gives up what it does not need:
memory beyond a limit, writing files, leaving a core dump. Where the operating system has no such
limits, the clock here remains. It ends when its stdin does, so it never outlives the server.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import math
import mmap
import queue
import signal
import struct
import subprocess
import sys
import threading
import time
import warnings
from collections import deque
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.errors import ImageError, ImageFormatError, ImageTooLargeError
from facial_expressions.image_formats import load_plugins, supported
from facial_expressions.images import MAX_SIDE, load_image
from facial_expressions.processes import READY, Child, own_streams
from facial_expressions.server.limits import MEBIBYTE, RequestError, ServerLimits

logger = logging.getLogger(__name__)

_BYTES_PER_PIXEL: Final = 16
"""Address space for each allowed pixel: an image with alpha needs four copies of three or four."""

_SPARE_BYTES: Final = 256 * MEBIBYTE
_PIPE_BYTES: Final = 1024 * 1024
_ENVIRONMENT: Final = {
    "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"
}  # fmt: skip
_REQUEST: Final = struct.Struct("<QQ")
"""Bytes of the file that follows, and pixels that it may have."""

_ANSWER: Final = struct.Struct("<HII")
"""0, width and height of an image whose pixels follow, or the status of a refusal and zeros."""

_HAS_CPU_LIMIT: Final = importlib.util.find_spec("resource") is not None
_BOOT_S: Final = 60.0
"""On a busy machine a child takes longer to start than an image may."""

_CLOCK_FACTOR: Final = 3.0
"""By the clock a child may take so many times the processor time that it may use."""

_STOP_S: Final = 5.0
_REFUSALS: Final = {
    413: ("too_many_pixels", "The image is too large. The limit is {megapixels:g} megapixels and "
          "16,384 pixels a side."),
    415: ("unsupported_format", f"Format not supported. Supported: {supported()}."),
    422: ("damaged_image", "The image is empty, damaged or truncated."),
}  # fmt: skip
_MANY: Final = 5
_WINDOW_S: Final = 60.0


class DecoderPool:
    """Children that decode, as many as images may be worked on at one time.

    Args:
        limits: How many, how large an image, how long.

    Attributes:
        n_deaths: How many have died so far.

    Examples:
        >>> from facial_expressions.server.limits import ServerLimits
        >>> with contextlib.closing(DecoderPool(ServerLimits(workers=1))) as pool:
        ...     try:
        ...         pool.decode(b"no image")
        ...     except RequestError as error:
        ...         print(error.status, error.code)
        415 unsupported_format
    """

    def __init__(self, limits: ServerLimits) -> None:
        self._limits = limits
        self._idle: queue.LifoQueue[Child | None] = queue.LifoQueue()
        self._deaths: deque[float] = deque(maxlen=_MANY)
        self.n_deaths = 0
        self._lock = threading.Lock()
        for _ in range(limits.workers):
            self._idle.put(None)

    @property
    def is_failing(self) -> bool:
        """Whether children die one after another: five within a minute."""
        return len(self._deaths) == _MANY and time.monotonic() - self._deaths[0] < _WINDOW_S

    def start(self) -> None:
        """Start every child now, instead of with its first image, and wait for them."""
        children = [self._idle.get() or self._replace(None) for _ in range(self._limits.workers)]
        for child in children:
            if child is not None:
                with contextlib.suppress(OSError, EOFError):  # one that died is found out when used
                    child.wait_until_ready(_BOOT_S)
            self._idle.put(child)

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """Decode one image; waits for a free child.

        Args:
            data: The bytes of a file.

        Returns:
            RGB ``uint8 (H, W, 3)``, upright.

        Raises:
            RequestError: 413, 415 or 422, the image cannot be read, or the child died of it; 503,
                there is no child; 504, the child took too long.
        """
        child = self._idle.get()
        try:
            if child is None or child.poll() is not None:
                child = self._replace(child)  # one killed while it waited hurts no request
            if child is None:
                raise RequestError(
                    503, "no_decoder", "The server cannot read images now. Try again in a moment."
                )
            return _ask(child, data, self._limits)
        except (OSError, EOFError, ValueError, MemoryError) as error:
            late, child = child, self._replace(child, error)
            if late is not None and late.is_late:
                raise RequestError(
                    504, "deadline_passed", "Decoding the image took too long. Try a smaller one."
                ) from error
            raise RequestError(
                422, "undecodable_image", "The image cannot be decoded. Save it again as JPEG."
            ) from error
        finally:
            self._idle.put(child)

    def close(self) -> None:
        """End the children that are idle; one that works ends when it notices that nobody reads."""
        with contextlib.suppress(queue.Empty):
            while True:
                child = self._idle.get_nowait()
                if child is not None:
                    child.end(within_s=_STOP_S)

    def _replace(self, dead: Child | None, error: Exception | None = None) -> Child | None:
        """Bury a child, if there is one, and start another, if the system lets it."""
        if dead is not None:
            dead.end()
            with self._lock:
                self.n_deaths += 1
                if not dead.is_late:  # slow images are not a sign of unsound decoders
                    self._deaths.append(time.monotonic())
            logger.warning("a decoder died (%s, exit status %s) and is replaced",
                           type(error).__name__, dead.returncode)  # fmt: skip
        memory = self._limits.pixels * _BYTES_PER_PIXEL + _SPARE_BYTES
        try:
            child = Child(
                __name__, str(memory), str(self._limits.decode_s),
                environment=_ENVIRONMENT, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        except OSError:
            logger.exception("a decoder cannot be started")
            return None
        if sys.platform == "linux":  # a whole small image is then handed over at once
            import fcntl

            for pipe in (child.requests, child.answers):
                with contextlib.suppress(OSError):
                    fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        return child


def _ask(child: Child, data: bytes, limits: ServerLimits) -> NDArray[np.uint8]:
    """Let a child decode; it is ended when it takes too long."""
    child.wait_until_ready(_BOOT_S)
    with child.at_most(_CLOCK_FACTOR * limits.decode_s if _HAS_CPU_LIMIT else limits.decode_s):
        child.send(_REQUEST.pack(len(data), limits.pixels), data)
        status, width, height = _ANSWER.unpack(child.receive(_ANSWER.size))
        if status in _REFUSALS:
            code, message = _REFUSALS[status]
            raise RequestError(status, code, message.format(megapixels=limits.pixels / 1e6))
        is_possible = 0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE
        if status or not is_possible or width * height > limits.pixels:
            raise ValueError(f"the decoder answered {status}, {width}, {height}")
        pixels = np.frombuffer(child.receive(width * height * 3), np.uint8)
        return pixels.reshape(height, width, 3)


def _serve(memory_bytes: int, cpu_s: float) -> None:
    """Run a child: decode images until stdin ends."""
    warnings.simplefilter("ignore")
    load_plugins()
    _forgo(memory_bytes)
    requests, answers = own_streams()
    answers.write(READY)
    answers.flush()
    while header := requests.read(_REQUEST.size):
        n_bytes, max_pixels = _REQUEST.unpack(header)
        data = requests.read(n_bytes)
        _limit("RLIMIT_CPU", math.ceil(time.process_time() + cpu_s) + 1)
        _answer(data, max_pixels, answers)


def _answer(data: bytes, max_pixels: int, answers: BinaryIO) -> None:
    try:
        image = load_image(data, max_pixels=max_pixels)
    except ImageFormatError:
        answers.write(_ANSWER.pack(415, 0, 0))
    except ImageTooLargeError:
        answers.write(_ANSWER.pack(413, 0, 0))
    except (ImageError, MemoryError):
        answers.write(_ANSWER.pack(422, 0, 0))
    else:
        answers.write(_ANSWER.pack(0, image.shape[1], image.shape[0]))
        answers.write(image.data)
    answers.flush()


def _forgo(memory_bytes: int) -> None:
    """Give up what decoding does not need; the server alone says when to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _limit("RLIMIT_CORE", 0)
    _limit("RLIMIT_FSIZE", 0)
    in_use = 1024**3  # a guess where the system does not say
    with contextlib.suppress(OSError, ValueError):
        n_pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
        in_use = int(n_pages) * mmap.PAGESIZE
    _limit("RLIMIT_AS", in_use + memory_bytes)


def _limit(name: str, value: int) -> None:
    """Lower a limit of this process, where the operating system has it and is not stricter."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        kind = getattr(resource, name)
        resource.setrlimit(kind, (value, resource.getrlimit(kind)[1]))


if __name__ == "__main__":
    _serve(int(sys.argv[1]), float(sys.argv[2]))
