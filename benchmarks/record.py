"""What benchmarks share: timing, the photograph, and results with machine, versions and commit."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

__all__ = ["ROOT", "astronaut", "grace_hopper", "milliseconds", "write_results"]

ROOT: Final = Path(__file__).resolve().parents[1]
_PACKAGES: Final = ("facial-expressions", "numpy", "pillow", "onnxruntime")


def milliseconds(call: Callable[[], object], *, repeats: int, warm_up: int = 3) -> dict[str, float]:
    """Time a call.

    Args:
        call: What is timed.
        repeats: Timed calls.
        warm_up: Calls before them.

    Returns:
        Median, 90th percentile and minimum, in milliseconds.
    """
    for _ in range(warm_up):
        call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
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


def write_results(name: str, figures: Mapping[str, object]) -> Path:
    """Write ``benchmarks/results/<name>.json`` and print it.

    Args:
        name: Name of the benchmark.
        figures: What was measured.
    """
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    result = {
        "benchmark": name,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
            "system": platform.platform(),
            "python": platform.python_version(),
        },
        "versions": {package: version(package) for package in _PACKAGES},
        "figures": figures,
    }
    text = json.dumps(result, indent=2) + "\n"
    path.write_text(text, encoding="utf-8")
    print(text, end="")
    return path


def _commit() -> str:
    done = subprocess.run(
        ["git", "-C", ROOT, "describe", "--always", "--dirty", "--abbrev=12"],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return done.stdout.strip()


def _processor() -> str:
    table = Path("/proc/cpuinfo")
    if table.is_file():
        for line in table.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
