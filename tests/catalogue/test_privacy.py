"""Nothing is written and nobody is called: whole runs of predict, serve and video are watched.

Three watchers: folders that stay empty (home, temporary and working folder), Python's own audit
events, and, where strace is installed, every call to the operating system, also of C libraries.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")
pytest.importorskip("av", reason="the extra video is not installed")

from tests.media.videos import even_times, face_image, scene, write_video
from tests.server.client import form, png

WATCHED: Final = """
import os, sys
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGING = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink",
            "os.truncate")
LOCAL = ("127.0.0.1", "::1", "localhost", None)

def watch(event, words):
    found = ""
    if event == "open":
        path, mode, flags = words
        is_file = not isinstance(path, int) and path != os.devnull
        if is_file and (flags or 0) & WRITING:
            found = f"writes {path!r}"
    elif event in CHANGING:
        found = f"{event} {words!r}"
    elif event in ("socket.connect", "socket.sendto") and words[1][0] not in LOCAL:
        found = f"{event} {words[1]!r}"
    elif event == "socket.getaddrinfo" and words[0] not in LOCAL:
        found = f"looks up {words[0]!r}"
    if found:
        os.write(2, f"VIOLATION {found}\\n".encode())

sys.addaudithook(watch)
from facial_expressions.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
STRACE: Final = shutil.which("strace")
CALLS: Final = "open,openat,openat2,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,connect,sendto"  # noqa: E501


@pytest.fixture
def clip(tmp_path: Path, astronaut: Path) -> Path:
    images = [scene(face_image(astronaut), [(20, 60)])] * 4
    return write_video(tmp_path / "clip.mp4", images, even_times(4), sound="aac")


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """Empty home, temporary and working folders."""
    made = {name: tmp_path / name for name in ("home", "temporary", "working")}
    for folder in made.values():
        folder.mkdir()
    return made


def environment(folders: dict[str, Path]) -> dict[str, str]:
    without = {"FACIAL_EXPRESSIONS_CACHE", "XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY"}
    kept = {name: value for name, value in os.environ.items() if name not in without}
    home, temporary = str(folders["home"]), str(folders["temporary"])
    return {**kept, "HOME": home, "USERPROFILE": home, "TMPDIR": temporary, "TEMP": temporary,
            "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip


def files(folders: dict[str, Path]) -> list[str]:
    return [str(path) for folder in folders.values() for path in folder.rglob("*")]


def run(folders: dict[str, Path], before: list[str], *words: object) -> str:
    """Run a watched command; return what it said on stderr."""
    command = [*before, sys.executable, "-c", WATCHED, *map(str, words)]
    done = subprocess.run(
        command, env=environment(folders), cwd=folders["working"], capture_output=True,
        encoding="utf-8", check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout
    return done.stderr


def answered(port: int, body: bytes, content_type: str = "image/png") -> int:
    """Post until the answer is in time, which on a busy machine it may not be (504)."""
    from tests.cli.test_serve import post

    late = 504
    return next((code for _ in range(20) if (code := post(port, body, content_type)) != late), late)


def serve(folders: dict[str, Path], before: list[str], model: Path, image: bytes) -> str:
    """Serve a few requests of every kind and stop; return what was said on stderr."""
    from tests.cli.test_serve import post

    words = ["serve", "--port", "0", "--model", str(model)]
    command = [*before, sys.executable, "-c", WATCHED, *words]
    said = []
    with subprocess.Popen(
        command, env=environment(folders), cwd=folders["working"], stderr=subprocess.PIPE,
        encoding="utf-8", start_new_session=True,
    ) as process:  # fmt: skip
        try:
            assert process.stderr
            port = 0
            while not port:
                said.append(process.stderr.readline())
                found = re.match(r"serving on http://[\d.]+:(\d+) ", said[-1])
                port = int(found[1]) if found else 0
            assert answered(port, image) == 200
            large = form(('form-data; name="image"; filename="a"', png() + bytes(5_000_000)))
            assert answered(port, large, "multipart/form-data; boundary=----boundary") == 200
            assert post(port, b"no image") == 415
            assert post(port, bytes(11 * 2**20)) == 413
            os.killpg(process.pid, signal.SIGTERM)
            said += process.stderr.readlines()
            process.wait(60)
        finally:
            process.kill()
    return "".join(said)


def test_e02_predict_writes_nothing_and_calls_nobody(
    folders: dict[str, Path], tiny_model: Path, astronaut: Path
) -> None:
    words = ["predict", astronaut, "--format", "json", "--model", tiny_model]
    assert "VIOLATION" not in run(folders, [], *words)
    assert files(folders) == []


def test_e02_predict_with_the_shipped_model_writes_nothing_either(
    folders: dict[str, Path], astronaut: Path
) -> None:
    assert "VIOLATION" not in run(folders, [], "predict", astronaut)
    assert files(folders) == []


def test_video_writes_nothing_and_calls_nobody(
    folders: dict[str, Path], tiny_model: Path, clip: Path
) -> None:
    assert "VIOLATION" not in run(folders, [], "video", clip, "--model", tiny_model)
    assert files(folders) == []


@pytest.mark.skipif(os.name != "posix", reason="stops the server by SIGTERM")
def test_serve_writes_nothing_and_calls_nobody(
    folders: dict[str, Path], tiny_model: Path, astronaut: Path
) -> None:
    assert "VIOLATION" not in serve(folders, [], tiny_model, astronaut.read_bytes())
    assert files(folders) == []


def test_the_watcher_sees_what_it_watches_for(tmp_path: Path) -> None:
    code = WATCHED.split("from facial_expressions")[0]
    lines = (
        "\nimport socket, contextlib\n"
        "open('x', 'w').close(); os.mkdir('y')\n"
        "with contextlib.suppress(OSError): socket.create_connection(('192.0.2.1', 9), 0.01)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code + lines], cwd=tmp_path, capture_output=True, encoding="utf-8",
        check=True,
    )  # fmt: skip
    assert "VIOLATION writes 'x'" in done.stderr
    assert "VIOLATION os.mkdir" in done.stderr
    assert "192.0.2.1" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
@pytest.mark.parametrize("verb", ["predict", "video", "serve"])
def test_no_library_opens_a_file_for_writing_or_a_connection(
    verb: str, folders: dict[str, Path], tiny_model: Path, astronaut: Path, clip: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    log = tmp_path / "calls"
    before = [str(STRACE), "-f", "-qq", "-o", str(log), "-e", f"trace={CALLS}"]
    try:
        if verb == "serve":
            serve(folders, before, tiny_model, astronaut.read_bytes())
        else:
            source = astronaut if verb == "predict" else clip
            run(folders, before, verb, source, "--model", tiny_model)
    except (AssertionError, OSError):
        if log.exists() and "ptrace" not in log.read_text():
            raise
        pytest.skip("strace may not trace here")
    time.sleep(0.2)
    calls = log.read_text(errors="replace").splitlines()
    assert len(calls) > 100
    assert [call for call in calls if is_violation(call)] == []


def is_violation(call: str) -> bool:
    """Tell whether a line of strace opens a file for writing, changes a folder or calls outside."""
    if " = -1 " in call:
        return "AF_INET" in call and "127.0.0.1" not in call
    if re.search(r"\b(connect|sendto)\(", call):
        return "AF_INET" in call and "127.0.0.1" not in call
    if re.search(r"\b(mkdir|mkdirat|rename\w*|unlink\w*|creat)\(", call):
        return True
    return bool(re.search(r"O_WRONLY|O_RDWR|O_CREAT", call)) and not re.search(
        r'"/dev/(null|tty|shm/)', call
    )
