"""The verb compare."""

from __future__ import annotations

from pathlib import Path

import pytest

from facial_expressions.cli.main import main
from tests import builders


def test_two_reports_stand_side_by_side(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = builders.write_competition_csv(tmp_path / "fer2013.csv", builders.make_rows())
    for name, words in (("plain", []), ("views", ["--tta"])):
        out = ["--out", str(tmp_path / name)]
        data = ["--data", str(table), "--allow-partial"]
        assert main(["evaluate", str(tiny_model), *data, *out, *words]) == 0
    capsys.readouterr()
    assert main(["compare", str(tmp_path / "plain"), str(tmp_path / "views")]) == 0
    text = capsys.readouterr().out
    assert "tiny (plain)" in text
    assert "tiny (views) against tiny (plain): right where the other is wrong in" in text
    assert "McNemar p =" in text


def test_one_report_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(tmp_path)]) == 2
    assert "two reports" in capsys.readouterr().err


def test_a_folder_without_a_report_is_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(tmp_path), str(tmp_path)]) == 1
    assert "holds no report" in capsys.readouterr().err
