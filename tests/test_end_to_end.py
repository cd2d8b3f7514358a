"""The whole way through the command line: a tiny FER-2013, a network, a report, a photo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from facial_expressions.labels import FER2013
from tests import builders


@pytest.mark.train
def test_train_export_evaluate_and_predict(
    tmp_path: Path, repository: Path, astronaut: Path
) -> None:
    """Each step is a process of its own and reads what the one before has written."""
    rows = builders.make_rows(train=8, public=2, private=2)
    table = builders.write_competition_csv(tmp_path / "fer2013.csv", rows)
    recipe = repository / "recipes" / "standardized-cnn.toml"

    run("train", recipe, "--data", table, "--allow-partial", "--out", tmp_path / "run",
        "--set", "optimization.epochs=2", "--set", "optimization.batch_size=14")  # fmt: skip
    history = (tmp_path / "run" / "history.csv").read_text(encoding="utf-8").splitlines()
    assert len(history) == 1 + 2

    model = tmp_path / "mine.onnx"
    run("export", tmp_path / "run", "--out", model)
    run("evaluate", model, "--data", table, "--allow-partial", "--out", tmp_path / "report")
    report = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert report["labels"] == list(FER2013)
    assert report["n"] == sum(map(sum, report["confusion_matrix"])) == 14

    line = run("predict", astronaut, "--model", model, "--format", "json")
    row: dict[str, Any] = json.loads(line)
    assert (row["status"], row["width"], row["height"]) == ("ok", 512, 512)
    assert len(row["faces"]) == 1
    assert sum(row["faces"][0]["probabilities"].values()) == pytest.approx(1, abs=1e-4)


def run(*words: str | Path) -> str:
    """Run the command line; return what it wrote to stdout."""
    done = subprocess.run(
        [sys.executable, "-m", "facial_expressions", *map(str, words)],
        capture_output=True,
        encoding="utf-8",
        env=os.environ,
        check=False,
    )
    assert done.returncode == 0, f"{words[0]}: exit code {done.returncode}\n{done.stderr}"
    return done.stdout
