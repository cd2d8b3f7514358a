"""The verb ``data``, run as a user runs it."""

from __future__ import annotations

import json
import os
import sys
import types
from pathlib import Path

import pytest

from facial_expressions.cli.main import main
from facial_expressions.data.load import KAGGLE_DATASET
from tests.builders import (
    draw_face,
    jpeg,
    make_rows,
    write_competition_csv,
    write_competition_tar,
    write_ferplus_csv,
    write_folder,
    write_kaggle_zip,
)
from tests.pages.page_checker import look_at

ROWS = make_rows(train=5, public=1, private=1)
Capture = pytest.CaptureFixture[str]


def test_info_says_what_there_is(tmp_path: Path, capsys: Capture) -> None:
    path = write_competition_tar(tmp_path / "fer2013.tar.gz", ROWS)
    assert main(["data", "info", str(path), "--protocol", "kaggle", "--allow-partial"]) == 0
    out = capsys.readouterr().out
    assert "fer2013, protocol kaggle" in out
    assert "train       28 images, 48x48 grey (28 Training)" in out
    assert "test        14 images, 48x48 grey (7 PrivateTest, 7 PublicTest)" in out


def test_info_as_json_is_one_object(tmp_path: Path, capsys: Capture) -> None:
    path = write_kaggle_zip(tmp_path / "fer.zip", ROWS)
    assert main(["data", "info", str(path), "--allow-partial", "--format", "json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["splits"]["train"]["classes"]["happy"] == 5
    assert (facts["protocol"], facts["left_out"]) == ("competition", [])


def test_wrong_count_is_one_line_and_exit_1(tmp_path: Path, capsys: Capture) -> None:
    path = write_competition_csv(tmp_path / "fer2013.csv", ROWS)
    assert main(["data", "info", str(path)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "instead of 28,709 Training" in captured.err


def test_unreadable_image_gives_exit_1_and_the_rest(tmp_path: Path, capsys: Capture) -> None:
    files = {"sad/a.jpg": jpeg(draw_face("sad", 1)), "sad/b.jpg": b"no image"}
    assert main(["data", "info", str(write_folder(tmp_path / "faces", files))]) == 1
    out = capsys.readouterr().out
    assert "test        1 image," in out
    assert "note        sad/b.jpg: cannot be read: " in out


def test_missing_path_is_named(tmp_path: Path, capsys: Capture) -> None:
    assert main(["data", "audit", str(tmp_path / "none.zip")]) == 1
    assert "none.zip: file or folder not found" in capsys.readouterr().err


def test_audit_writes_text_json_and_page(tmp_path: Path, capsys: Capture) -> None:
    path = write_kaggle_zip(tmp_path / "fer.zip", [*ROWS, ROWS[0]])
    table = write_competition_csv(tmp_path / "fer.csv", [*ROWS, ROWS[0]])
    ferplus = write_ferplus_csv(tmp_path / "ferplus.csv", [*ROWS, ROWS[0]])
    words = ["data", "audit", str(path), "--ferplus", str(ferplus), "--competition", str(table)]
    out = tmp_path / "audit"
    assert main([*words, "--allow-partial", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "1 groups of byte-identical images, 2 images in them" in text
    assert "strict majority for" in text
    assert (out / "audit.txt").read_text() == text
    assert json.loads((out / "audit.json").read_text())["duplicates"]["n_groups"] == 1
    assert look_at((out / "audit.html").read_text(encoding="utf-8")).tags.count("img") == 0


def test_audit_prints_json(tmp_path: Path, capsys: Capture) -> None:
    path = write_competition_csv(tmp_path / "fer.csv", ROWS)
    assert main(["data", "audit", str(path), "--allow-partial", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == len(ROWS)


def test_fetch_without_kagglehub_names_the_install_line(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    assert main(["data", "fetch"]) == 4
    assert 'pip install ".[fetch]"' in capsys.readouterr().err


class _BackendError(Exception):
    """Stands for kagglehub's own errors, which derive from Exception alone."""


def _kagglehub(monkeypatch: pytest.MonkeyPatch, answer: str | Exception) -> list[str]:
    """Put a kagglehub in place that answers without a network; return what it is asked for."""
    asked: list[str] = []

    def dataset_download(handle: str) -> str:
        asked.append(handle)
        if isinstance(answer, Exception):
            raise answer
        return answer

    module = types.ModuleType("kagglehub")
    module.dataset_download = dataset_download  # type: ignore[attr-defined]
    module.exceptions = types.SimpleNamespace(BackendError=_BackendError)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kagglehub", module)
    return asked


def test_fetch_prints_the_folder(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    asked = _kagglehub(monkeypatch, "/cache/fer2013")
    assert main(["data", "fetch"]) == 0
    assert (asked, capsys.readouterr().out) == ([KAGGLE_DATASET], f"{Path('/cache/fer2013')}\n")


def test_fetch_shows_the_bar_of_all_verbs_and_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Kagglehub would draw one with tqdm and write lines to stdout, where the folder goes."""
    monkeypatch.setattr(os, "environ", {**os.environ, "TERM": "xterm"})
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    _kagglehub(monkeypatch, "/cache/fer2013")
    assert main(["data", "fetch"]) == 0
    assert "downloading FER-2013" in capsys.readouterr().err
    assert os.environ["TQDM_DISABLE"] == "1"
    assert os.environ["KAGGLEHUB_VERBOSITY"] == "error"


@pytest.mark.parametrize("kind", [ConnectionError, _BackendError])
def test_fetch_offline_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, kind: type[Exception]
) -> None:
    _kagglehub(monkeypatch, kind("no route to host"))
    assert main(["data", "fetch"]) == 1
    error = capsys.readouterr().err
    assert "msambare/fer2013: cannot be downloaded: no route to host" in error
    assert "https://www.kaggle.com/datasets/msambare/fer2013" in error
