"""The verbs train, average and export in a row, as a user types them, on the tiny network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from facial_expressions.cli.main import main
from tests.builders import (
    jpeg,
    make_rows,
    write_competition_csv,
    write_ferplus_csv,
    write_folder,
)

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


def test_classes_of_their_own_are_trained_exported_measured_and_predicted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bright images are ``bored`` and dark ones ``confused``: a few steps tell them apart."""
    shades = {"bored": 230, "confused": 20}
    files = {
        f"{part}/{name}/{i}.jpg": jpeg(np.full((48, 48), shade + i % 9, np.uint8))
        for part, n in (("train", 40), ("test", 5))
        for name, shade in shades.items()
        for i in range(n)
    }
    write_folder(tmp_path / "reactions", files)
    recipe = RECIPE.replace("epochs = 1", "epochs = 6").replace("ferplus_weight = 0.3", "")
    (tmp_path / "recipe.toml").write_text(recipe + "[data]\nprotocol = 'folder'\n")
    photo = data.astronaut()  # type: ignore[no-untyped-call]
    Image.fromarray(photo).save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> str:
        code = main(words)
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return captured.out

    run("train", "recipe.toml", "--data", "reactions", "--out", "run")
    run("export", "run", "--out", "own.onnx")
    report = run("evaluate", "own.onnx", "--data", "reactions")
    assert "Accuracy           1.0000" in report
    rows = run("predict", "photo.png", "--model", "own.onnx", "--format", "csv").splitlines()
    assert "bored,confused" in rows[0]
    code = main(["evaluate", "standardized-cnn", "--data", "reactions"])
    said = capsys.readouterr().err
    assert code == 1
    assert "no image of split 'test' shows an expression of the model" in said
