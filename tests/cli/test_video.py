"""The verb video: outputs by their endings, exit codes, Ctrl-C."""

from __future__ import annotations

import itertools
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from facial_expressions.cli.main import main
from facial_expressions.inference.runtime import ModelSession
from facial_expressions.parquet_rows import import_pyarrow
from tests.media.videos import even_times, face_image, read_back, scene, write_video


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, astronaut: Path) -> Path:
    face = face_image(astronaut)
    shown = [scene(face, [(20 + 4 * index, 60)] if index < 8 else []) for index in range(12)]
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return write_video(path, shown, even_times(12), sound="aac")


def read_table(path: Path) -> Any:  # noqa: ANN401 - pyarrow publishes no types
    return import_pyarrow("video").parquet.read_table(path)


def run(*words: object) -> int:
    return main(["video", *map(str, words), "--threads", "1"])


def test_rows_go_to_stdout_without_out(
    clip: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(clip, "--model", tiny_model, "--every", 2) == 0
    captured = capsys.readouterr()
    rows = [json.loads(line) for line in captured.out.splitlines()]
    assert [row["time_s"] for row in rows] == pytest.approx(even_times(12))
    assert [len(row["faces"]) for row in rows] == [1] * 8 + [0] * 4
    assert (
        captured.err.strip()
        == f"{clip}: 0.48 s, 12 frames, 4 without a face, 8 faces in 1 track, 0 cuts"
    )


def test_every_kind_of_file_is_written(
    clip: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["r.jsonl", "r.csv", "r.parquet", "m.mp4", "s.json", "s.txt", "t.png", "p.html"]
    files = [word for name in names for word in ("--out", tmp_path / name)]
    options = ["--model", tiny_model, "--every", "auto", "--smooth", 0.5, "--summary"]
    assert run(clip, *files, *options) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    assert len((tmp_path / "r.jsonl").read_text().splitlines()) == 12
    assert read_back(tmp_path / "m.mp4")[0] == pytest.approx(even_times(12), abs=1e-4)
    summary = json.loads((tmp_path / "s.json").read_text())
    assert (summary["n_frames"], len(summary["tracks"]), summary["status"]) == (12, 1, "ok")
    assert capsys.readouterr().out == (tmp_path / "s.txt").read_text()
    page = (tmp_path / "p.html").read_text("utf-8")
    assert '<video src="m.mp4"' in page
    assert page.count("data:image/jpeg") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux only")
def test_c07_a_name_that_is_no_unicode_is_escaped_in_every_file(
    clip: Path, tiny_model: Path, tmp_path: Path
) -> None:
    odd = tmp_path / "caf\udce9.mp4"
    odd.write_bytes(clip.read_bytes())
    names = ["r.jsonl", "r.csv", "r.parquet", "s.json", "s.txt"]
    files = [word for name in names for word in ("--out", tmp_path / name)]
    assert run(odd, *files, "--model", tiny_model, "--every", 6) == 0
    texts = [(tmp_path / name).read_bytes() for name in names]
    assert all(rb"caf\udce9.mp4" in text for text in texts)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no pseudo-terminals")
@pytest.mark.parametrize(("to_file", "is_shown"), [(True, True), (False, False)])
def test_a_terminal_shows_progress_where_no_rows_are_printed(
    to_file: bool, is_shown: bool, clip: Path, tiny_model: Path, tmp_path: Path
) -> None:
    import pty  # not on Windows

    mine, theirs = pty.openpty()
    words = ["video", clip, "--model", tiny_model, "--threads", "1", "--every", "4"]
    words += ["--out", tmp_path / "rows.jsonl"] if to_file else []
    command = [sys.executable, "-m", "facial_expressions", *map(str, words)]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        seen = b""
        while select.select([mine], [], [], 120)[0]:
            try:
                seen += os.read(mine, 65536)
            except OSError:  # Linux says so when the other side is closed
                break
    os.close(mine)
    assert process.returncode == 0, seen
    assert (b"12 frames, 0.4 s" in seen) == is_shown
    assert (b'"time_s"' in seen) == (not to_file)


def test_cut_video_is_exit_code_1_with_its_rows(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = np.random.default_rng(0).integers(0, 256, (20, 64, 96, 3), np.uint8)
    options = {"movflags": "faststart"}
    path = write_video(tmp_path / "cut.mp4", shown, even_times(20), options=options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    assert run(path, "--model", tiny_model, "--every", 5, "--out", tmp_path / "s.json") == 1
    assert "cut short" in capsys.readouterr().err
    assert json.loads((tmp_path / "s.json").read_text())["status"] == "truncated"


def test_a_device_that_fails_in_mid_run_leaves_the_rows_so_far_whole(
    clip: Path,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    real, n_runs = onnxruntime.InferenceSession.run, itertools.count()

    def run_or_fail(*words: Any) -> Any:  # noqa: ANN401 - ONNX Runtime's own
        if next(n_runs) >= 16:
            raise RuntimeError("CUDA failure 719: unspecified launch failure ; GPU=0\n at line 7")
        return real(*words)

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", run_or_fail)
    monkeypatch.setattr(ModelSession, "providers", ("CUDAExecutionProvider",))
    rows, marked = tmp_path / "rows.jsonl", tmp_path / "marked.mp4"
    assert run(clip, "--model", tiny_model, "--out", rows, "--out", marked) == 3
    error = capsys.readouterr().err.strip()
    assert re.search(r"onnx: fails on CUDAExecutionProvider: CUDA failure 719.*cpu$", error)
    written = [json.loads(line) for line in rows.read_text("utf-8").splitlines()]
    assert 2 <= len(written) < 8
    assert [len(row["faces"]) for row in written] == [1] * len(written)
    assert len(read_back(marked)[0]) == len(written)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "rows.xls"], "needs to end in .jsonl"),
        (["--out", "there.csv"], "--overwrite"),
        (["--out", "a.csv", "--out", "a.csv"], "given twice"),
        (["--out", "nowhere/a.csv"], "the folder does not exist"),
        (["--out", "clip.mp4", "--overwrite"], "this is an input"),
        (["--every", "0"], "neither auto nor a whole number"),
        (["--smooth", "-1"], "--smooth"),
    ],
)
def test_v17_wrong_usage_is_exit_code_2_before_any_work(
    words: list[str],
    said: str,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.csv").write_text("mine")
    Path("clip.mp4").write_bytes(clip.read_bytes())
    assert run("clip.mp4", *words, "--model", "no-such-model.onnx") == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert Path("there.csv").read_text() == "mine"
    assert Path("clip.mp4").read_bytes() == clip.read_bytes()


def test_text_is_exit_code_1_and_writes_nothing(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a video\n" * 50)
    out = tmp_path / "rows.csv"
    assert run(tmp_path / "text.mp4", "--model", tiny_model, "--out", out) == 1
    assert not out.exists()


@pytest.mark.parametrize("source", ["webcam:abc", "webcam:-1", "webcam:\u0663"])
def test_a_camera_whose_number_is_none_is_wrong_usage(
    source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["video", source]) == 2
    assert f"{source}: not a camera. Give webcam" in " ".join(capsys.readouterr().err.split())


def test_c03_a_missing_video_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["video", str(tmp_path / "gone.mp4")]) == 2
    assert "gone.mp4: file not found" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(("words", "said"), [("0", "give webcam"), ("-", "or webcam")])
def test_a_slip_in_the_source_is_wrong_usage_and_says_what_was_meant(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["video", words]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_numbered_images_make_rows_and_a_marked_video(
    tiny_model: Path, tmp_path: Path, astronaut: Path
) -> None:
    for number in range(3):
        Image.fromarray(scene(face_image(astronaut), [(20, 60)])).save(tmp_path / f"{number}.png")
    out = tmp_path / "out"
    out.mkdir()
    words = ["--fps", 10, "--out", out / "m.mp4", "--out", out / "r.jsonl"]
    assert run(tmp_path / "%d.png", "--model", tiny_model, *words) == 0
    assert read_back(out / "m.mp4")[0] == pytest.approx([0, 0.1, 0.2], abs=1e-4)
    assert len((out / "r.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_an_animation_makes_a_marked_video(
    suffix: str, tiny_model: Path, tmp_path: Path, astronaut: Path
) -> None:
    """It has no sound, and nobody looks for any in it."""
    path, out = tmp_path / f"moving{suffix}", tmp_path / "marked.mp4"
    corners = [(20, 60), (40, 60), (60, 60)]
    first, *rest = (Image.fromarray(scene(face_image(astronaut), [one])) for one in corners)
    first.save(path, save_all=True, append_images=rest, duration=200)
    assert run(path, "--model", tiny_model, "--out", out) == 0
    assert read_back(out)[0] == pytest.approx([0, 0.2, 0.4], abs=1e-4)


def test_v13_missing_camera_is_exit_code_4(
    tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if sys.platform != "linux":
        pytest.skip("elsewhere a camera of this number is looked for when it is opened")
    for words in ((), ("--reconnect",)):
        assert run("webcam:99", "--model", tiny_model, *words) == 4
        assert "webcam:99: no such camera" in capsys.readouterr().err


def test_a_file_is_not_looked_for_again(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "clip.mp4", "--model", tiny_model, "--reconnect") == 2
    assert "is for a camera or stream only" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="Windows sends no such signals")
@pytest.mark.parametrize(
    ("sent", "code", "said"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "stopped by SIGTERM")],
    ids=["C12-ctrl-c", "C12-sigterm"],
)
def test_v05_ctrl_c_and_sigterm_leave_valid_files(
    sent: signal.Signals, code: int, said: str, astronaut: Path, tiny_model: Path, tmp_path: Path
) -> None:
    face = face_image(astronaut)
    shown = (scene(face, [(index % 200, 60)]) for index in range(600))
    clip = write_video(tmp_path / "long.mp4", shown, even_times(600))
    names = ("r.jsonl", "m.mp4", "r.parquet", "s.json")
    rows, marked, table, summary = (tmp_path / name for name in names)
    words = ["video", clip, "--model", tiny_model, "--threads", "1", "--out", rows]
    words += ["--out", marked, "--out", table, "--out", summary]
    command = [sys.executable, "-m", "facial_expressions", *map(str, words)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8") as process:
        deadline = time.monotonic() + 120
        while not (rows.exists() and rows.read_text().count("\n") >= 3):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(sent)
        error = process.communicate(timeout=60)[1]
    assert (process.returncode, error.strip().splitlines()[-1]) == (code, said)
    n_rows = len([json.loads(line) for line in rows.read_text().splitlines()])
    assert 3 <= n_rows < 600
    assert len(read_back(marked)[0]) == n_rows
    assert read_table(table).column("frame").to_pylist() == list(range(n_rows))
    assert json.loads(summary.read_text())["status"] == "interrupted"
    assert f"wrote {rows}, {marked}, {table}, {summary} in" in error


def start_long(model: Path, folder: Path, *names: str) -> subprocess.Popen[str]:
    """Start the command on six minutes of noise, far more than a test waits for."""
    clip = folder / "long.mp4"
    noise = np.random.default_rng(0).integers(0, 256, (25, 32, 48, 3), np.uint8)
    write_video(clip, (noise[index % 25] for index in range(9_000)), even_times(9_000))
    words = ["video", clip, "--model", model, "--threads", "1", "--every", "25"]
    for name in names:
        words += ["--out", folder / name]
    command = [sys.executable, "-m", "facial_expressions", *map(str, words)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8")


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGKILL")
def test_sigkill_leaves_all_but_the_last_seconds_readable(tiny_model: Path, tmp_path: Path) -> None:
    with start_long(tiny_model, tmp_path, "r.jsonl", "m.mp4", "r.parquet") as process:
        deadline = time.monotonic() + 240
        marked, parts = tmp_path / "m.mp4", tmp_path / "r.parquet.parts"
        while len(list(parts.glob("*.parquet"))) < 2 or b"moof" not in marked.read_bytes():
            assert time.monotonic() < deadline, process.poll()
            time.sleep(0.05)
        process.kill()
    n_rows = len([json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()])
    times = read_back(tmp_path / "m.mp4")[0]
    n_kept = sum(read_table(part).num_rows for part in parts.glob("*.parquet"))
    assert 2 <= n_kept <= n_rows, "a part is written every five seconds where frames take long"
    assert n_kept > n_rows - 1100, "a part is written every 1,024 rows"
    assert len(times) > n_rows - 200, "a fragment lasts two seconds; the encoder holds some frames"
    assert times == pytest.approx(even_times(len(times)), abs=1e-3)


@pytest.mark.skipif(os.name != "posix", reason="Windows knows no such limit")
@pytest.mark.parametrize("name", ["m.mp4", "r.jsonl", "r.csv", "r.parquet"])
def test_a_file_that_cannot_grow_costs_no_other_output(
    name: str, clip: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """A limit on the size of files stands for a full disk; the summary stays under it."""
    import resource  # not on Windows

    limit = {"m.mp4": 6_000, "r.jsonl": 2_000, "r.csv": 1_000, "r.parquet": 3_000}[name]
    words = ["video", clip, "--model", tiny_model, "--threads", "1", "--every", "2"]
    words += ["--out", tmp_path / name, "--out", tmp_path / "s.txt"]
    done = subprocess.run(
        [sys.executable, "-m", "facial_expressions", *map(str, words)],
        stderr=subprocess.PIPE,
        encoding="utf-8",
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 1, done.stderr
    reason = "cannot be written: the file would be larger than is allowed here"
    assert f"ERROR: {tmp_path / name}" in done.stderr
    assert reason in done.stderr
    assert "Errno" not in done.stderr
    summary = (tmp_path / "s.txt").read_text()
    assert "12 frames" in summary
    assert f"error: {tmp_path / name}" in summary
    assert reason in summary
    if name in ("r.jsonl", "r.csv"):
        text = (tmp_path / name).read_text()
        assert text.endswith("\n"), "whole lines only"
        assert 0 < len(text) <= limit
