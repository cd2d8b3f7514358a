"""Compares batches: two processes against one, and two local workers of Ray against our own two.

The same photos each time, the default model, one thread a worker; a batch's time is that of the
whole command, start included, and its rate is counted from the first row on. Ray is left out where
it is not installed.

Example:
    python -m benchmarks.batch_scaling
    python -m benchmarks.batch_scaling --photos 500
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from benchmarks.images import write_photos
from benchmarks.record import ROOT, write_results
from facial_expressions.distributed.batch import WorkerOptions, run_batch

PHOTOS: Final = ROOT / "build" / "photos"


def main() -> None:
    """Run the batches one after the other and write the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=5000)
    parser.add_argument("--quick", action="store_true", help="a short trial; nothing is written")
    options = parser.parse_args()
    n = 24 if options.quick else options.photos
    folder = PHOTOS / str(n)
    write_photos(folder, n)
    runs: dict[str, Any] = {
        "1 process": measure(folder, WorkerOptions(n_workers=1)),
        "2 processes": measure(folder, WorkerOptions(n_workers=2)),
    }
    if find_spec("ray"):
        runs["Ray, 2 workers"] = measure(folder, WorkerOptions("ray", n_workers=2))
    two = runs["2 processes"]["seconds"]
    ratios = {"2 processes against 1": round(runs["1 process"]["seconds"] / two, 3)}
    if "Ray, 2 workers" in runs:
        ray = runs["Ray, 2 workers"]["seconds"]
        ratios["Ray, 2 workers, against 2 processes"] = round(two / ray, 3)
    figures = {"photos": n, "size": "640x480", "runs": runs, "ratios": ratios}
    write_results("batch_scaling", figures, keep=not options.quick)


def measure(folder: Path, workers: WorkerOptions) -> dict[str, Any]:
    """Run one batch and return what it took.

    Args:
        folder: The photos.
        workers: Who does the work.
    """
    first: list[float] = []

    def note_first(_: int, n_inputs: int | None) -> None:
        if n_inputs is not None and not first:
            first.append(time.perf_counter())

    before = _cpu_s()
    with tempfile.TemporaryDirectory() as output:
        start = time.perf_counter()
        summary = run_batch(folder, output, workers=workers, on_progress=note_first)
        end = time.perf_counter()
    if summary.counts["ok"] != summary.n_inputs:
        raise SystemExit(f"{folder} is to hold photos only; received {dict(summary.counts)}")
    return {
        "seconds": round(end - start, 2),
        "photos_per_s": round((summary.n_inputs - 1) / (end - first[0]), 2),
        "start_s": round(first[0] - start, 2),
        "core_s_per_photo": round((_cpu_s() - before) / summary.n_inputs, 5),
        "faces": summary.counts["faces"],
    }


def _cpu_s() -> float:
    """Return the processor seconds of this process and of its children that have ended.

    Ray's workers are no children of this one: their seconds are not in it.
    """
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main()
