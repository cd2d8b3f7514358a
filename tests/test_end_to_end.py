"""The whole way through the command line: a tiny FER-2013, a network, a report, a photo."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from facial_expressions.cli.main import main
from facial_expressions.labels import FER2013
from tests import builders
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data, and the finished run of a recipe that ships."""
    folder = tmp_path_factory.mktemp("trained")
    rows = builders.make_rows(train=8, public=2, private=2)
    builders.write_competition_csv(folder / "fer2013.csv", rows)
    recipe = REPOSITORY / "recipes" / "standardized-cnn.toml"
    has_events = importlib.util.find_spec("tensorboard") is not None
    said = run(
        folder, "train", recipe, "--data", "fer2013.csv", "--allow-partial", "--out", "run",
        "--set", "optimization.epochs=2", "--set", "optimization.batch_size=14",
        *(("--tensorboard", "events") if has_events else ()),
    )  # fmt: skip
    (folder / "said.txt").write_text(said, encoding="utf-8")
    return folder


def test_a_run_says_how_well_it_learned_and_where_it_lies(trained: Path) -> None:
    history = (trained / "run" / "history.csv").read_text(encoding="utf-8").splitlines()
    assert len(history) == 1 + 2
    result, folder = (trained / "said.txt").read_text(encoding="utf-8").splitlines()[-2:]
    assert result.startswith("validation accuracy")
    assert folder == "run"
    if importlib.util.find_spec("tensorboard"):
        assert list((trained / "events").rglob("events.out.tfevents.*"))


def test_train_export_evaluate_and_predict(trained: Path, tmp_path: Path, astronaut: Path) -> None:
    """Each step is a process of its own and reads what the one before has written."""
    model, table = tmp_path / "mine.onnx", trained / "fer2013.csv"
    run(trained, "export", "run", "--out", model)
    run(trained, "evaluate", model, "--data", table, "--allow-partial", "--out", tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["labels"] == list(FER2013)
    assert report["n"] == sum(map(sum, report["confusion_matrix"])) == 14

    line = run(trained, "predict", astronaut, "--model", model, "--format", "json")
    row: dict[str, Any] = json.loads(line)
    assert (row["status"], row["width"], row["height"]) == ("ok", 512, 512)
    assert len(row["faces"]) == 1
    assert sum(row["faces"][0]["probabilities"].values()) == pytest.approx(1, abs=1e-4)


def test_weights_of_16_bits_are_half_a_file_of_the_same_answers(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "mine.onnx"
    code = main(["export", str(trained / "run"), "--out", str(model), "--half"])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    assert "same answer on 100.00%" in printed.out
    assert 7.5e6 < model.stat().st_size < 8.2e6


def run(folder: Path, *words: str | Path) -> str:
    """Run the command line in a folder; return what it wrote to stdout."""
    done = subprocess.run(
        [sys.executable, "-m", "facial_expressions", *map(str, words)],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        check=False,
    )
    assert done.returncode == 0, f"{words[0]}: exit code {done.returncode}\n{done.stderr}"
    return done.stdout
