"""The verb compare."""

from __future__ import annotations

import json
import shutil
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


def test_one_report_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(tmp_path)]) == 2
    assert "two reports" in capsys.readouterr().err


def test_a_folder_without_a_report_is_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(tmp_path), str(tmp_path)]) == 1
    assert "not a report" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [
        {"accuracy": None}, {"accuracy": "0.7"}, {"ece": [[1]]}, {"n": "7"}, {"split_digest": 7},
        {"weighted_f1": {}},
    ],
)  # fmt: skip
def test_a_report_whose_figures_are_none_is_code_1(
    change: dict[str, object], stored_report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = json.loads((stored_report / "report.json").read_text())
    other = stored_report.parent / "other"
    other.mkdir()
    (other / "report.json").write_text(json.dumps(figures | change))
    assert main(["compare", str(stored_report), str(other)]) == 1
    error = capsys.readouterr().err
    assert f"it lacks ['{next(iter(change))}']" in error
    assert "Traceback" not in error


@pytest.mark.parametrize("part", ["subsets", "per_class", "robustness", "latency_ms"])
@pytest.mark.parametrize("value", [-1, "x", [1], {"a": 1}, None])
def test_a_part_of_a_report_that_is_none_is_left_out(
    part: str, value: object, stored_report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = json.loads((stored_report / "report.json").read_text())
    other = stored_report.parent / "other"
    other.mkdir()
    (other / "report.json").write_text(json.dumps(figures | {part: value}))
    assert main(["compare", str(stored_report), str(other)]) == 0
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5_000, '{"a":' * 100_000])
def test_a_report_that_no_parser_takes_is_code_1(
    text: str, stored_report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (stored_report / "report.json").write_text(text)
    assert main(["compare", str(stored_report), str(stored_report)]) == 1
    assert "not a report" in capsys.readouterr().err


@pytest.fixture(scope="module")
def evaluated(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluated")
    table = builders.write_competition_csv(folder / "fer2013.csv", builders.make_rows())
    words = ["evaluate", str(tiny_model), "--data", str(table), "--allow-partial"]
    assert main([*words, "--out", str(folder / "report")]) == 0
    return folder / "report"


@pytest.fixture
def stored_report(evaluated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(evaluated, tmp_path / "report"))
