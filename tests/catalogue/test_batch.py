"""The catalogue's rows C03 to C14 and F5, for batches: odd folders, lists and outputs.

What only a batch's workers can meet (deaths, stuck images, rows F9 and F10) is in
``tests/distributed`` and ``tests/cli/test_batch.py``.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

from facial_expressions.cli.main import main
from tests.catalogue.image_files import encode, photo

IMAGE: Final = encode(photo(), "PNG")
ODD_NAMES: Final = (
    b"sp ace.png", b"new\nline.png", b'quo"te.png', b"-hyphen.png", b"=formula.png",
    b"\xff\xfe.png", "\N{GRINNING FACE}.png".encode(), b"x" * 251 + b".png",
)  # fmt: skip
on_posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX files or limits")
Capture = pytest.CaptureFixture[str]


def batch(model: Path, *words: object) -> int:
    return main(["batch", *map(str, words), "--model", str(model), "--workers", "1"])


def rows_of(folder: Path) -> list[dict[str, Any]]:
    shards = sorted(folder.glob("rows-*.jsonl"))
    return [json.loads(line) for path in shards for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize(
    "words",
    [["--workers", "0"], ["--threads", "-1"], ["--shard-size", "1.5"], ["--max-pixels", "x"],
     ["--min-confidence", "nan"], ["--format", "csv"], ["--engine", "spark"]],
    ids=lambda words: f"C02-{words[0]}",
)  # fmt: skip
def test_a_value_out_of_range_is_wrong_usage_that_names_the_option(
    words: list[str], tmp_path: Path, capsys: Capture
) -> None:
    assert main(["batch", str(tmp_path), str(tmp_path / "rows"), *words]) == 2
    assert words[0] in capsys.readouterr().err
    assert not (tmp_path / "rows").exists()


@on_posix
def test_c05_c07_c09_a_folder_of_oddities_has_one_exact_row_per_image(
    tiny_model: Path, tmp_path: Path, capsys: Capture
) -> None:
    """Odd names, a pipe, a socket, links in circles; and the output inside the input."""
    root = tmp_path / "in"
    root.mkdir()
    for name in ODD_NAMES:
        (root / os.fsdecode(name)).write_bytes(IMAGE)
    (root / "circle").symlink_to(root)
    (root / "self.png").symlink_to("self.png")
    (root / "null.png").symlink_to(os.devnull)
    os.mkfifo(root / "pipe.png")
    with socket.socket(socket.AF_UNIX) as endpoint:
        endpoint.bind(os.path.relpath(root / "s.png"))
        assert batch(tiny_model, root, root / "rows") == 1
        assert batch(tiny_model, root, root / "rows", "--resume") == 1
    statuses = {
        os.fsencode(Path(row["source"]).name): row["status"] for row in rows_of(root / "rows")
    }
    assert statuses == dict.fromkeys(ODD_NAMES, "ok") | {
        b"self.png": "rejected", b"null.png": "skipped", b"pipe.png": "skipped",
        b"s.png": "skipped",
    }  # fmt: skip
    assert "12 rows from before" in capsys.readouterr().err


def test_c03_c08_a_list_with_missing_and_repeated_entries_has_a_row_for_each(
    tiny_model: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "a.png").write_bytes(IMAGE)
    (tmp_path / "folder.png").mkdir()
    entries = ["a.png", "gone.png", "a.png", "./a.png", "gone.png", "folder.png", "", "no\0path"]
    table = tmp_path / "list.jsonl"
    table.write_text("".join(json.dumps(entry) + "\n" for entry in entries) + "not JSON\n")
    for again in ([], ["--resume"]):
        assert batch(tiny_model, table, tmp_path / "rows", *again) == 1
    rows = rows_of(tmp_path / "rows")
    assert [row["status"] for row in rows] == [
        "ok", "rejected", "skipped", "skipped", "skipped", "rejected", "rejected", "rejected",
        "rejected",
    ]  # fmt: skip
    assert [Path(row["source"]).name for row in rows[:3]] == ["a.png", "gone.png", "a.png"]
    assert all(row["error"] for row in rows[1:])
    assert Counter(row["source"] for row in rows)[f"{table}:9"] == 1
    assert "9 images: 1 ok, 5 rejected, 3 skipped" in capsys.readouterr().err


def test_c11_standard_input_is_no_input_of_a_batch(
    tiny_model: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert batch(tiny_model, "-", tmp_path / "rows") == 2
    assert "-: not found" in capsys.readouterr().err


@on_posix
@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("room", [0, 300], ids=["at-the-start", "while-inputs-are-listed"])
def test_f5_a_disk_without_room_is_exit_code_4_and_the_same_command_goes_on(
    room: int, kind: str, tiny_model: Path, tmp_path: Path
) -> None:
    """A limit on the size of files stands for the disk."""
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    (tmp_path / "list.txt").write_text("".join(f"gone-{number}.png\n" for number in range(30)))
    program = f"import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, -1)); "
    program += "runpy.run_module('facial_expressions', run_name='__main__')"
    words = ["batch", "list.txt", "rows", "--model", str(tiny_model), "--format", kind]
    full = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=tmp_path, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert full.returncode == 4, full.stderr
    assert "inputs.list: cannot be written: the file would be larger than" in full.stderr
    assert "Traceback" not in full.stderr
    assert [path.name for path in (tmp_path / "rows").iterdir()] == [".lock"]
    assert batch(tiny_model, tmp_path / "list.txt", tmp_path / "rows", "--format", kind) == 1
    assert len(list((tmp_path / "rows").glob(f"rows-*.{kind}"))) == 1


@on_posix
@pytest.mark.parametrize("name", [".lock", "inputs.list", "rows-000000.jsonl"])
def test_a_planted_link_is_refused_and_what_it_names_stays(
    name: str, tiny_model: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "a.png").write_bytes(IMAGE)
    rows, victim = tmp_path / "rows", tmp_path / "victim"
    again: list[str] = []
    if name.startswith("rows"):  # planted between two runs; before the first, the folder is foreign
        assert batch(tiny_model, tmp_path / "a.png", rows) == 0
        (rows / name).unlink()
        again = ["--resume"]
    rows.mkdir(exist_ok=True)
    (rows / name).symlink_to(victim)
    assert batch(tiny_model, tmp_path / "a.png", rows, *again) == 4
    assert f"{name}: cannot be written: the name is a symbolic link" in capsys.readouterr().err
    assert not victim.exists()


@on_posix
def test_c10_a_reader_of_messages_that_leaves_early_harms_no_row(
    tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(IMAGE)
    reader, writer = os.pipe()
    os.close(reader)
    words = ["batch", "a.png", "rows", "--model", str(tiny_model), "--workers", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "facial_expressions", *words],
        cwd=tmp_path, stderr=writer, stdout=subprocess.PIPE, check=False,
    )  # fmt: skip
    os.close(writer)
    assert [row["status"] for row in rows_of(tmp_path / "rows")] == ["ok"]
    assert done.stdout == b""
