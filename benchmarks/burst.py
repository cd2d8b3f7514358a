"""Sends many photos at one moment; another process asks meanwhile whether the server is alive.

Example:
    python -m benchmarks.burst
    python -m benchmarks.burst --requests 100
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Final

from benchmarks.open_loop import GET, GONE, Report, ask, photos, run_timetable
from benchmarks.record import write_results
from benchmarks.server_process import resident_mb, serving

__all__ = ["main"]

ALIVE_MS: Final = 250.0
"""Longest that liveness may take to answer."""

MEMORY_MB: Final = 600
_PROBES_PER_S: Final = 20
_AROUND_S: Final = 1.0


def main() -> int:
    """Run the burst and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=300, help="that come at one moment")
    parser.add_argument("--seconds", type=float, default=10, help="in which liveness is asked for")
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    with serving("--model", options.model) as (process, port), ProcessPoolExecutor(1) as other:
        probing = other.submit(_probe, port, options.seconds)
        time.sleep(_AROUND_S)
        report = asyncio.run(_send_at_once(port, options.requests))
        alive = probing.result()
        held_mb = resident_mb(process.pid)
    slowest_ms = alive.latencies_ms(200).get("max", float("inf"))
    figures = {
        **report.to_dict(),
        "alive_ms": alive.latencies_ms(200),
        "memory_mb": round(held_mb, 1),
    }
    write_results("burst", figures)
    unanswered = report.count(GONE, 500) + len(alive.outcomes) - alive.count(200)
    return int(slowest_ms > ALIVE_MS or held_mb > MEMORY_MB or unanswered > 0)


def _probe(port: int, seconds: float) -> Report:
    return asyncio.run(
        run_timetable(port, [GET % b"/healthz"], rate=_PROBES_PER_S, seconds=seconds)
    )


async def _send_at_once(port: int, count: int) -> Report:
    requests = photos()
    began = time.perf_counter()
    asked = (ask(port, requests[number % len(requests)]) for number in range(count))
    outcomes = list(await asyncio.gather(*asked))
    return Report(outcomes, seconds=time.perf_counter() - began)


if __name__ == "__main__":
    sys.exit(main())
