"""Images are decoded in children that may die: one request is hurt, the next one is not."""

from __future__ import annotations

import io
import os
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.children import children
from facial_expressions.images import load_image
from facial_expressions.inference.recognizer import ExpressionRecognizer
from facial_expressions.server import decoding
from facial_expressions.server.decoding import DecoderPool
from facial_expressions.server.limits import RequestError, ServerLimits
from tests.catalogue.image_files import heic
from tests.server.client import png, run_server

ONE = ServerLimits(workers=1, answer_s=60)
on_posix = pytest.mark.skipif(os.name != "posix", reason="sends signals and sets POSIX limits")


@pytest.fixture
def pool() -> Iterator[DecoderPool]:
    one = DecoderPool(ONE)
    one.start()
    yield one
    one.close()


_OTHERS: set[int] = set()
"""Decoders of servers that other tests share; they are there before a test of this file begins."""


@pytest.fixture(autouse=True)
def _own_children_only() -> None:
    _OTHERS.clear()
    _OTHERS.update(decoders())


def decoders() -> list[int]:
    """Return the process ids of the decoders that a test of this file started."""
    running = children("facial_expressions.server.decoding")
    return [process for process in running if process not in _OTHERS]


def a_child() -> int:
    """Return the process id of a decoder, as soon as there is one."""
    deadline = time.monotonic() + 30
    while not (found := decoders()):
        assert time.monotonic() < deadline, "no decoder has been started"
        time.sleep(0.01)
    return found[0]


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


def misbehaving(body: str) -> str:
    """A child that runs these lines on its first image."""
    return (
        "import os\n"
        "from facial_expressions.processes import READY\n"
        "from facial_expressions.server.decoding import *\n"
        "from facial_expressions.server.decoding import _ANSWER, _REQUEST\n"
        "sys.stdout.buffer.write(READY); sys.stdout.flush()\n"
        "n, pixels = _REQUEST.unpack(sys.stdin.buffer.read(_REQUEST.size))\n"
        f"sys.stdin.buffer.read(n)\n{body}\n"
    )


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let the next child be a program of ours; the real one comes after it."""
    real = subprocess.Popen.__init__

    def set_up(body: str) -> None:
        programs = [misbehaving(body)]

        def start(child: subprocess.Popen[bytes], words: list[str], **options: object) -> None:
            if programs:
                words = [sys.executable, "-c", programs.pop()]
            real(child, words, **options)  # type: ignore[call-overload]

        monkeypatch.setattr(subprocess.Popen, "__init__", start)

    return set_up


def test_pixels_are_those_of_the_loader(pool: DecoderPool, astronaut: Path) -> None:
    data = astronaut.read_bytes()
    image = pool.decode(data)
    assert np.array_equal(image, load_image(data))
    image[0, 0] = 7  # and may be written to
    photo = heic(Image.open(astronaut))
    assert np.array_equal(pool.decode(photo), load_image(photo))
    assert refusal(pool, photo[:-40]) == (422, "damaged_image")
    assert pool.n_deaths == 0


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 422, "damaged_image"),
        (png()[:50], 422, "damaged_image"),
        (b"text", 415, "unsupported_format"),
    ],
    ids=["empty", "cut", "text"],
)
def test_what_cannot_be_read_is_refused_and_kills_no_child(
    pool: DecoderPool, data: bytes, status: int, code: str
) -> None:
    assert refusal(pool, data) == (status, code)
    assert pool.n_deaths == 0


def refusal(pool: DecoderPool, data: bytes) -> tuple[int, str]:
    with pytest.raises(RequestError) as caught:
        pool.decode(data)
    return caught.value.status, caught.value.code


def test_the_limit_of_pixels_is_the_servers() -> None:
    pool = DecoderPool(ServerLimits(workers=1, pixels=100))
    assert pool.decode(png(10, 10)).shape == (10, 10, 3)
    assert refusal(pool, png(10, 11)) == (413, "too_many_pixels")
    pool.close()


@on_posix
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_child_that_dies_of_an_image_costs_that_request_alone(
    stand_in: Callable[[str], None], number: signal.Signals
) -> None:
    stand_in(f"os.kill(os.getpid(), {int(number)})")
    pool = DecoderPool(ONE)
    with pytest.raises(RequestError) as caught:
        pool.decode(png())
    assert (caught.value.status, caught.value.code) == (422, "undecodable_image")
    assert pool.n_deaths == 1
    assert pool.decode(png()).shape == (64, 64, 3)
    pool.close()


@needs_proc
def test_a_child_killed_while_idle_costs_no_request(pool: DecoderPool) -> None:
    (victim,) = decoders()
    os.kill(victim, signal.SIGKILL)
    time.sleep(0.2)
    assert pool.decode(png()).shape == (64, 64, 3)
    assert decoders() != [victim]


def test_a_child_that_never_ends_is_ended(
    stand_in: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three times its processor time by the clock, which is there at once; its start has longer."""
    deadlines: list[float] = []

    class Clock(threading.Timer):
        def __init__(self, interval: float, function: Callable[[], None]) -> None:
            deadlines.append(interval)
            super().__init__(0 if interval == 36 else interval, function)

    monkeypatch.setattr("facial_expressions.processes.threading.Timer", Clock)
    monkeypatch.setattr(decoding, "_HAS_CPU_LIMIT", True)
    stand_in("time.sleep(600)")
    pool = DecoderPool(ServerLimits(workers=1, decode_s=12.0))
    with pytest.raises(RequestError, match="took too long") as caught:
        pool.decode(png())
    assert (caught.value.status, caught.value.code) == (504, "deadline_passed")
    assert deadlines == [60, 3 * 12]
    assert not pool.is_failing
    monkeypatch.setattr(decoding, "_CLOCK_FACTOR", 30.0)
    assert pool.decode(png()).shape == (64, 64, 3)
    pool.close()


@on_posix
def test_a_child_that_uses_up_its_processor_time_is_late(stand_in: Callable[[str], None]) -> None:
    stand_in("import resource; resource.setrlimit(resource.RLIMIT_CPU, (1, 9))\nwhile True: pass")
    pool = DecoderPool(ServerLimits(workers=1, decode_s=20.0))
    with pytest.raises(RequestError, match="took too long") as caught:
        pool.decode(png())
    assert caught.value.status == 504
    pool.close()


@on_posix
def test_a_child_on_a_busy_machine_is_let_finish(
    stand_in: Callable[[str], None],
) -> None:
    """Twice the deadline by the clock, and next to no processor time."""
    answer = "sys.stdout.buffer.write(_ANSWER.pack(0, 1, 1) + bytes(3)); sys.stdout.flush()"
    stand_in(f"time.sleep(2); {answer}; time.sleep(60)")
    pool = DecoderPool(ServerLimits(workers=1, decode_s=1.0))
    assert pool.decode(png()).shape == (1, 1, 3)
    pool.close()


@pytest.mark.parametrize(
    "answer",
    [
        "_ANSWER.pack(0, 16384, 16384) + bytes(100)",  # more pixels than are allowed
        "_ANSWER.pack(0, 0, 5)",
        "_ANSWER.pack(77, 3, 3) + bytes(27)",
        "_ANSWER.pack(0, 4_000_000_000, 1)",
        "_ANSWER.pack(0, 8, 8) + bytes(50)",  # too few pixels
        "b'?'",
    ],
)
def test_a_child_is_not_believed(stand_in: Callable[[str], None], answer: str) -> None:
    """Whoever takes a child over can send anything."""
    stand_in(f"sys.stdout.buffer.write({answer}); sys.stdout.flush(); sys.exit()")
    pool = DecoderPool(ONE)
    with pytest.raises(RequestError) as caught:
        pool.decode(png())
    assert caught.value.status == 422
    assert pool.decode(png()).shape == (64, 64, 3)
    pool.close()


def run_child(code: str, folder: Path) -> str:
    """Run lines in a process that has given up what a decoder gives up."""
    lines = (
        "from facial_expressions.server import decoding as child\n"
        "child._forgo(64 * 2**20)\n"
        f"try:\n    {code}\nexcept Exception as error:\n    print(type(error).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", lines], capture_output=True, encoding="utf-8", check=False,
        cwd=folder, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    return done.stdout.strip()


@on_posix
@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("bytearray(16 * 2**20); print('room for an image')", "room for an image"),
        pytest.param(
            "bytearray(512 * 2**20); print('too much')", "MemoryError",
            marks=pytest.mark.skipif(sys.platform == "darwin", reason="macOS limits no memory"),
        ),
        ("import os; os.write(os.open('here', os.O_CREAT | os.O_WRONLY), b'x')", "OSError"),
    ],
    ids=["some memory", "much memory", "a file"],
)  # fmt: skip
def test_a_child_has_given_up_what_it_does_not_need(
    code: str, outcome: str, tmp_path: Path
) -> None:
    assert run_child(code, tmp_path) == outcome


@on_posix
def test_processor_time_is_limited_too() -> None:
    """For a child whose server is gone, and its clock with it."""
    code = (
        "import time\nfrom facial_expressions.server import decoding as child\n"
        "child._limit('RLIMIT_CPU', int(time.process_time()) + 1)\n"
        "while True: pass"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert done.returncode == -signal.SIGXCPU


@needs_proc
def test_children_end_with_their_pool() -> None:
    pool = DecoderPool(ServerLimits(workers=2))
    pool.start()
    assert len(decoders()) == 2
    pool.close()
    assert decoders() == []


@needs_proc
def test_a_child_outlives_no_server() -> None:
    """The server is killed outright; the child's stdin ends."""
    code = (
        "import os, signal\n"
        "from facial_expressions.server.decoding import DecoderPool\n"
        "from facial_expressions.server.limits import ServerLimits\n"
        "pool = DecoderPool(ServerLimits(workers=1)); pool.start()\n"
        "print(pool._idle.get().pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=False)
    child = Path("/proc") / done.stdout.decode().strip()
    deadline = time.monotonic() + 20
    while child.exists() and " Z " not in (child / "stat").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_when_no_child_can_be_started_the_answer_is_503(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*words: object, **options: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    pool = DecoderPool(ONE)
    with monkeypatch.context() as patch:
        patch.setattr(subprocess.Popen, "__init__", refuse)
        with pytest.raises(RequestError) as caught:
            pool.decode(png())
    assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "1"})
    assert pool.decode(png()).shape == (64, 64, 3), "the place is not lost"
    pool.close()


@needs_proc
def test_killing_children_under_load_hurts_one_request_each(
    recognizer: ExpressionRecognizer,
) -> None:
    n_kills, is_over = 3, threading.Event()
    with run_server(recognizer, ServerLimits(workers=2, answer_s=60)) as server:

        def ask_on() -> list[int]:
            statuses = []
            while not is_over.is_set():
                statuses.append(server.post(png(300, 300)).status)
            return statuses

        with ThreadPoolExecutor(4) as clients:
            answers = [clients.submit(ask_on) for _ in range(4)]
            try:
                for _ in range(n_kills):
                    time.sleep(0.3)
                    os.kill(a_child(), signal.SIGKILL)
                time.sleep(0.3)
            finally:
                is_over.set()
            statuses = [status for one in answers for status in one.result()]
        assert set(statuses) <= {200, 422}
        assert statuses.count(422) <= n_kills
        assert server.post(png()).status == 200
        assert server.ask("GET", "/readyz").status == 200


@needs_proc
@pytest.mark.slow
def test_children_that_keep_dying_make_the_server_not_ready(
    recognizer: ExpressionRecognizer, stand_in: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(decoding, "_WINDOW_S", 600.0)
    with run_server(recognizer, ServerLimits(workers=1, answer_s=60)) as server:
        for _ in range(5):
            stand_in("sys.exit(1)")
            os.kill(a_child(), signal.SIGKILL)  # so that the stand-in is asked next
            time.sleep(0.1)
            assert server.post(png()).status == 422
        assert server.metric("decoder_deaths") == 10
        late = server.ask("GET", "/readyz")
        assert (late.status, late.json["code"]) == (503, "decoders_dying")
        assert server.ask("GET", "/healthz").status == 200
        assert server.post(png()).status == 200, "images are still taken"
        monkeypatch.setattr(decoding, "_WINDOW_S", 0.0)  # as if it were later
        assert server.ask("GET", "/readyz").status == 200


@on_posix
@pytest.mark.slow
def test_an_image_of_the_largest_size_fits_the_limits() -> None:
    """Fifty megapixels with alpha, in a few kilobytes."""
    stream = io.BytesIO()
    Image.new("LA", (10_000, 5_000), (100, 200)).save(stream, "PNG", compress_level=1)
    pool = DecoderPool(ServerLimits(workers=1, decode_s=60))
    assert pool.decode(stream.getvalue()).shape == (5_000, 10_000, 3)
    assert pool.n_deaths == 0
    pool.close()


def test_the_header_decides_before_the_child_takes_memory(pool: DecoderPool) -> None:
    """A hundred gigapixels claimed in forty bytes."""
    body = b"IHDR" + struct.pack(">IIBBBBB", 300_000, 300_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    end = bytes(4) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    data = b"\x89PNG\r\n\x1a\n" + chunk + end
    assert refusal(pool, data) == (413, "too_many_pixels")
    assert pool.n_deaths == 0
