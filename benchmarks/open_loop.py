"""Sends requests on a fixed timetable from one thread, and keeps what became of each.

Latency counts from the moment a request was due, not from when it was sent: a server that stalls
cannot hide it by making its clients wait (coordinated omission). Bodies are prepared before.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from PIL import Image

from benchmarks.record import astronaut

__all__ = ["GET", "Outcome", "Report", "ask", "photos", "post_bytes", "run_timetable"]

GONE: Final = 0
"""Stands for the status of a request that was sent whole and got no answer."""

REFUSED: Final = -1
"""Stands for the status of a request whose connection was refused or never sent whole."""

GET: Final = b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
"""Asks for an address."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request.

    Attributes:
        status: The HTTP status, ``GONE`` or ``REFUSED``.
        latency_s: From when it was due to its answer's last byte.
        has_retry_after: Whether the answer says when to come again.
    """

    status: int
    latency_s: float
    has_retry_after: bool = False


@dataclass
class Report:
    """The outcomes of one run.

    Attributes:
        outcomes: One a request.
        alive_s: Latencies of the liveness probes; infinite where one was not answered with 200.
        seconds: Length of the timetable.
        late_share: Share of requests that the generator sent over 10 ms late.
        generator_cpu: Processor time of this process, as a share of one core.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    alive_s: list[float] = field(default_factory=list)
    seconds: float = 0.0
    late_share: float = 0.0
    generator_cpu: float = 0.0

    def latencies_ms(self, *statuses: int) -> dict[str, float]:
        """Return p50, p95, p99 and maximum of the requests of these statuses."""
        return _quantiles_ms([one.latency_s for one in self.outcomes if one.status in statuses])

    def count(self, *statuses: int) -> int:
        """Return how many requests had one of these statuses."""
        return sum(one.status in statuses for one in self.outcomes)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures."""
        statuses = Counter(one.status for one in self.outcomes)
        return {
            "requests": len(self.outcomes),
            "seconds": round(self.seconds, 1),
            "by_status": {str(status): n for status, n in sorted(statuses.items())},
            "ok_per_s": round(self.count(200) / self.seconds, 2) if self.seconds else 0.0,
            "ok_ms": self.latencies_ms(200),
            "refused_ms": self.latencies_ms(503),
            "refused_without_retry_after": sum(
                one.status == 503 and not one.has_retry_after for one in self.outcomes
            ),
            "alive_ms": _quantiles_ms(self.alive_s),
            "late_share": round(self.late_share, 4),
            "generator_cpu": round(self.generator_cpu, 3),
        }


def post_bytes(body: bytes, *, path: str = "/v1/recognize") -> bytes:
    """Return the bytes of one request that sends an image."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def photos() -> list[bytes]:
    """Return requests with photos of several sizes and with none, one or two faces."""
    requests = []
    with Image.open(astronaut()) as image:
        photo = image.convert("RGB")
    for width, height, n_faces in ((640, 480, 1), (640, 480, 0), (800, 600, 2), (480, 640, 1)):
        canvas = Image.new("RGB", (width, height), (90, 90, 90))
        for number in range(n_faces):
            canvas.paste(photo.resize((320, 320)), (number * 380, 60))
        stream = io.BytesIO()
        canvas.save(stream, "JPEG", quality=88)
        requests.append(post_bytes(stream.getvalue()))
    return requests


async def ask(port: int, request: bytes, *, due: float | None = None) -> Outcome:
    """Send one request on a connection of its own and read the answer.

    Args:
        port: Of the server on loopback.
        request: All its bytes.
        due: When it was due, by ``time.perf_counter``; None: now.
    """
    due = time.perf_counter() if due is None else due
    sent, answer = False, b""
    writer: asyncio.StreamWriter | None = None
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        await writer.drain()
        sent = True
        answer = await reader.read()
    except OSError:
        pass
    finally:
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    latency_s = time.perf_counter() - due
    if not answer.startswith(b"HTTP/1.1 "):
        return Outcome(GONE if sent else REFUSED, latency_s)
    head = answer.partition(b"\r\n\r\n")[0].lower()
    return Outcome(int(answer[9:12]), latency_s, b"\r\nretry-after: " in head)


async def run_timetable(
    port: int, requests: Sequence[bytes], *, rate: float, seconds: float
) -> Report:
    """Send requests evenly at a rate, one after the other from the list and round again.

    Args:
        port: Of the server on loopback.
        requests: Bytes of whole requests.
        rate: Requests a second.
        seconds: For how long; answers are waited for afterwards.
    """
    report = Report(seconds=seconds)
    n_requests = max(1, round(rate * seconds))
    n_late = 0
    cpu_s, start = time.process_time(), time.perf_counter()
    probing = asyncio.create_task(_probe(port, report))
    tasks = []
    for number in range(n_requests):
        due = start + number / rate
        if (wait_s := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait_s)
        n_late += time.perf_counter() - due > 0.01
        tasks.append(asyncio.create_task(ask(port, requests[number % len(requests)], due=due)))
    report.outcomes = list(await asyncio.gather(*tasks))
    probing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await probing
    report.seconds = max(seconds, 1e-9)
    report.late_share = n_late / n_requests
    report.generator_cpu = (time.process_time() - cpu_s) / (time.perf_counter() - start)
    return report


async def _probe(port: int, report: Report) -> None:
    """Ask four times a second whether the server is alive."""
    while True:
        outcome = await ask(port, GET % b"/healthz")
        report.alive_s.append(outcome.latency_s if outcome.status == 200 else float("inf"))
        await asyncio.sleep(0.25)


def _quantiles_ms(seconds: Sequence[float]) -> dict[str, float]:
    if not seconds:
        return {}
    values = np.array(seconds) * 1000
    names = {"p50": 50, "p95": 95, "p99": 99, "max": 100}
    return {
        name: round(float(np.percentile(values, share, method="higher")), 1)
        for name, share in names.items()
    }
