"""The verb compare."""

from __future__ import annotations

from pathlib import Path

import pytest

from facial_expressions.cli.main import main
from tests import builders


@pytest.mark.usefixtures("without_charts")
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
    page, table = tmp_path / "new" / "both.html", tmp_path / "both.md"
    words = [str(tmp_path / "plain"), str(tmp_path / "views"), "--out", str(page)]
    assert main(["compare", *words, "--out", str(table)]) == 0
    assert "<h1>Comparison of tiny (plain), tiny (views)</h1>" in page.read_text("utf-8")
    assert "| Figure | tiny (plain) | tiny (views) |" in table.read_text("utf-8")


def test_another_form_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(tmp_path), str(tmp_path), "--out", "both.pdf"]) == 2
    assert ".md or .html" in capsys.readouterr().err


def test_one_report_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(tmp_path)]) == 2
    assert "two reports" in capsys.readouterr().err


def test_a_folder_without_a_report_is_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(tmp_path), str(tmp_path)]) == 1
    assert "not a report" in capsys.readouterr().err
