"""The verbs train, average and export in a row, as a user types them, on the tiny network."""

from __future__ import annotations

from pathlib import Path

import pytest

from facial_expressions.cli.main import main
from tests.builders import make_rows, write_competition_csv, write_ferplus_csv

pytestmark = [pytest.mark.train, pytest.mark.slow, pytest.mark.timeout(900)]

RECIPE = """
[run]
name = "tiny"
[network]
architecture = "tiny_for_tests"
[optimization]
epochs = 1
batch_size = 7
ferplus_weight = 0.3
"""


def test_runs_teach_and_average_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = make_rows(train=4, public=1, private=1)
    write_competition_csv(tmp_path / "fer2013.csv", rows)
    write_ferplus_csv(tmp_path / "votes.csv", rows)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    data = ("--data", "fer2013.csv", "--ferplus", "votes.csv", "--allow-partial")
    taught = ("--set", "distillation.weight=0.5", "--teacher", "first", "--teacher", "second")

    def run(*words: str) -> str:
        code = main(words)
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return captured.out

    run("train", "recipe.toml", *data, "--out", "first")
    run("train", "recipe.toml", *data, "--out", "second", "--set", "run.seed=2")
    run("train", "recipe.toml", *data, "--out", "taught", *taught)
    run("train", "recipe.toml", *data, "--out", "next", "--from", "taught")
    printed = run("average", "taught", "next", *data, "--out", "average")
    assert printed.splitlines()[0].startswith("validation accuracy 0.")
    assert printed.splitlines()[0].endswith("the average of 2 runs")
    run("export", "average", "--out", "average.onnx")
    code = main(["train", "recipe.toml", *data, "--out", "other", "--teacher", "first"])
    assert code == 2
    assert "distillation.weight and the teachers" in capsys.readouterr().err
