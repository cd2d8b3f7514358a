"""Loads a real server on loopback: capacity, steady, overload, slow clients, soak, stops.

Requests leave on a timetable (an open loop). Each phase has the length that is asked for; each
promise is one line of ``checks`` with the figure, what is allowed, and whether it holds. The
generator shares the machine, so its share of a core and of late requests is reported too.

Example:
    python -m benchmarks.load
    python -m benchmarks.load --seconds 5 --soak 10 --stops 2 --slow-clients 20
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.open_loop import GONE, Report, ask, photos, post_bytes, run_timetable
from benchmarks.record import write_results
from benchmarks.server_process import resident_mb, serving
from tests.trials.mutations import images, mutated

__all__ = ["main"]

P99_MS: Final = 250.0
_MOST_STEPS: Final = 8
_SLOW_LIMIT_S: Final = 11.0
_EACH_S: Final = 1.0


def main() -> int:
    """Run every phase and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="of each phase")
    parser.add_argument("--soak", type=float, default=600, help="seconds of the soak")
    parser.add_argument("--stops", type=int, default=20, help="SIGTERMs at half load")
    parser.add_argument("--slow-clients", type=int, default=200)
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    checks: list[dict[str, Any]] = []
    with serving("--model", options.model) as (process, port):
        capacity = _find_capacity(port, options.seconds)
        figures["capacity_per_s"] = round(capacity, 2)
        steady = _load(port, 0.7 * capacity, options.seconds)
        figures["steady"] = steady.to_dict()
        figures["overload"] = _overload(process.pid, port, capacity, options.seconds, checks)
        figures["slow_clients"] = _slow_clients(
            port, options.slow_clients, 0.3 * capacity, steady, checks
        )
        figures["soak"] = _soak(process.pid, port, 0.5 * capacity, options.soak, checks)
    p99 = steady.latencies_ms(200).get("p99", float("inf"))
    _check(checks, "steady p99, ms", p99, P99_MS)
    _check(checks, "steady requests without 200", len(steady.outcomes) - steady.count(200), 0)
    figures["stops"] = _stops(options.model, options.stops, 0.5 * capacity, checks)
    figures["checks"] = checks
    write_results("load", figures)
    return 0 if all(check["holds"] for check in checks) else 1


def _check(checks: list[dict[str, Any]], what: str, value: float, at_most: float) -> None:
    """Note a promise of the form "at most"."""
    rounded = round(float(value), 3)
    checks.append({"what": what, "value": rounded, "at_most": at_most, "holds": value <= at_most})


def _load(port: int, rate: float, seconds: float, requests: list[bytes] | None = None) -> Report:
    return asyncio.run(
        run_timetable(port, requests or photos(), rate=max(rate, 0.5), seconds=seconds)
    )


def _find_capacity(port: int, seconds: float) -> float:
    """Return the highest rate with p99 in the limit and no error, found in steps of a tenth."""
    step_s = max(3.0, seconds / 4)
    rate = asyncio.run(_closed_rate(port, step_s))
    for _ in range(_MOST_STEPS):
        report = _load(port, rate, step_s)
        p99 = report.latencies_ms(200).get("p99", float("inf"))
        if report.count(200) == len(report.outcomes) and p99 <= P99_MS:
            return rate
        rate *= 0.9
    return rate


async def _closed_rate(port: int, seconds: float) -> float:
    """Return what four clients get done that wait for their answers: where the search begins."""
    requests = photos()
    until = time.perf_counter() + seconds

    async def work() -> int:
        n_done = 0
        while time.perf_counter() < until:
            n_done += (await ask(port, requests[n_done % len(requests)])).status == 200
        return n_done

    counts = await asyncio.gather(*(work() for _ in range(4)))
    return max(sum(counts) / seconds, 0.5)


def _overload(
    process_id: int, port: int, capacity: float, seconds: float, checks: list[dict[str, Any]]
) -> dict[str, Any]:
    report = _load(port, 2 * capacity, seconds)
    held_mb = resident_mb(process_id)
    goodput = report.count(200) / report.seconds
    refused, alive = report.latencies_ms(503), report.to_dict()["alive_ms"]
    _check(checks, "overload: capacity lost, share", 1 - goodput / capacity, 0.1)
    _check(checks, "overload: p99 of refusals, ms", refused.get("p99", 0), 50)
    _check(checks, "overload: p99 of liveness, ms", alive.get("p99", float("inf")), 100)
    _check(checks, "overload: answers 500", report.count(500), 0)
    _check(checks, "overload: answers 504, share", report.count(504) / len(report.outcomes), 0.001)
    _check(checks, "overload: requests without answer", report.count(GONE), 0)
    without = report.to_dict()["refused_without_retry_after"]
    _check(checks, "overload: refusals without Retry-After", without, 0)
    _check(checks, "overload: memory, MB", held_mb, 600)
    return {**report.to_dict(), "memory_mb": round(held_mb, 1)}


def _slow_clients(
    port: int, count: int, rate: float, steady: Report, checks: list[dict[str, Any]]
) -> dict[str, Any]:
    """Let clients trickle a byte a second, half of them in the head, while others work."""

    async def trickle(number: int) -> float:
        began = time.perf_counter()
        head = b"POST /v1/recognize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(head + b"\r\n" if number % 2 else b"")
            while time.perf_counter() - began < 3 * _SLOW_LIMIT_S:
                writer.write(b"x")
                await writer.drain()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(), _EACH_S)
                    break
        except OSError:
            pass
        finally:
            writer.close()
        return time.perf_counter() - began

    async def both() -> tuple[list[float], Report]:
        slow = asyncio.gather(*(trickle(number) for number in range(count)))
        report = await run_timetable(port, photos(), rate=max(rate, 0.5), seconds=_SLOW_LIMIT_S + 1)
        return list(await slow), report

    closed_s, report = asyncio.run(both())
    normal, before = report.latencies_ms(200), steady.latencies_ms(200)
    _check(checks, "slow clients: last one closed after, s", max(closed_s), _SLOW_LIMIT_S)
    twice = round(2 * before.get("p95", 0), 1)
    _check(checks, "slow clients: p95 of others, ms", normal.get("p95", float("inf")), twice)
    _check(checks, "slow clients: others without 200", len(report.outcomes) - report.count(200), 0)
    return {**report.to_dict(), "slow_closed_after_s": round(max(closed_s), 2)}


def _soak(
    process_id: int, port: int, rate: float, seconds: float, checks: list[dict[str, Any]]
) -> dict[str, Any]:
    """Load at half capacity with a tenth of bad images; watch memory, files and threads."""
    bad = [post_bytes(data) for _, data in mutated(images(), seed=5, start=0, count=60)]
    good = photos()
    requests = [bad[i // 10] if i % 10 == 9 else good[i % len(good)] for i in range(600)]

    async def watch(samples: list[tuple[float, float]]) -> None:
        began = time.monotonic()
        while True:
            samples.append((time.monotonic() - began, resident_mb(process_id)))
            await asyncio.sleep(max(0.5, seconds / 300))

    async def both() -> tuple[Report, list[tuple[float, float]]]:
        samples: list[tuple[float, float]] = []
        watching = asyncio.create_task(watch(samples))
        report = await run_timetable(port, requests, rate=max(rate, 0.5), seconds=seconds)
        watching.cancel()
        return report, samples

    before = _open_things(process_id)
    report, samples = asyncio.run(both())
    time.sleep(1)
    after = _open_things(process_id)
    warm = np.array([sample for sample in samples if sample[0] > seconds / 3])
    slope = float(np.polyfit(warm[:, 0], warm[:, 1], 1)[0]) * 600 if len(warm) > 2 else 0.0
    unexpected = len(report.outcomes) - report.count(200, 413, 415, 422)
    _check(checks, "soak: growth of memory, MB in ten minutes", slope, 1)
    _check(checks, "soak: answers other than 200, 413, 415, 422", unexpected, 0)
    _check(checks, "soak: files and threads left open", sum(after) - sum(before), 2)
    return {
        **report.to_dict(),
        "memory_mb_in_ten_minutes": round(slope, 3),
        "memory_mb": [round(held, 1) for _, held in samples[:: max(1, len(samples) // 20)]],
        "open_files_and_threads": {"before": before, "after": after},
    }


def _open_things(process_id: int) -> tuple[int, int]:
    """Return how many files a process has open, and how many threads it runs."""
    folder = Path("/proc") / str(process_id)
    if not folder.is_dir():
        return 0, 0
    return len(list((folder / "fd").iterdir())), len(list((folder / "task").iterdir()))


def _stops(model: str, count: int, rate: float, checks: list[dict[str, Any]]) -> dict[str, Any]:
    """Stop servers by SIGTERM at half load: every request that was accepted is answered."""
    gone, answered, exits, stop_s = 0, 0, [], []

    async def load_and_stop(process: subprocess.Popen[str], port: int, after_s: float) -> Report:
        async def stop() -> None:
            await asyncio.sleep(after_s)
            process.send_signal(signal.SIGTERM)

        stopping = asyncio.create_task(stop())
        report = await run_timetable(port, photos(), rate=max(rate, 2.0), seconds=after_s + 1)
        await stopping
        return report

    for number in range(count):
        with serving("--model", model) as (process, port):
            after_s = 1 + (number % 5) * 0.17
            report = asyncio.run(load_and_stop(process, port, after_s))
            began = time.monotonic()
            exits.append(process.wait(30))
            stop_s.append(time.monotonic() - began)
            gone += report.count(GONE)
            answered += report.count(200)
    _check(checks, "stops: accepted requests without answer", gone, 0)
    wrong = sum(code not in (0, -signal.SIGTERM, 143) for code in exits)
    _check(checks, "stops: other exit codes", wrong, 0)
    return {
        "stops": count, "answered": answered, "without_answer": gone,
        "slowest_s": round(max(stop_s, default=0), 2), "exit_codes": sorted(set(exits)),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
