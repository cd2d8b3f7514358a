"""The catalogue's command line, C01 to C15: arguments, files and signals."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest

from facial_expressions.cli.main import main
from facial_expressions.cli.predict import list_inputs
from facial_expressions.cli.result_rows import print_row
from facial_expressions.inference.recognizer import load_recognizer
from facial_expressions.results import ImageResult
from facial_expressions.rows import IMAGE, to_csv
from tests.catalogue.image_files import encode, photo

PNG = encode(photo(), "PNG")
PROGRAM: Final = [sys.executable, "-m", "facial_expressions"]
on_posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX files or signals")
Capture = pytest.CaptureFixture[str]


def predict(
    model: Path, *words: object, capsys: Capture
) -> tuple[int, list[dict[str, object]], str]:
    code = main(["predict", *map(str, words), "--format", "json", "--model", str(model)])
    captured = capsys.readouterr()
    return code, [json.loads(line) for line in captured.out.splitlines()], captured.err


@pytest.mark.parametrize(
    "words",
    [["predict", "a.jpg", "--min-confidence", value] for value in ("1.5", "-1", "", "high", "nan")]
    + [["predict", "a.jpg", "--threads", value] for value in ("0", "-3", "1.5", "", "x")]
    + [["predict", "a.jpg", "--max-pixels", value] for value in ("0", "-1", "1e9")]
    + [["serve", "--port", value] for value in ("-1", "65536", "http")]
    + [["serve", "--workers", "0"], ["serve", "--max-waiting", "-1"]]
    + [["video", "a.mp4", "--every", value] for value in ("0", "-1", "1.5", "NaN", "")]
    + [["video", "a.mp4", "--smooth", value] for value in ("-1", "x")],
    ids=lambda words: "C02-" + "-".join(words),
)
def test_a_value_out_of_range_is_wrong_usage_that_names_the_option(
    words: list[str], capsys: Capture
) -> None:
    assert main(words) == 2
    error = capsys.readouterr().err
    assert words[-2] in error
    assert "Traceback" not in error
    assert "Value error" not in error, "no words of a library"
    assert "Input should" not in error
    assert "parse" not in error


@pytest.mark.parametrize(
    ("make", "statuses", "code"),
    [
        (lambda root: root / "gone.jpg", ["rejected"], 2),
        (lambda root: root, ["skipped"], 0),
        (lambda root: (root / "notes.txt").write_text("no image") and root, ["skipped"], 0),
        (lambda root: (root / "a.png").write_bytes(PNG) and root, ["ok"], 0),
    ],
    ids=["C03-missing", "C03-empty-folder", "C03-no-images", "C03-one-image"],
)
def test_inputs_without_images_are_rows_too(
    make: object, statuses: list[str], code: int, tiny_model: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "in").mkdir()
    assert callable(make)
    found, rows, _ = predict(tiny_model, make(tmp_path / "in"), capsys=capsys)
    assert (found, [row["status"] for row in rows]) == (code, statuses)


def test_c04_folders_two_hundred_levels_deep_are_walked(tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(200):
        folder /= "d"
        folder.mkdir()
        (folder / "a.png").touch()
    assert len(list_inputs([str(tmp_path)])) == 200


def test_c04_many_files_are_listed_quickly(tmp_path: Path) -> None:
    for number in range(5_000):
        (tmp_path / f"{number}.png").touch()
    start = time.process_time()
    assert len(list_inputs([str(tmp_path)])) == 5_000
    assert time.process_time() - start < 3


@on_posix
def test_c05_loops_pipes_sockets_and_devices_in_a_folder_do_no_harm(
    tiny_model: Path, tmp_path: Path, capsys: Capture
) -> None:
    folder = tmp_path / "in"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "a.png").write_bytes(PNG)
    (folder / "inner" / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "self.png").symlink_to(folder / "self.png")
    (folder / "device.png").symlink_to("/dev/zero")
    (folder / "linked.png").symlink_to(folder / "inner" / "a.png")
    os.mkfifo(folder / "pipe.png")
    with socket.socket(socket.AF_UNIX) as endpoint:
        before = Path.cwd()
        os.chdir(folder)  # the path of a socket is short
        try:
            endpoint.bind("socket.png")
        finally:
            os.chdir(before)
        code, rows, _ = predict(tiny_model, folder, capsys=capsys)
    found = {Path(str(row["source"])).name: row["status"] for row in rows}
    assert code == 1
    assert found == {
        "a.png": "ok", "linked.png": "ok", "self.png": "rejected", "device.png": "rejected",
        "pipe.png": "rejected", "socket.png": "rejected",
    }  # fmt: skip


@on_posix
def test_c06_an_unreadable_file_is_a_row_and_the_rest_goes_on(
    tiny_model: Path, tmp_path: Path, capsys: Capture
) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(PNG)
    (tmp_path / "a.png").chmod(0)
    code, rows, _ = predict(tiny_model, tmp_path, capsys=capsys)
    assert (code, [row["status"] for row in rows]) == (1, ["rejected", "ok"])
    assert "Permission denied" in str(rows[0]["error"])


NAMES: Final = {
    "spaces": "a  b.png",
    "newline": "a\nb.png",
    "quotes": "a\"b'c.png",
    "comma": "a,b;c.png",
    "emoji": "😀-é-写真.png",
    "longest": "x" * 251 + ".png",
    "control": "a\x1b[31m\x07.png",
    "formula": "=HYPERLINK(1).png",
    "hyphen": "-rf.png",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=[f"C07-{key}" for key in NAMES])
def test_any_name_is_read_and_comes_back_from_json_and_csv(
    name: str, tiny_model: Path, tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / name
    path.write_bytes(PNG)
    code, rows, _ = predict(tiny_model, path, capsys=capsys)
    assert (code, rows[0]["source"]) == (0, str(path))
    main(["predict", str(path), "--format", "csv", "--model", str(tiny_model)])
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert row["source"] == str(path).replace("\x1b", r"\u001b").replace("\x07", r"\u0007")


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux only")
def test_c07_a_name_that_is_no_unicode_comes_back_from_json(
    tiny_model: Path, tmp_path: Path
) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.png"
    Path(os.fsdecode(path)).write_bytes(PNG)
    words: list[str | bytes] = [*PROGRAM, "predict", path, "--format", "json"]
    words += ["--model", str(tiny_model)]
    done = subprocess.run(words, capture_output=True, check=False)
    assert done.returncode == 0
    source = json.loads(done.stdout.decode("utf-8"))["source"]
    assert os.fsencode(source) == path


WIDE: Final = [
    "\uff1d",
    "\uff0b",
    "\uff0d",
    "\uff20",
    "\ufe66",
    "\ufe62",
    "\ufe63",
    "\ufe6b",
    "\u2212",
]
HIDDEN: Final = [" =", "\xa0=", "\u3000+", "\u200b@", "\ufeff="]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\n", "\n=", "\t+", *WIDE, *HIDDEN])
def test_c16_a_csv_cell_is_never_a_formula(start: str) -> None:
    """Not in wide and small letters either, nor after what nobody sees."""
    row = ImageResult(f"{start}cmd|'/c calc'!A1", "rejected", error=f"{start}2")
    (cells,) = csv.reader(io.StringIO(to_csv(IMAGE, row.to_dict(), ("happy",)), newline=""))
    shown = start.replace("\ufeff", r"\ufeff")
    assert cells[0] == f"'{shown}cmd|'/c calc'!A1"
    assert cells[-1] == f"'{shown}2"


def test_c16_a_carriage_return_before_a_formula_is_shown() -> None:
    row = ImageResult("\r=1+1", "rejected", error="a-b")
    (cells,) = csv.reader(io.StringIO(to_csv(IMAGE, row.to_dict(), ("happy",)), newline=""))
    assert (cells[0], cells[-1]) == (r"'\u000d=1+1", "a-b")


def test_c08_a_file_that_vanishes_is_a_row(tiny_model: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).write_bytes(PNG)
    inputs = list_inputs([str(tmp_path)])
    (tmp_path / "b.png").unlink()
    recognizer = load_recognizer(tiny_model, threads=1)
    rows = list(recognizer.recognize_rows([one.read() for one in inputs]))
    assert [row.status for row in rows] == ["ok", "rejected", "ok"]
    assert rows[1].error == f"{tmp_path / 'b.png'}: file not found"


@pytest.mark.parametrize("kind", ["is a file", "below a file", "read-only"])
def test_c09_a_folder_for_marked_images_that_cannot_be_is_exit_code_4(
    kind: str, tiny_model: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "file").write_text("mine")
    out = {"is a file": tmp_path / "file", "below a file": tmp_path / "file" / "x"}.get(kind)
    if out is None:
        out = Path("/proc/nothing") if Path("/proc").is_dir() else Path("/nothing")
    code, _, error = predict(tiny_model, tmp_path / "a.png", "--draw", out, capsys=capsys)
    assert code == 4
    assert "Traceback" not in error
    assert (tmp_path / "file").read_text() == "mine"


@on_posix
def test_c10_a_pipe_that_closes_early_is_no_noise(tiny_model: Path, tmp_path: Path) -> None:
    for number in range(60):
        (tmp_path / f"{number}.png").write_bytes(PNG)
    words = [*PROGRAM, "predict", str(tmp_path), "--format", "json", "--model", str(tiny_model)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        first = process.stdout.readline()
        process.stdout.close()
        error = process.stderr.read().decode()
    assert json.loads(first)["status"] == "ok"
    assert "Traceback" not in error
    assert "Error" not in error


@pytest.mark.parametrize(
    ("content", "code"), [(PNG, 0), (b"", 1), (bytes(range(256)) * 40, 1)],
    ids=["C11-image", "C11-empty", "C11-binary"],
)  # fmt: skip
def test_standard_input_is_one_image(content: bytes, code: int, tiny_model: Path) -> None:
    words = [*PROGRAM, "predict", "-", "--format", "json", "--model", str(tiny_model)]
    done = subprocess.run(words, input=content, capture_output=True, check=False)
    assert done.returncode == code
    assert json.loads(done.stdout)["source"] == "-"
    assert b"Traceback" not in done.stderr


def test_c12_a_row_is_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[str] = []

    class Written(io.StringIO):
        def write(self, text: str) -> int:
            pieces.append(text)
            return len(text)

    monkeypatch.setattr(sys, "stdout", Written())
    print_row("{}")
    assert pieces == ["{}\n"]


@on_posix
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["C12-ctrl-c", "C12-sigterm", "C12-sighup"],
)
def test_a_signal_ends_it_and_leaves_whole_lines(
    number: signal.Signals, code: int, tiny_model: Path, tmp_path: Path
) -> None:
    large = encode(photo(900, 700), "PNG")
    for name in range(300):
        (tmp_path / f"{name:03}.png").write_bytes(large)
    words = [*PROGRAM, "predict", str(tmp_path), "--format", "json", "--model", str(tiny_model)]
    unbuffered = os.environ | {"PYTHONUNBUFFERED": "1"}  # then a line's end can come late
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=unbuffered
    ) as process:
        assert process.stdout
        first = process.stdout.readline()
        process.send_signal(number)
        rest, error = process.communicate(timeout=60)
    assert process.returncode == code
    assert b"Traceback" not in error
    out = first + rest
    assert out.endswith(b"\n")
    rows = [json.loads(line) for line in out.splitlines()]
    assert 0 < len(rows) < 300
