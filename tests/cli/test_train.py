"""The verbs train and export where they stop: by a signal, or at what they are given.

A whole run is in ``tests/test_end_to_end.py``.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from facial_expressions.cli.main import main
from tests.builders import make_rows, write_competition_csv
from tests.training import stoppable


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "fer2013.csv"
    return write_competition_csv(path, make_rows(train=2, public=1, private=1))


@pytest.mark.train
@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="Windows ends a process without a signal")
def test_c12_sigterm_is_143_and_leaves_a_checkpoint(data: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[network]\narchitecture = 'tiny_for_tests'\n[optimization]\nepochs = 1000\n")
    words = ("train", str(recipe), "--data", str(data), "--out", str(tmp_path / "run"))
    with stoppable.start(*words, "--allow-partial") as process:
        assert process.stdin
        process.stdin.close()  # it goes on
        process.send_signal(signal.SIGTERM)
        assert process.stderr
        error = process.stderr.read()
    assert process.returncode == 143, error
    assert error.splitlines()[-1] == "stopped by SIGTERM"
    assert "Traceback" not in error
    assert (tmp_path / "run" / "checkpoints" / "epoch-00001.npz").exists()


def test_a_misspelt_setting_is_a_usage_error(
    data: Path, repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", str(repository / "recipes" / "seed.toml"), "--data", str(data)]
    words += ["--out", str(tmp_path / "run"), "--set", "optimization.epoch=1"]
    assert main(words) == 2
    assert "Did you mean 'epochs'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_exporting_what_is_no_run_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["export", str(tmp_path / "nowhere"), "--out", str(tmp_path / "mine.onnx")])
    (line,) = capsys.readouterr().err.splitlines()
    assert code != 0
    assert "nowhere: not the folder of a finished run" in line
