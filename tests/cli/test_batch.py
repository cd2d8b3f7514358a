"""The verb batch: exit codes, Ctrl-C, full disks, and the same answers as predict."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facial_expressions.cli.main import main

posix_only = pytest.mark.skipif(os.name != "posix", reason="sends signals, sets limits")


@pytest.fixture
def photos(astronaut: Path, tmp_path: Path) -> Path:
    """A folder with a face, an image without one, a broken image, and a text."""
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(astronaut, folder / "face.png")
    Image.fromarray(np.zeros((40, 60), np.uint8)).save(folder / "black.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no image")
    (folder / "notes.txt").write_text("no image either")
    return folder


def run(*words: object) -> int:
    return main(["batch", *map(str, words), "--workers", "1"])


def read_rows(folder: Path) -> list[dict[str, Any]]:
    shards = sorted(folder.glob("rows-*.jsonl"))
    return [json.loads(line) for path in shards for line in path.read_bytes().splitlines()]


def test_rows_are_those_of_predict(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(photos), "--format", "json", "--threads", "1"]) == 1
    alone = {row["source"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert run(photos, tmp_path / "rows") == 1
    said = capsys.readouterr().err
    assert "3 images: 2 ok, 1 rejected; 1 face; 1 other file left out" in said
    rows = read_rows(tmp_path / "rows")
    assert [Path(row["source"]).name for row in rows] == ["black.png", "broken.jpg", "face.png"]
    for row in rows:
        expected = alone[row["source"]]
        assert row.keys() == expected.keys()
        assert (row["status"], row.get("error")) == (expected["status"], expected.get("error"))
        assert [face["expression"] for face in row.get("faces", [])] == [
            face["expression"] for face in expected.get("faces", [])
        ]


def test_small_faces_are_found_where_that_is_asked_for(
    astronaut: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A face 24 pixels wide in an image of 1280x720, by batch and by predict."""
    with Image.open(astronaut) as photo:
        head = photo.convert("RGB").crop((150, 0, 350, 200)).resize((55, 55))
    scene = Image.new("RGB", (1280, 720), "grey")
    scene.paste(head, (600, 300))
    folder = tmp_path / "photos"
    folder.mkdir()
    scene.save(folder / "crowd.png")
    for words, n_faces in (((), 0), (("--small-faces",), 1)):
        assert run(folder, tmp_path / f"rows-{n_faces}", *words) == 0
        (row,) = read_rows(tmp_path / f"rows-{n_faces}")
        assert len(row["faces"]) == n_faces
        capsys.readouterr()
        main(["predict", str(folder), "--format", "json", "--threads", "1", *words])
        assert len(json.loads(capsys.readouterr().out)["faces"]) == n_faces


def test_parquet_is_written_where_it_is_asked_for(
    photos: Path, tiny_model: Path, tmp_path: Path
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    (photos / "broken.jpg").unlink()
    words = ["--model", tiny_model, "--format", "parquet"]
    assert run(photos, tmp_path / "rows", *words) == 0
    rows = parquet.read_table(tmp_path / "rows" / "rows-000000.parquet").to_pylist()
    assert [row["status"] for row in rows] == ["ok", "ok"]
    assert [len(row["faces"]) for row in rows] == [0, 1]


def test_a_folder_without_images_is_exit_code_0(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("x")
    assert run(tmp_path / "in", tmp_path / "rows", "--model", tiny_model) == 0
    assert "0 images; 1 other file left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["gone"], "gone: not found"),
        (["none*.jpg"], "none*.jpg: no file matches this pattern"),
        (["there.tar.gz"], "Decompress"),
        (["."], "holds other files (mine.txt)"),
        ([".", "--address", "10.0.0.1:6379"], "--engine ray"),
        ([".", "--shard-size", "0"], "--shard-size"),
    ],
)
def test_c21_misuse_is_exit_code_2(
    words: list[str],
    said: str,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.tar.gz").touch()
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "mine.txt").touch()
    assert run(words[0], "rows", *words[1:], "--model", tiny_model) == 2
    assert said in capsys.readouterr().err


def test_a_run_with_other_options_is_exit_code_2(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.txt").write_text("")
    words = [tmp_path / "list.txt", tmp_path / "rows", "--model", tiny_model]
    assert run(*words) == 0
    assert run(*words, "--resume") == 0
    assert run(*words, "--resume", "--max-pixels", 9) == 2
    assert "max_pixels 9, it was begun with 178000000" in capsys.readouterr().err


def test_an_output_that_cannot_be_made_is_exit_code_4(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.txt").write_text("")
    (tmp_path / "file").touch()
    words = [tmp_path / "list.txt", tmp_path / "file" / "rows", "--model", tiny_model]
    assert run(*words) == 4
    assert "rows: cannot be written: part of the path is a file" in capsys.readouterr().err


@posix_only
def test_a_disk_that_fills_is_exit_code_4_and_the_same_command_goes_on(
    tiny_model: Path, tmp_path: Path
) -> None:
    """A limit on the size of files stands for the disk: list and manifest fit, a shard does not."""
    (tmp_path / "list.txt").write_text("".join(f"gone-{number}.jpg\n" for number in range(150)))
    limit = "import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, (16000, -1)); "
    limit += "runpy.run_module('facial_expressions', run_name='__main__')"
    words = ["batch", "list.txt", "rows", "--model", str(tiny_model), "--workers", "1"]
    full = finish(start(tmp_path, *words, code=["-c", limit]))
    assert full.returncode == 4, full.stderr
    assert "rows-000000.jsonl: cannot be written: the file would be larger than" in full.stderr
    assert {path.name for path in (tmp_path / "rows").iterdir()} == {
        ".lock", "batch.json", "inputs.list",
    }  # fmt: skip
    assert finish(start(tmp_path, *words, "--resume")).returncode == 1
    names = [Path(row["source"]).name for row in read_rows(tmp_path / "rows")]
    assert names == [f"gone-{number}.jpg" for number in range(150)]


@posix_only
@pytest.mark.parametrize(
    ("sent", "code", "said"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "stopped by SIGTERM"),
        (signal.SIGKILL, -signal.SIGKILL, ""),
    ],
)
def test_a_run_that_is_ended_leaves_whole_shards_no_process_and_can_go_on(
    sent: signal.Signals, code: int, said: str, astronaut: Path, tiny_model: Path, tmp_path: Path
) -> None:
    n = 60
    (tmp_path / "in").mkdir()
    for number in range(n):
        (tmp_path / "in" / f"{number:03d}.png").hardlink_to(astronaut)
    words = ["batch", "in", "rows", "--model", str(tiny_model), "--workers", "2"]
    words += ["--shard-size", "2"]
    process = start(tmp_path, *words)
    wait_for(lambda: len(read_rows(tmp_path / "rows")) >= 4)
    # Ctrl-C reaches every process of the terminal's group, the others only this one.
    (os.killpg if sent == signal.SIGINT else os.kill)(process.pid, sent)
    ended = finish(process)
    assert ended.returncode == code
    if said:
        assert ended.stderr.splitlines()[-2:] == [
            "to continue, run the same command with --resume",
            said,
        ]
        assert "Traceback" not in ended.stderr
    wait_for(lambda: not group_lives(process.pid))
    done = len(read_rows(tmp_path / "rows"))
    assert 4 <= done < n
    assert done % 2 == 0
    again = finish(start(tmp_path, *words, "--resume"))
    assert again.returncode == 0, again.stderr
    assert not list((tmp_path / "rows").glob("*.part"))
    names = [Path(row["source"]).name for row in read_rows(tmp_path / "rows")]
    assert names == [f"{number:03d}.png" for number in range(n)]


def start(folder: Path, *words: str, code: list[str] | None = None) -> subprocess.Popen[str]:
    """Start the command in a process group of its own."""
    command = [sys.executable, *(code or ["-m", "facial_expressions"]), *words]
    return subprocess.Popen(
        command, cwd=folder, stderr=subprocess.PIPE, encoding="utf-8", start_new_session=True
    )


def finish(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    _, error = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, None, error)


def wait_for(condition: Callable[[], bool], timeout_s: float = 240) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def group_lives(group: int) -> bool:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, 0)
        return True
    return False
