"""The process that decodes untrusted images: bytes on stdin, pixels on stdout, nothing else.

It is started by ``decoding.py``. Before the first byte of an image it gives up what it does not
need: memory beyond a limit, writing files, leaving a core dump; each image may cost a few seconds
of processor time. Where the operating system has no such limits, the parent's clock remains. It
ends when its stdin does, so it never outlives the server.

It says ``READY``, then answers. A request is ``REQUEST`` (bytes that follow, most pixels) and the
file's bytes; an answer is ``ANSWER`` and, for an image, its pixels.
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
import signal
import struct
import sys
import time
import warnings
from pathlib import Path
from typing import BinaryIO, Final

from facial_expressions.errors import ImageError, ImageFormatError, ImageTooLargeError
from facial_expressions.image_formats import load_plugins
from facial_expressions.images import load_image
from facial_expressions.processes import READY, own_streams

REQUEST: Final = struct.Struct("<QQ")
"""Bytes of the file that follows, and pixels that it may have."""

ANSWER: Final = struct.Struct("<HII")
"""0, width and height of an image, or the status of a refusal and zeros."""

HAS_CPU_LIMIT: Final = importlib.util.find_spec("resource") is not None
"""Whether the system ends a process that has used its processor time."""

_PAGE_BYTES: Final = 4096


def main(memory_bytes: int, cpu_s: float) -> None:
    """Decode images until stdin ends.

    Args:
        memory_bytes: Address space that may be taken beyond that of the idle process.
        cpu_s: Processor time that one image may cost.
    """
    warnings.simplefilter("ignore")
    load_plugins()
    _forgo(memory_bytes)
    requests, answers = own_streams()
    answers.write(READY)
    answers.flush()
    while header := requests.read(REQUEST.size):
        n_bytes, max_pixels = REQUEST.unpack(header)
        data = requests.read(n_bytes)
        _limit("RLIMIT_CPU", math.ceil(time.process_time() + cpu_s) + 1)
        _answer(data, max_pixels, answers)


def _answer(data: bytes, max_pixels: int, answers: BinaryIO) -> None:
    try:
        image = load_image(data, max_pixels=max_pixels)
    except ImageFormatError:
        answers.write(ANSWER.pack(415, 0, 0))
    except ImageTooLargeError:
        answers.write(ANSWER.pack(413, 0, 0))
    except (ImageError, MemoryError):
        answers.write(ANSWER.pack(422, 0, 0))
    else:
        answers.write(ANSWER.pack(0, image.shape[1], image.shape[0]))
        answers.write(image.data)
    answers.flush()


def _forgo(memory_bytes: int) -> None:
    """Give up what decoding does not need; the server alone says when to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _limit("RLIMIT_CORE", 0)
    _limit("RLIMIT_FSIZE", 0)
    _limit("RLIMIT_AS", _address_space() + memory_bytes)


def _address_space() -> int:
    """Return the bytes of address space in use; a guess where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * _PAGE_BYTES
    except (OSError, ValueError):
        return 1024**3


def _limit(name: str, value: int) -> None:
    """Lower a limit of this process, where the operating system has it."""
    try:
        import resource
    except ImportError:
        return
    kind = getattr(resource, name)
    hard = resource.getrlimit(kind)[1]
    allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(kind, (allowed, hard))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
