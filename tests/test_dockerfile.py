"""The Dockerfile, step by step without Docker: each in a fresh environment on this machine.

A ``RUN`` is run, a ``COPY`` copied, both below a folder that stands for the image's root. Then the
entry point serves as the image's user, and the health check has to find it well.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from benchmarks.server_process import ask
from tests.conftest import REPOSITORY

TEXT = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
STEPS = [
    (line.split(maxsplit=1)[0], line.split(maxsplit=1)[1])
    for line in TEXT.replace("\\\n", " ").splitlines()
    if line and not line.startswith("#")
]
PATIENCE_S = 60


def value_of(name: str) -> str:
    """Return the argument of the last instruction of a name."""
    return [argument for step, argument in STEPS if step == name][-1]


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder that stands for the image's root, and that any user may read."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def build(root: Path) -> None:
    """Carry out the steps that fill the image."""
    search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    settings = os.environ | {"PATH": search, "PIP_COMPILE": "0"}
    place = root
    for step, argument in STEPS:
        words = inside(root, argument).split()
        if step == "WORKDIR":
            place = Path(words[0])
            place.mkdir(parents=True)
        elif step == "RUN":
            done = subprocess.run(
                ["sh", "-c", inside(root, argument)],
                cwd=place, env=settings, capture_output=True, encoding="utf-8", check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"{step} {argument}\n{done.stderr}"
        elif step == "COPY" and not words[0].startswith("--from"):
            copy([REPOSITORY / word for word in words[:-1]], place / words[-1])


def copy(sources: list[Path], target: Path) -> None:
    """Copy files into a folder, and what is in a folder to another one, as ``COPY`` does."""
    for source in sources:
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


def inside(root: Path, text: str) -> str:
    """Return a text with the image's own folders below the root."""
    return re.sub(r"(?<![\w/])/(opt|source)", rf"{root}/\1", text)


def may_be_run_by_others(program: Path) -> bool:
    """Return whether any user may run a program, which pyenv's in root's home forbids."""
    return all(folder.stat().st_mode & 0o001 for folder in (program, *program.parents))


@pytest.mark.slow
@pytest.mark.timeout(900)  # on a busy machine
@pytest.mark.skipif(sys.platform != "linux", reason="the image is of Linux")
def test_the_steps_lead_to_a_server_that_is_healthy_and_unprivileged(
    root: Path, astronaut: Path
) -> None:
    build(root)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    check = json.loads(inside(root, value_of("HEALTHCHECK")).partition("CMD ")[2])
    check = [word.replace("8000", str(port)) for word in check]
    words = [*json.loads(inside(root, value_of("ENTRYPOINT"))), *json.loads(value_of("CMD"))]
    words = [word.replace("8000", str(port)) for word in words]
    user, group = map(int, value_of("USER").split(":"))
    can_change = os.getuid() == 0 and may_be_run_by_others(Path(sys.executable).resolve())
    as_user = {"user": user, "group": group, "extra_groups": []} if can_change else {}
    with subprocess.Popen(words, cwd="/", env={"PATH": ""}, **as_user) as server:  # type: ignore[call-overload]
        try:
            end = time.monotonic() + PATIENCE_S
            while subprocess.run(check, capture_output=True, check=False).returncode != 0:
                assert server.poll() is None
                assert time.monotonic() < end
                time.sleep(0.2)
            status, answer = ask(port, "POST", "/v1/recognize", astronaut.read_bytes())
            owner = Path(f"/proc/{server.pid}").stat().st_uid
        finally:
            server.terminate()
    assert (status, len(json.loads(answer)["faces"])) == (200, 1)
    assert user > 0
    assert owner == (user if can_change else os.getuid())
    assert subprocess.run(check, capture_output=True, check=False).returncode != 0


def test_the_image_gets_the_package_and_nothing_that_is_ignored() -> None:
    """What a ``COPY`` names is allowed by ``.dockerignore``, which keeps everything else out."""
    ignore = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").split()
    assert ignore[0] == "*"
    copied = [shlex.split(argument)[:-1] for step, argument in STEPS if step == "COPY"]
    named = {word for words in copied for word in words if "/opt" not in word}
    let_in = [line.removeprefix("!") for line in ignore if line.startswith("!")]
    assert {word for word in named if not any(fnmatch(word, one) for one in let_in)} == {
        "--from=build"
    }
