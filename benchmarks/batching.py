"""Measures whether answering waiting requests in one forward pass would pay.

N crops are classified by N calls of one crop and by one call of N crops, in turns, so that other
work on the machine touches both alike. The ratio says how many times as many crops per second the
batch gives; processor time does not count the turns of other programs. What a whole photo costs is
measured too: classifying is the only part that a batch of requests could share, since photos reach
the detector in sizes of their own. So is a request that sends one crop to a server, in processor
time of the server and its decoders.

Example:
    python -m benchmarks.batching
    python -m benchmarks.batching --model compact --threads 1
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

import facial_expressions as fx
from benchmarks.open_loop import ask, post_bytes
from benchmarks.record import astronaut, write_results
from benchmarks.server_process import serving

BATCHES = (2, 4, 8, 16)


def main() -> None:
    """Compare calls of one crop with calls of many, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="compact")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    recognizer = fx.load_recognizer(options.model, threads=options.threads)
    classifier = recognizer.classifier
    side = classifier.metadata.preprocessing.size
    crops = np.random.default_rng(0).integers(0, 256, (max(BATCHES), side, side), np.uint8)
    figures: dict[str, object] = {"model": options.model, "threads": options.threads}
    figures["rounds"] = options.rounds
    for n in BATCHES:

        def one_by_one(n: int = n) -> None:
            for index in range(n):
                classifier.predict_proba(crops[index : index + 1])

        def together(n: int = n) -> None:
            classifier.predict_proba(crops[:n])

        figures[f"batch of {n}"] = compare(one_by_one, together, n, options.rounds)
    with Image.open(astronaut()) as image:
        photo = np.asarray(image.convert("RGB"))
    figures["photo"] = compare(
        lambda: classifier.predict_proba(crops[:1]), lambda: recognizer.recognize(photo), 1,
        options.rounds,
    )  # fmt: skip
    figures["crop request"] = crop_request(options.model, options.threads, 10 * options.rounds)
    write_results("batching", figures)


def crop_request(model: str, threads: int, n: int) -> dict[str, float]:
    """Return the processor time that a server spends on a request with one crop, in milliseconds.

    Args:
        model: What it serves.
        threads: Of its networks.
        n: Requests, one after the other.
    """
    stream = io.BytesIO()
    Image.new("RGB", (48, 48), (90, 90, 90)).save(stream, "PNG")
    request = post_bytes(stream.getvalue(), path="/v1/classify")
    options = ("--model", model, "--threads", str(threads), "--workers", "1")
    with serving(*options) as (process, port):
        before = _processor_s(process.pid)
        for _ in range(n):
            status = asyncio.run(ask(port, request)).status
            if status != 200:
                raise SystemExit(f"a crop was answered with {status}")
        spent = _processor_s(process.pid) - before
    return {"cpu_ms": round(1000 * spent / n, 3), "requests": n}


def _processor_s(process_id: int) -> float:
    """Return the processor time of a process and its children so far, in seconds; needs /proc."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            if str(process_id) in (path.parent.name, fields[1]):
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def compare(
    single: Callable[[], object], batched: Callable[[], object], n: int, rounds: int
) -> dict[str, float]:
    """Time two calls in turns.

    Args:
        single: Does the work one by one.
        batched: Does the same work at once.
        n: Crops that each does.
        rounds: How often.

    Returns:
        Milliseconds per crop of each, and how many times as fast the second is, by the clock and by
        processor time: medians over the rounds, the ratio's too.
    """
    rows = []
    for round_number in range(rounds + 3):
        first, second = (single, batched) if round_number % 2 else (batched, single)
        timed = {call: _timed(call) for call in (first, second)}
        rows.append((*timed[single], *timed[batched]))
    wall_1, cpu_1, wall_n, cpu_n = zip(*rows[3:], strict=True)
    pairs_wall = [one / many for one, many in zip(wall_1, wall_n, strict=True)]
    pairs_cpu = [one / many for one, many in zip(cpu_1, cpu_n, strict=True)]
    return {
        "single_ms": round(1000 * statistics.median(wall_1) / n, 3),
        "batched_ms": round(1000 * statistics.median(wall_n) / n, 3),
        "single_cpu_ms": round(1000 * statistics.median(cpu_1) / n, 3),
        "batched_cpu_ms": round(1000 * statistics.median(cpu_n) / n, 3),
        "ratio": round(statistics.median(pairs_wall), 3),
        "cpu_ratio": round(statistics.median(pairs_cpu), 3),
    }


def _timed(call: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main()
