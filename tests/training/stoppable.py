"""The command line as a process to stop: it knows the tiny network, and waits after each save.

Once a checkpoint is saved it says so, and goes on when a line comes or its input is closed.

Example:
    python -m tests.training.stoppable train recipe.toml --data fer2013.csv --out run
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from facial_expressions.cli.main import main
from facial_expressions.training import checkpoints
from tests.conftest import REPOSITORY
from tests.eager import steps_without_a_graph
from tests.training import conftest  # noqa: F401 - registers the tiny network


def start(*words: str) -> subprocess.Popen[str]:
    """Start the command line and return its process, which has saved the first checkpoint."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.training.stoppable", *words],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stdout
    assert process.stdout.readline() == "saved\n", process.communicate()[1]
    return process


def _save_and_wait(folder: Path, checkpoint: checkpoints.Checkpoint, *, best: int) -> Path:
    path = _save(folder, checkpoint, best=best)
    sys.stdout.write("saved\n")
    sys.stdout.flush()
    sys.stdin.readline()
    return path


if __name__ == "__main__":
    _save = checkpoints.save
    checkpoints.save = _save_and_wait
    with steps_without_a_graph():
        sys.exit(main())
