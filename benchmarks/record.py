"""What benchmarks share: timing, ratios, and results with machine, versions and commit.

A result is published by committing its file: it has to come from a quiet machine. Every figure that
is compared is a ratio of medians, its two sides measured in turns in one run on the same input.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

__all__ = [
    "RESULTS",
    "ROOT",
    "Timed",
    "astronaut",
    "commit",
    "compare",
    "grace_hopper",
    "milliseconds",
    "seconds",
    "write_results",
]

ROOT: Final = Path(__file__).resolve().parents[1]
RESULTS: Final = ROOT / "benchmarks" / "results"
_PACKAGES: Final = ("facial-expressions", "numpy", "pillow", "onnxruntime")
_BUSY: Final = 0.5
"""Load average from which the machine counts as busy with something else."""

_LOAD: Final = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
"""Load average before the benchmark began."""

Timed = Callable[[], Sequence[float]]
"""Does its work a few times and returns the seconds that each time took."""


def seconds(call: Callable[[], object], *, repeats: int) -> list[float]:
    """Return how long each of some calls took, in seconds.

    Args:
        call: What is timed.
        repeats: Calls.
    """
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


def compare(ours: Timed, theirs: Timed, *, rounds: int, per: int = 1) -> dict[str, float]:
    """Measure two sides in turns, so that whatever else the machine does meets both.

    Args:
        ours: Times our side.
        theirs: Times the other side.
        rounds: How often each is measured, after a first time that is not counted.
        per: Divides all times, for example the crops of a batch.

    Returns:
        Medians in milliseconds, and ``ratio``: how many times as fast ours is.
    """
    ours(), theirs()
    mine: list[float] = []
    other: list[float] = []
    for _ in range(rounds):
        mine += ours()
        other += theirs()
    our_s, their_s = statistics.median(mine), statistics.median(other)
    return {
        "ours_ms": round(1000 * our_s / per, 4),
        "theirs_ms": round(1000 * their_s / per, 4),
        "ratio": round(their_s / our_s, 3),
        "rounds": rounds,
    }


def milliseconds(call: Callable[[], object], *, repeats: int, warm_up: int = 3) -> dict[str, float]:
    """Time a call.

    Args:
        call: What is timed.
        repeats: Timed calls.
        warm_up: Calls before them.

    Returns:
        Median, 90th percentile and minimum, in milliseconds.
    """
    seconds(call, repeats=warm_up)
    times = [1000 * one for one in seconds(call, repeats=repeats)]
    p90 = statistics.quantiles(times, n=10)[-1] if repeats > 1 else times[0]
    return {
        "median_ms": round(statistics.median(times), 3),
        "p90_ms": round(p90, 3),
        "min_ms": round(min(times), 3),
        "repeats": repeats,
    }


def astronaut() -> Path:
    """Return scikit-image's photograph of an astronaut, 512x512, one face."""
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise SystemExit("the photograph comes with scikit-image; run: pip install scikit-image")
    return Path(spec.origin).parent / "data" / "astronaut.png"


def grace_hopper() -> Path:
    """Return Matplotlib's photograph of Grace Hopper, 512x600, one face; public domain."""
    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise SystemExit("a photograph comes with Matplotlib; run: pip install matplotlib")
    return Path(spec.origin).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg"


def write_results(name: str, figures: Mapping[str, object], *, keep: bool = True) -> None:
    """Print a result and write it to ``benchmarks/results/<name>.json``.

    Args:
        name: Name of the benchmark.
        figures: What was measured.
        keep: Whether to write it; a short trial is printed only.
    """
    result = {
        "benchmark": name,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "load_average": _LOAD,
            "system": platform.platform(),
            "python": platform.python_version(),
        },
        "versions": {package: version(package) for package in _PACKAGES},
        "figures": figures,
    }
    text = json.dumps(result, indent=2) + "\n"
    print(text, end="")
    if keep:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(text, encoding="utf-8")
    if _LOAD is not None and _LOAD > _BUSY:
        print(f"the machine was busy (load {_LOAD:.1f}): do not publish this", file=sys.stderr)


def commit(checkout: Path = ROOT) -> str:
    """Return the commit of a checkout, with ``-dirty`` after it where files have changed.

    Args:
        checkout: Of this repository.
    """
    words = ["git", "--no-optional-locks", "-C", str(checkout), "describe", "--always", "--dirty"]
    done = subprocess.run(
        [*words, "--abbrev=12"], capture_output=True, encoding="utf-8", check=False
    )
    return done.stdout.strip()


def _processor() -> str:
    table = Path("/proc/cpuinfo")
    if table.is_file():
        for line in table.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
