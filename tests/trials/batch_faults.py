"""Breaks batches on purpose: a worker killed every few seconds, the command itself, the writer.

Photos with 5% bad files among them are done once undisturbed, by one process. Then, in every run:

* ``workers``: two processes, of which one gets SIGKILL every five seconds;
* ``command``: the command gets SIGKILL after a random time, is started again with ``--resume``,
  is killed again, and so on until it ends by itself.

A run passes when its rows have the same sources, statuses and labels as the undisturbed one, so
exactly one row per input. The time of ``workers`` is compared with two processes undisturbed. What
is random comes from the seed that is printed.

Example:
    python -m tests.trials.batch_faults
    python -m tests.trials.batch_faults --photos 200 --runs 2 --seed 7
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.batch_scaling import PHOTOS
from benchmarks.children import children
from benchmarks.images import write_photos
from benchmarks.record import write_results
from facial_expressions.distributed.batch import BatchOptions, WorkerOptions, run_batch
from facial_expressions.inference.options import RecognizerOptions

BAD_SHARE: Final = 20
"""One file in so many is no image."""

SHARD: Final = 50
KILL_EVERY_S: Final = 5.0
MODEL: Final = "standardized-cnn"
Rows = list[tuple[str, str, tuple[str, ...]]]
"""Of each row its source, status and labels."""


def main() -> None:
    """Break batches and write the verdicts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a short trial; nothing is written")
    options = parser.parse_args()
    if options.quick:
        options.photos, options.runs = 40, 1
    folder = PHOTOS / f"bad-{options.photos}"
    write_photos(folder, options.photos)
    spoil(folder)
    expected, _ = undisturbed(folder, 1)
    _, two_s = undisturbed(folder, 2)
    runs = [
        one_run(folder, expected, options.seed + number, two_s) for number in range(options.runs)
    ]
    figures = {
        "photos": options.photos,
        "seed": options.seed,
        "two_processes_s": round(two_s, 1),
        "runs": runs,
        "passed": all(run["workers"]["same"] and run["command"]["same"] for run in runs),
    }
    write_results("batch_faults", figures, keep=not options.quick)


def spoil(folder: Path) -> None:
    """Replace one photo in twenty by something else: cut short, empty, text, or another format.

    Args:
        folder: The photos.
    """
    for number, path in enumerate(sorted(folder.iterdir())[::BAD_SHARE]):
        whole = path.read_bytes()
        bad = (whole[:200], b"", b"no image", b"\x89PNG\r\n\x1a\n" + bytes(50))
        path.write_bytes(bad[number % len(bad)])


def undisturbed(folder: Path, n_workers: int) -> tuple[Rows, float]:
    """Return the rows of a batch that nothing happens to, and its seconds.

    Args:
        folder: The photos.
        n_workers: Processes.
    """
    with tempfile.TemporaryDirectory() as output:
        start = time.perf_counter()
        _run(folder, Path(output), n_workers)
        return read(Path(output)), time.perf_counter() - start


def one_run(folder: Path, expected: Rows, seed: int, two_s: float) -> dict[str, Any]:
    """Break both things once; return the verdicts.

    Args:
        folder: The photos.
        expected: Rows undisturbed.
        seed: Decides who is killed, and when.
        two_s: Seconds of two processes undisturbed.
    """
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as output:
        start = time.perf_counter()
        with killed_workers(rng) as kills:
            _run(folder, Path(output), 2)
        slower = (time.perf_counter() - start) / two_s
        same = read(Path(output)) == expected
    workers = {"kills": len(kills), "same": same, "times_as_long": round(slower, 2)}
    with tempfile.TemporaryDirectory() as output:
        n_kills = kill_command(folder, Path(output), rng, two_s)
        command = {"kills": n_kills, "same": read(Path(output)) == expected}
    verdict = {"seed": seed, "workers": workers, "command": command}
    print(json.dumps(verdict), file=sys.stderr)
    return verdict


@contextlib.contextmanager
def killed_workers(rng: random.Random) -> Iterator[list[int]]:
    """Kill a child process every few seconds while the block runs; yield those that were killed.

    Args:
        rng: Chooses which.
    """
    ended = threading.Event()
    kills: list[int] = []

    def kill() -> None:
        while not ended.wait(KILL_EVERY_S):
            living = children("facial_expressions.distributed.local_workers")
            if living:
                kills.append(rng.choice(living))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(kills[-1], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield kills
    finally:
        ended.set()
        thread.join()


def kill_command(folder: Path, output: Path, rng: random.Random, two_s: float) -> int:
    """Start the command again and again, each time killed later, until it ends by itself.

    Args:
        folder: The photos.
        output: For the rows.
        rng: Chooses when.
        two_s: Seconds that a whole batch takes.

    Returns:
        How often it was killed.
    """
    command = [sys.executable, "-m", "facial_expressions", "batch", str(folder), str(output)]
    command += ["--model", MODEL, "--shard-size", str(SHARD), "--workers", "2", "--resume"]
    n_kills = 0
    while True:
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                process.wait(rng.uniform(0.1, 0.5) * two_s * (1 + n_kills / 4))
            except subprocess.TimeoutExpired:
                process.kill()
                n_kills += 1
                continue
        if process.returncode != 1:  # some inputs are bad
            raise SystemExit(f"exit code {process.returncode} of: {' '.join(command)}")
        return n_kills


def read(output: Path) -> Rows:
    """Return the rows of all shards, in their order.

    Args:
        output: Their folder.
    """
    shards = sorted(output.glob("rows-*.jsonl"))
    rows = [json.loads(line) for path in shards for line in path.read_bytes().splitlines()]
    return [
        (row["source"], row["status"], tuple(face["expression"] for face in row.get("faces", ())))
        for row in rows
    ]


def _run(folder: Path, output: Path, n_workers: int) -> None:
    options = BatchOptions(RecognizerOptions(MODEL), shard_size=SHARD)
    run_batch(folder, output, options=options, workers=WorkerOptions(n_workers=n_workers))


if __name__ == "__main__":
    main()
