"""Measures ``video`` on a made clip with two faces, and what smoothing does to a noisy one.

The clip lasts a minute at 25 frames a second, 640x480; two faces cross again and again. They are
analysed with a detection on every frame, and with ``--every auto``, which holds real time. What is
checked is named in ``holds``: rows, times, ids and memory do not depend on the machine.

Example:
    python -m benchmarks.video
    python -m benchmarks.video --seconds 12 --every 2
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from benchmarks.clips import frame_times, write_crossing_clip, write_noisy_clip
from benchmarks.record import write_results
from benchmarks.server_process import resident_mb

_EARLY_S: Final = 10.0
"""Memory is compared with that after so many seconds of the video."""
_MOST_GROWTH_MB: Final = 20.0
_FEWER: Final = 5.0
"""Smoothing must take so many times fewer label switches."""
_PROBE_ROWS: Final = 10


@dataclass(slots=True)
class Run:
    """What one run of the command gave.

    Attributes:
        rows: One dictionary a frame.
        seconds: From the first row to the last.
        total_s: Of the whole process.
        memory_mb: Time of a row in the video, and resident memory when it came.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    total_s: float = 0.0
    memory_mb: list[tuple[float, float]] = field(default_factory=list)


def main() -> None:
    """Make the clips, run the command on them, write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--every", default="1")
    options = parser.parse_args()
    more = ["--model", options.model, "--threads", str(options.threads)]
    with tempfile.TemporaryDirectory() as folder:
        crossing = write_crossing_clip(Path(folder, "crossing.mp4"), seconds=options.seconds)
        times_s = frame_times(crossing)
        figures = {
            key: _crossing_figures(run_video(crossing, [*more, "--every", every]), times_s)
            for key, every in (("crossing", options.every), ("real_time", "auto"))
        }
        noisy = write_noisy_clip(Path(folder, "noisy.mp4"), seconds=options.seconds)
        flicker = _flicker_figures(noisy, more)
    write_results("video", {**vars(options), **figures, "flicker": flicker})


def run_video(path: Path, options: Sequence[str]) -> Run:
    """Run the command and read its rows as they come.

    Args:
        path: The video.
        options: Further options.

    Raises:
        SystemExit: The command failed.
    """
    run = Run()
    command = [sys.executable, "-m", "facial_expressions", "video", str(path), *options]
    start = first = last = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None
        for line in process.stdout:
            last = time.perf_counter()
            first = last if not run.rows else first
            run.rows.append(json.loads(line))
            if len(run.rows) % _PROBE_ROWS == 0:
                run.memory_mb.append((run.rows[-1]["time_s"], round(resident_mb(process.pid), 1)))
    if process.returncode != 0:
        raise SystemExit(f"video ended with code {process.returncode}")
    run.seconds, run.total_s = last - first, time.perf_counter() - start
    return run


def _crossing_figures(run: Run, times_s: Sequence[float]) -> dict[str, object]:
    faces = [[face["track_id"] for face in row["faces"]] for row in run.rows]
    ids = sorted({number for row in faces for number in row})
    growth = _growth_mb(run.memory_mb)
    ends = [set(row) for row in faces if len(row) == 2]
    same = bool(ends) and all(pair == ends[0] for pair in ends)
    rows_s = [row["time_s"] for row in run.rows]
    return {
        "frames": len(times_s),
        "rows": len(rows_s),
        "frames_per_second": round((len(rows_s) - 1) / run.seconds, 2),
        "seconds_with_start": round(run.total_s, 2),
        "ids": ids,
        "frames_by_faces": {n: sum(len(row) == n for row in faces) for n in range(4)},
        "memory_mb": run.memory_mb[:: max(1, len(run.memory_mb) // 12)],
        "memory_growth_mb": growth,
        "holds": {
            "rows are the frames": len(rows_s) == len(times_s),
            "times are the stream's": _are_near(rows_s, times_s),
            "the same two ids": same and len(ids) == 2,
            "memory stays within 20 MB": None if growth is None else growth <= _MOST_GROWTH_MB,
        },
    }


def _flicker_figures(path: Path, options: Sequence[str]) -> dict[str, object]:
    plain, smooth = (
        _switches_per_minute(run_video(path, [*options, "--smooth", seconds]).rows)
        for seconds in ("0", "0.5")
    )
    return {
        "switches_per_minute": {"smooth 0": plain, "smooth 0.5": smooth},
        "holds": {"at least five times fewer": plain > 0 and smooth * _FEWER <= plain},
    }


def _switches_per_minute(rows: Sequence[dict[str, Any]]) -> float:
    """Return how often the first face's expression changed from one row to the next."""
    shown: list[str] = [row["faces"][0]["expression"] for row in rows if row["faces"]]
    minutes = float(rows[-1]["time_s"] - rows[0]["time_s"]) / 60
    return round(sum(one != other for one, other in pairwise(shown)) / minutes, 1)


def _growth_mb(memory_mb: Sequence[tuple[float, float]]) -> float | None:
    """Return how much more is resident at the end than early on; None for a short clip."""
    early = next((mb for time_s, mb in memory_mb if time_s >= _EARLY_S), None)
    return None if early is None else round(memory_mb[-1][1] - early, 1)


def _are_near(one: Sequence[float], other: Sequence[float]) -> bool:
    return len(one) == len(other) and all(
        abs(a - b) < 1e-6 for a, b in zip(one, other, strict=True)
    )


if __name__ == "__main__":
    main()
