"""The catalogue's environments, E01 to E15: what the machine may lack, and what then happens."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import tomllib
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")

from facial_expressions.server.connections import open_listener, url_of
from tests.catalogue.image_files import encode, photo
from tests.cli.test_serve import post, serving
from tests.server.client import png

ROOT: Final = Path(__file__).resolve().parents[2]
PROGRAM: Final = [sys.executable, "-m", "facial_expressions"]
on_posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX limits or signals")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    path.write_bytes(encode(photo(), "PNG"))
    return path


def run(
    *words: object, before: str = "", env: dict[str, str | None] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process that first runs some lines; a variable of None is unset."""
    variables = {**os.environ, **(env or {})}
    lines = f"{before}\nimport sys\nfrom facial_expressions.cli.main import main\nsys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", lines, *map(str, words)], capture_output=True, encoding="utf-8",
        env={name: value for name, value in variables.items() if value is not None},
        check=False, timeout=120,
    )  # fmt: skip


def limit(name: str, value: int) -> str:
    return f"import resource; resource.setrlimit(resource.{name}, ({value}, {value}))"


@pytest.mark.parametrize(
    ("package", "words", "extra"),
    [
        ("fastapi", ["serve"], "serve"),
        ("av", ["video", "clip.mp4"], "video"),
        ("keras", ["train", "recipes/seed.toml", "--data", "x", "--out", "y"], "train"),
    ],
    ids=["E01-serve", "E01-video", "E01-train"],
)
def test_a_missing_extra_is_named_with_its_install_line(
    package: str, words: list[str], extra: str, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"x" * 100)
    words = [str(tmp_path / word) if word == "clip.mp4" else word for word in words]
    words += ["--model", str(tiny_model)] if extra == "video" else []
    done = run(*words, before=f"import sys; sys.modules[{package!r}] = None")
    assert done.returncode == 4
    assert f'pip install ".[{extra}]"' in done.stderr


@on_posix
@pytest.mark.parametrize(
    "env",
    [
        {"HOME": None, "XDG_CACHE_HOME": None, "FACIAL_EXPRESSIONS_CACHE": None},
        {"HOME": "/proc/nothing", "XDG_CACHE_HOME": None, "FACIAL_EXPRESSIONS_CACHE": None},
        {"TMPDIR": "/nothing"},
        {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"},
        {"TZ": "Nowhere/Never", "TERM": "", "COLUMNS": "0"},
        {"OMP_NUM_THREADS": "1"},
    ],
    ids=["E03-no-home", "E03-home-read-only", "E14-no-temporary-folder", "E07-locale-c",
         "E08-odd-zone", "E10-one-thread"],
)  # fmt: skip
def test_predict_works_in_a_poor_environment(
    env: dict[str, str | None], tiny_model: Path, image: Path
) -> None:
    done = run("predict", image, "--format", "json", "--model", tiny_model, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["status"] == "ok"


@on_linux
def test_e04_output_to_a_full_disk_is_exit_code_4(tiny_model: Path, image: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*PROGRAM, "predict", image, "--model", str(tiny_model)],
            stdout=full, stderr=subprocess.PIPE, encoding="utf-8", check=False,
        )  # fmt: skip
    assert done.returncode == 4
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr


@on_posix
def test_e04_a_limit_of_file_size_is_exit_code_4(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode(photo(400, 400), "PNG"))
    words = ("predict", tmp_path / "a.png", "--draw", tmp_path / "out", "--model", tiny_model)
    done = run(*words, before=limit("RLIMIT_FSIZE", 500) + "; sys = __import__('sys'); "
               "sys.dont_write_bytecode = True")  # fmt: skip
    assert done.returncode == 4
    assert "Traceback" not in done.stderr


@on_linux
def test_e05_predict_works_within_a_gigabyte_of_address_space(
    tiny_model: Path, image: Path
) -> None:
    """Of which NumPy's and ONNX Runtime's libraries take most, unused."""
    done = run(
        "predict", image, "--threads", 1, "--format", "json", "--model", tiny_model,
        before=limit("RLIMIT_AS", 1024**3), env={"OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "ok"


@on_linux
def test_e05_predict_works_within_512_mebibytes_of_memory(tiny_model: Path, tmp_path: Path) -> None:
    """Of what a process writes into; libraries that are mapped and not read cost no memory."""
    path = tmp_path / "a.jpg"
    path.write_bytes(encode(photo(1280, 960), "JPEG"))
    words = ("predict", path, "--threads", 1, "--format", "json", "--model", tiny_model)
    done = run(*words, before=limit("RLIMIT_DATA", 512 * 1024**2))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "ok"


@on_linux
def test_e05_a_photo_of_12_megapixels_is_read_again_and_again_in_512_mebibytes(
    tiny_model: Path,
) -> None:
    lines = """import sys, numpy, facial_expressions
recognizer = facial_expressions.load_recognizer(sys.argv[1], threads=1)
for _ in range(3):
    recognizer.recognize(numpy.full((3000, 4000, 3), 127, numpy.uint8))
print(open("/proc/self/status").read())"""
    done = subprocess.run(
        [sys.executable, "-c", lines, str(tiny_model)],
        capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", done.stdout)
    assert 100 * 1024 < int(peak) < 512 * 1024


@on_linux
def test_e05_a_server_with_one_worker_holds_less_than_512_mebibytes(
    tiny_model: Path, tmp_path: Path
) -> None:
    body = encode(photo(1280, 960), "JPEG")
    options = ("--workers", "1", "--threads", "1", "--model", str(tiny_model))
    with serving(*options, folder=tmp_path) as (process, port, _):
        assert [post(port, body) for _ in range(4)] == [200] * 4
        assert 50 < resident_mebibytes(process.pid) < 512


def resident_mebibytes(process_id: int) -> float:
    """Return the most memory that a process and its children have held so far, added up."""
    total = 0.0
    for path in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):
            text = path.read_text(encoding="ascii", errors="replace")
            fields = dict(re.findall(r"^(Pid|PPid|VmHWM):\s+(\d+)", text, re.MULTILINE))
            if str(process_id) in (fields["Pid"], fields["PPid"]):
                total += int(fields.get("VmHWM", 0)) / 1024
    return total


@on_linux
def test_e06_with_few_files_allowed_the_server_does_not_crash(
    tiny_model: Path, tmp_path: Path
) -> None:
    with serving("--model", str(tiny_model), folder=tmp_path) as (process, port, _):
        assert post(port, png()) == 200
        subprocess.run(["prlimit", f"--pid={process.pid}", "--nofile=64:64"], check=True)
        with ExitStack() as stack:
            for _ in range(100):
                with suppress(OSError):
                    stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
            time.sleep(1)
            assert process.poll() is None
        deadline = time.monotonic() + 40
        while True:
            with suppress(OSError):
                assert post(port, png()) == 200
                break
            assert time.monotonic() < deadline
            time.sleep(0.5)


def test_e08_no_deadline_is_measured_by_a_clock_that_jumps() -> None:
    folders = ("server", "media", "inference")
    package = ROOT / "src" / "facial_expressions"
    texts = {path: path.read_text(encoding="utf-8") for one in folders for path in
             (package / one).glob("*.py")}  # fmt: skip
    jumping = re.compile(r"\btime\.time\(|datetime\.now\(|utcnow\(")
    assert [path.name for path, text in texts.items() if jumping.search(text)] == []


def test_e09_the_server_answers_on_ipv6_loopback(tiny_model: Path) -> None:
    try:
        listener = open_listener("::1", 0)
    except OSError:
        pytest.skip("there is no IPv6 here")
    with listener:
        assert url_of(listener).startswith("http://[::1]:")


def test_e12_older_pythons_are_refused_by_the_package_itself() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=3.11"
    assert all(re.search(r"[><=]=", one) for one in project["dependencies"])


@on_posix
def test_e13_files_are_never_more_open_than_the_mask_allows(
    tiny_model: Path, image: Path, tmp_path: Path
) -> None:
    words = ("predict", image, "--draw", tmp_path / "out", "--model", tiny_model)
    assert run(*words, before="import os; os.umask(0o077)").returncode == 0
    (marked,) = (tmp_path / "out").iterdir()
    assert marked.stat().st_mode & 0o077 == 0


@on_posix
def test_e15_a_server_that_was_frozen_goes_on(tiny_model: Path, tmp_path: Path) -> None:
    """An image takes as long as before, give or take; no deadline of half a minute has to pass."""
    with serving("--model", str(tiny_model), folder=tmp_path) as (process, port, _):
        start = time.monotonic()
        assert post(port, png()) == 200
        usual_s = time.monotonic() - start
        process.send_signal(signal.SIGSTOP)
        time.sleep(3)
        process.send_signal(signal.SIGCONT)
        start = time.monotonic()
        assert post(port, png()) == 200
        assert time.monotonic() - start < 10 + 6 * usual_s
