"""The catalogue's E16 and E17: every file that a verb writes, on a full disk and under a link."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from facial_expressions.cli.main import main
from tests.builders import make_rows, write_kaggle_folder
from tests.catalogue.image_files import encode, photo
from tests.tiny_model import write_tiny_model

PROGRAM: Final = [sys.executable, "-m", "facial_expressions"]
needs_posix = pytest.mark.skipif(os.name != "posix", reason="needs limits and links of POSIX")

WRITES: Final[dict[str, tuple[list[str], list[str]]]] = {
    "predict": (["predict", "a.jpg", "--draw", "drawn"], ["drawn/a-faces.jpg"]),
    "predict png": (["predict", "a.png", "--draw", "drawn"], ["drawn/a-faces.png"]),
    "one marked image": (["predict", "a.jpg", "--draw", "one.png"], ["one.png"]),
    "marked crop": (["predict", "a.jpg", "--crops", "--draw", "drawn"], ["drawn/a-faces.jpg"]),
    "contact sheet": (["predict", "a.jpg", "--report", "page.html"], ["page.html"]),
    "evaluate": (
        ["evaluate", "tiny.onnx", "--data", "data", "--allow-partial", "--out", "report"],
        ["report/report.json", "report/report.html", "report/predictions.csv"],
    ),
    "batch": (
        ["batch", "images", "rows", "--workers", "1"],
        ["rows/inputs.list", "rows/batch.json", "rows/rows-000000.jsonl"],
    ),
    "audit": (
        ["data", "audit", "data", "--allow-partial", "--out", "audit"],
        ["audit/audit.json", "audit/audit.txt", "audit/audit.html"],
    ),
}
"""Words of a verb, and files that it writes."""

VIDEO_ENDINGS: Final = ("jsonl", "csv", "parquet", "mp4", "json", "txt", "png", "html")
TOO_LARGE: Final = "cannot be written: the file would be larger than is allowed here"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name in ("a.png", "a.jpg", "images/a.png", "images/b.png"):
        kind = "JPEG" if name.endswith("jpg") else "PNG"
        (tmp_path / name).write_bytes(encode(photo(400, 300), kind))
    write_kaggle_folder(tmp_path / "data", make_rows(train=1, public=1, private=1))
    write_tiny_model(tmp_path / "tiny.onnx")
    return tmp_path


def names(place: Path) -> set[str]:
    """Return all that is there but a cache of fonts."""
    paths = {path.relative_to(place) for path in place.rglob("*")}
    return {path.as_posix() for path in paths if path.parts[0] != "fonts"}


def run(place: Path, words: Sequence[str], *, limit: int | None = None) -> tuple[int, str]:
    """Run the command line in a folder; a limit on the size of files needs a process of its own.

    Returns:
        The exit code, and what went to stderr.
    """
    given = [*words]
    given += ["--model", "tiny.onnx"] if words[0] in ("predict", "batch", "video") else []
    if limit is None:
        with contextlib.chdir(place), contextlib.redirect_stderr(io.StringIO()) as said:
            return main(given), said.getvalue()
    done = subprocess.run(
        ["sh", "-c", f'ulimit -f {limit}; exec "$@"', "sh", *PROGRAM, *given],
        cwd=place, capture_output=True, encoding="utf-8", check=False,
        # A limit on files is one on memory that processes share, too: joblib, which scikit-learn
        # loads, warns of that, as it would not on a full disk.
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "MPLCONFIGDIR": str(place / "fonts"),
             "JOBLIB_MULTIPROCESSING": "0"},
    )  # fmt: skip
    return done.returncode, done.stderr


@needs_posix
@pytest.mark.parametrize("words", [words for words, _ in WRITES.values()], ids=WRITES)
def test_e16_a_file_that_does_not_fit_is_not_there_and_said_in_words(
    words: list[str], place: Path
) -> None:
    """Files may grow to nothing at all, as on a full disk."""
    before = names(place)
    code, said = run(place, words, limit=0)
    assert code == 4, said
    assert "Traceback" not in said
    assert "Errno" not in said
    assert TOO_LARGE in said
    assert {name for name in names(place) - before if (place / name).is_file()} <= {"rows/.lock"}


@needs_posix
@pytest.mark.parametrize("ending", VIDEO_ENDINGS)
def test_e16_an_output_of_a_video_that_does_not_fit_leaves_nothing(
    ending: str, place: Path
) -> None:
    """Nor a folder of parts; exit code 1, as other outputs might have been written."""
    before = names(place)
    code, said = run(place, ["video", "images", "--out", f"out.{ending}"], limit=0)
    assert code == 1, said
    assert "Errno" not in said
    assert TOO_LARGE in said
    assert names(place) == before


@needs_posix
def test_e16_a_video_that_is_full_before_it_can_be_played_leaves_nothing(place: Path) -> None:
    """A kilobyte holds the head of the file, and no image."""
    before = names(place)
    code, said = run(place, ["video", "images", "--out", "out.mp4"], limit=2)
    assert (code, TOO_LARGE in said) == (1, True)
    assert names(place) == before


@needs_posix
@pytest.mark.parametrize(
    ("verb", "name", "kind"),
    [("predict", "drawn/a-faces.jpg", "link to a file"), ("batch", "rows/.lock", "link to nothing"),
     ("batch", "rows/inputs.list", "link to a file"), ("batch", "rows/batch.json", "folder"),
     ("batch", "rows/rows-000000.jsonl", "link to a file"),
     ("audit", "audit/audit.json", "link to nothing"), ("audit", "audit/audit.html", "folder"),
     ("one marked image", "one.png", "link to nothing"),
     ("one marked image", "one.png", "link to a file"),
     ("contact sheet", "page.html", "link to a file"), ("contact sheet", "page.html", "folder"),
     ("evaluate", "report/report.json", "link to a file"),
     ("evaluate", "report/predictions.csv", "link to nothing")],
)  # fmt: skip
def test_e17_a_name_that_is_a_link_or_folder_is_not_written(
    verb: str, name: str, kind: str, place: Path
) -> None:
    plant_and_run(place, WRITES[verb][0], name, kind)


@needs_posix
@pytest.mark.parametrize("kind", ["link to a file", "link to nothing", "folder"])
@pytest.mark.parametrize("ending", VIDEO_ENDINGS)
def test_e17_an_output_of_a_video_goes_through_no_link(ending: str, kind: str, place: Path) -> None:
    words = ["video", "images", "--out", f"out.{ending}", "--overwrite"]
    plant_and_run(place, words, f"out.{ending}", kind)


@needs_posix
def test_e17_the_parts_of_a_table_go_through_no_link(place: Path) -> None:
    words = ["video", "images", "--out", "out.parquet", "--overwrite"]
    plant_and_run(place, words, "out.parquet.parts", "link to nothing")


def plant_and_run(place: Path, words: Sequence[str], name: str, kind: str) -> None:
    """Put a link or folder where a verb writes, run it, and see that nothing was harmed."""
    target, planted = place / "target", place / name
    planted.parent.mkdir(parents=True, exist_ok=True)
    if kind == "folder":
        planted.mkdir()
    else:
        planted.symlink_to(target)
    if kind == "link to a file":
        target.write_bytes(b"precious")
    code, said = run(place, words)
    assert "Traceback" not in said
    assert "Errno" not in said
    assert target.read_bytes() == b"precious" if kind == "link to a file" else not target.exists()
    assert planted.is_dir() if kind == "folder" else planted.is_symlink()
    # A marked image takes another name; everything else is refused.
    assert code in ([0] if "drawn" in words else [1, 2, 4])
