"""The verbs train, average and export in a row, as a user types them, on the tiny network."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
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
from tests.eager import steps_without_a_graph
from tests.trials.crash_points import failing_call

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


@pytest.fixture(autouse=True)
def _quick_steps() -> Iterator[None]:
    with steps_without_a_graph():
        yield


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

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    bars = []

    def run(*words: str) -> str:
        code = main(words)
        captured = capsys.readouterr()
        assert code == 0, captured.err
        bars.append(captured.err)
        return captured.out

    run("train", "recipe.toml", *data, "--out", "first")
    run("train", "recipe.toml", *data, "--out", "second", "--set", "run.seed=2")
    run("train", "recipe.toml", *data, "--out", "taught", *taught)
    run("train", "recipe.toml", *data, "--out", "next", "--from", "taught")
    printed = run("average", "taught", "next", *data, "--out", "average")
    assert printed.splitlines()[0].startswith("validation accuracy 0.")
    assert printed.splitlines()[0].endswith("the average of 2 runs")
    assert "averaging 2 runs" in bars[-1]
    run("export", "average", "--out", "average.onnx")
    assert "exporting average" in bars[-1]
    code = main(["train", "recipe.toml", *data, "--out", "other", "--teacher", "first"])
    assert code == 2
    assert "distillation.weight: 0 with the teachers" in capsys.readouterr().err


@pytest.mark.usefixtures("_with_pages")
@pytest.mark.parametrize("number", [1, 2, 3, 5, 8])
def test_e16_train_and_export_on_a_disk_that_fills_up(
    number: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The n-th write fails and all after it; with room again the same command continues."""
    write_competition_csv(tmp_path / "fer2013.csv", make_rows(train=2, public=1, private=1))
    (tmp_path / "recipe.toml").write_text(RECIPE.replace("ferplus_weight = 0.3", ""))
    monkeypatch.chdir(tmp_path)
    data = ("--data", "fer2013.csv", "--allow-partial")
    for words in (
        ("train", "recipe.toml", *data, "--out", "run"),
        ("export", "run", "--out", "out.onnx"),
    ):
        failing = number if words[0] == "train" else 1
        with failing_call("write", failing, errno.ENOSPC, for_good=True) as disk:
            code = main(words)
        said = capsys.readouterr().err
        assert disk.has_failed
        assert code == 4, said
        assert "cannot be written: the disk is full" in said
        assert "Errno" not in said
        assert not [path for path in tmp_path.rglob("*") if path.suffix in (".part", ".onnx")]
        assert main(words) == 0, capsys.readouterr().err
        capsys.readouterr()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("run")
    data = write_competition_csv(folder / "fer2013.csv", make_rows(train=2, public=1, private=1))
    (folder / "recipe.toml").write_text(RECIPE.replace("ferplus_weight = 0.3", ""))
    words = ["train", str(folder / "recipe.toml"), "--data", str(data), "--allow-partial"]
    with steps_without_a_graph():
        assert main([*words, "--out", str(folder / "run")]) == 0
    return folder / "run"


@pytest.mark.parametrize("kind", ["link to a file", "link to nothing", "folder"])
def test_e17_export_goes_through_no_link(
    kind: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planted, target = tmp_path / "out.onnx", tmp_path / "target"
    if kind == "folder":
        planted.mkdir()
    else:
        planted.symlink_to(target)
    if kind == "link to a file":
        target.write_bytes(b"precious")
    assert main(["export", str(run), "--out", str(planted)]) == 4
    assert "out.onnx: cannot be written: the name is" in capsys.readouterr().err
    assert target.read_bytes() == b"precious" if kind == "link to a file" else not target.exists()


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
    assert "split 'test': no image shows an expression of the model" in said
