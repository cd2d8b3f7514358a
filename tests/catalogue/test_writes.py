"""The catalogue's E16 and E17: every file that a verb writes, on a full disk and under a link."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.builders import make_rows, write_kaggle_folder
from tests.catalogue.image_files import encode, photo
from tests.tiny_model import write_tiny_model

PROGRAM: Final = [sys.executable, "-m", "facial_expressions"]
needs_posix = pytest.mark.skipif(os.name != "posix", reason="needs limits and links of POSIX")

WRITES: Final[dict[str, tuple[list[str], list[str]]]] = {
    "predict": (["predict", "a.jpg", "--draw", "drawn"], ["drawn/a-faces.jpg"]),
    "predict png": (["predict", "a.png", "--draw", "drawn"], ["drawn/a-faces.png"]),
    "batch": (
        ["batch", "images", "rows", "--workers", "1"],
        ["rows/inputs.list", "rows/batch.json", "rows/rows-000000.jsonl"],
    ),
    "audit": (
        ["data", "audit", "data", "--allow-partial", "--out", "audit"],
        ["audit/audit.json", "audit/audit.txt", "audit/audit.png"],
    ),
}
"""Words of a verb, and files that it writes."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name, kind in (("a.png", "PNG"), ("a.jpg", "JPEG"), ("images/a.png", "PNG")):
        (tmp_path / name).write_bytes(encode(photo(400, 300), kind))
    write_kaggle_folder(tmp_path / "data", make_rows(train=1, public=1, private=1))
    write_tiny_model(tmp_path / "tiny.onnx")
    return tmp_path


def run(place: Path, words: Sequence[str], *, before: str = "") -> subprocess.CompletedProcess[str]:
    given = [*words]
    given += ["--model", "tiny.onnx"] if words[0] in ("predict", "batch", "video") else []
    return subprocess.run(
        ["sh", "-c", f'{before}exec "$@"', "sh", *PROGRAM, *given],
        cwd=place, capture_output=True, encoding="utf-8", check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "MPLCONFIGDIR": str(place / "fonts")},
    )  # fmt: skip


@needs_posix
@pytest.mark.parametrize("words", [words for words, _ in WRITES.values()], ids=WRITES)
def test_e16_a_file_that_does_not_fit_is_not_there_and_said_in_words(
    words: list[str], place: Path
) -> None:
    """Files may grow to nothing at all, as on a full disk."""
    before = set(place.rglob("*"))
    done = run(place, words, before="ulimit -f 0; ")
    left = [path for path in set(place.rglob("*")) - before if path.is_file()]
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr
    assert "Errno" not in done.stderr
    assert "cannot be written: the file would be larger than is allowed here" in done.stderr
    assert [path.name for path in left if path.name != ".lock" and "fonts" not in path.parts] == []


@needs_posix
@pytest.mark.parametrize(
    ("verb", "name", "kind"),
    [("predict", "drawn/a-faces.jpg", "link to a file"), ("batch", "rows/.lock", "link to nothing"),
     ("batch", "rows/inputs.list", "link to a file"), ("batch", "rows/batch.json", "folder"),
     ("batch", "rows/rows-000000.jsonl", "link to a file"),
     ("audit", "audit/audit.json", "link to nothing"), ("audit", "audit/audit.png", "folder")],
)  # fmt: skip
def test_e17_a_name_that_is_a_link_or_folder_is_not_written(
    verb: str, name: str, kind: str, place: Path
) -> None:
    words, _ = WRITES[verb]
    target, planted = place / "target", place / name
    planted.parent.mkdir(parents=True, exist_ok=True)
    if kind == "folder":
        planted.mkdir()
    else:
        planted.symlink_to(target)
    if kind == "link to a file":
        target.write_bytes(b"precious")
    done = run(place, words)
    assert "Traceback" not in done.stderr
    assert "Errno" not in done.stderr
    assert target.read_bytes() == b"precious" if kind == "link to a file" else not target.exists()
    assert planted.is_dir() if kind == "folder" else planted.is_symlink()
    # A marked image takes another name; everything else is refused.
    assert done.returncode in ([0] if verb == "predict" else [2, 4])
