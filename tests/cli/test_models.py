"""The verb models: list, info, path, verify."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from facial_expressions.cli.main import main
from facial_expressions.inference import model_store
from facial_expressions.inference.model_store import MeasuredFigures, list_models
from facial_expressions.labels import FER2013


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    code = main(["models", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_info_prints_what_the_file_says_of_itself(
    capsys: pytest.CaptureFixture[str], tiny_model: Path
) -> None:
    code, out, _ = run(capsys, "info", tiny_model, "--json")
    facts = json.loads(out)
    assert code == 0
    assert facts["name"] == "tiny"
    assert facts["default_head"] == "fer2013"
    (head,) = facts["heads"]
    assert head["labels"]["names"] == list(FER2013)
    assert head["calibration"]["uncertain_below"] == 0.4
    assert facts["preprocessing"]["size"] == 48
    assert facts["sha256"] == hashlib.sha256(tiny_model.read_bytes()).hexdigest()


def test_info_for_people_has_a_line_for_each_fact_and_no_json(
    capsys: pytest.CaptureFixture[str], mapped_model: Path
) -> None:
    _, text, _ = run(capsys, "info", mapped_model)
    lines = [line.strip() for line in text.splitlines()]
    titles = [line for line in text.splitlines() if not line.startswith(" ")]
    assert titles == ["tiny-mapped", "labels fer2013 (default)", "labels ferplus"]
    assert (
        f"SHA-256                       {hashlib.sha256(mapped_model.read_bytes()).hexdigest()}"
        in lines
    )
    assert f"expressions                   {', '.join(FER2013)}" in lines
    assert "uncertain below               40%" in lines
    assert not {"{", "[", "_"} & set(text.replace(str(mapped_model), ""))


def test_path_of_a_file_is_the_file(capsys: pytest.CaptureFixture[str], tiny_model: Path) -> None:
    assert run(capsys, "path", tiny_model) == (0, f"{tiny_model}\n", "")


def test_verify_accepts_a_whole_file_and_refuses_a_changed_one(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, tmp_path: Path
) -> None:
    code, out, _ = run(capsys, "verify", tiny_model)
    assert code == 0
    assert "  ok  " in out
    changed = tmp_path / "changed.onnx"
    changed.write_bytes(tiny_model.read_bytes()[:-1])
    code, _, err = run(capsys, "verify", changed)
    assert code == 3
    assert "changed.onnx" in err


def test_an_unknown_name_is_exit_code_3_with_the_names_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, err = run(capsys, "path", "standard-cnn")
    assert (code, out) == (3, "")
    assert "Did you mean 'standardized-cnn'" in err


def test_list_names_every_shipped_model(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "list")
    assert code == 0
    header, *rows = out.splitlines()
    words = "model size labels accuracy ECE ms/face licence summary"
    assert header.split() == words.split()
    assert [row[2:].split()[0] for row in rows] == [model.name for model in list_models()]
    assert [row[0] for row in rows] == ["*" if m.is_default else " " for m in list_models()]
    _, text, _ = run(capsys, "list", "--json")
    assert [model["name"] for model in json.loads(text)] == [m.name for m in list_models()]


def test_list_cites_the_figures_of_the_index(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = MeasuredFigures("fer2013, split test", 7178, 0.7012, 0.68, 0.0123, 4.567)
    first = replace(list_models()[0], measured=figures, labels="fer2013", n_bytes=9_876_543)
    bare = replace(first, name="new", measured=None, labels="", is_default=False)
    monkeypatch.setattr(model_store, "list_models", lambda: (first, bare))
    _, out, _ = run(capsys, "list")
    _, known, unknown = out.splitlines()
    assert known.split()[:9] == [
        "*", first.name, "9.9", "MB", "fer2013", "70.12%", "0.012", "4.57", "MIT",
    ]  # fmt: skip
    assert unknown.split()[:8] == ["new", "9.9", "MB", "-", "-", "-", "-", "MIT"]
    _, text, _ = run(capsys, "list", "--json")
    assert [entry["accuracy"] for entry in json.loads(text)] == [0.7012, None]
    assert json.loads(text)[0]["measured_on"] == "fer2013, split test"


def test_every_shipped_model_verifies(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "verify")
    assert code == 0
    assert out.count("  ok  ") == len(list_models()) + 1
    assert out.splitlines()[-1].startswith("face detector  ok  ")
