"""The verb ``serve`` as a process: start, answer, warn, stop; exit codes; nothing on disk."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")
pytest.importorskip("onnx", reason="tiny models are written with the package onnx")

from tests.server.client import form, png
from tests.tiny_model import write_tiny_model

COMMAND = [sys.executable, "-m", "facial_expressions", "serve", "--port", "0"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx"))


@contextmanager
def serving(*options: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], int, list[str]]]:
    """Start the command; yields the process, its port and the lines it said before it served."""
    env = {**os.environ, "TMPDIR": str(folder)}
    with subprocess.Popen(
        [*COMMAND, *options], stderr=subprocess.PIPE, encoding="utf-8", cwd=folder, env=env
    ) as process:
        assert process.stderr
        said = []
        try:
            for line in process.stderr:
                said.append(line)
                if found := re.match(r"serving on http://[\d.]+:(\d+) ", line):
                    yield process, int(found[1]), said
                    return
            pytest.fail("".join(said))
        finally:
            process.kill()


def post(port: int, body: bytes, content_type: str = "image/png") -> int:
    """Send an image as soon as the server has named its address; return the status."""
    return ask(port, "POST", "/v1/recognize", body, **{"Content-Type": content_type})[0]


def ask(
    port: int, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str]]:
    """Return the status and the headers of an answer, by their names in lower case."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}


def files(folder: Path) -> dict[str, int]:
    """Return the files of a folder with their sizes."""
    return {str(path): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *options], capture_output=True, encoding="utf-8", check=False, timeout=120
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
def test_serves_writes_nothing_to_disk_and_stops_on_sigterm(model: str, tmp_path: Path) -> None:
    with serving("--model", model, folder=tmp_path) as (process, port, said):
        large = form(('form-data; name="image"; filename="a"', png() + bytes(5_000_000)))
        assert post(port, png()) == 200
        before = files(tmp_path)  # ONNX Runtime may leave a small one when it starts
        assert post(port, large, "multipart/form-data; boundary=----boundary") == 200
        assert files(tmp_path) == before
        assert sum(before.values()) < 10_000
        assert not any("warning" in line for line in said)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to a child alone")
def test_interruption_ends_it_with_130(model: str, tmp_path: Path) -> None:
    with serving("--model", model, folder=tmp_path) as (process, port, _):
        assert post(port, png()) == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130


def test_an_address_that_others_reach_is_warned_about(model: str, tmp_path: Path) -> None:
    options = ("--host", "0.0.0.0", "--model", model, "--max-upload-mb", "1")
    with serving(*options, folder=tmp_path) as (_, port, said):
        assert any(line.startswith("warning: everyone who reaches 0.0.0.0") for line in said)
        assert post(port, bytes(1024 * 1024 + 1)) == 413


def test_a_port_that_is_taken_is_exit_code_4(model: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("--model", model, "--port", str(port))
    assert done.returncode == 4
    assert f"127.0.0.1 port {port}" in done.stderr
    assert "--port" in done.stderr


def test_a_missing_model_is_exit_code_3() -> None:
    done = run("--model", "no-such.onnx")
    assert done.returncode == 3
    assert "no-such.onnx" in done.stderr
    assert "serving" not in done.stderr


def test_a_page_of_an_allowed_site_may_use_the_api(model: str, tmp_path: Path) -> None:
    """What a browser asks and sends for ``fetch`` from another site, and what lets it read."""
    options = ("--allow-origin", "https://site.example", "--model", model)
    with serving(*options, folder=tmp_path) as (_, port, _):
        post(port, png())

        sent = {"Content-Type": "image/png", "Sec-Fetch-Site": "cross-site"}
        asked = {"Access-Control-Request-Method": "POST", "Origin": "https://site.example"}
        status, headers = ask(port, "OPTIONS", "/v1/recognize", None, **asked)
        assert (status, headers["access-control-allow-methods"]) == (204, "GET, POST")
        found = [
            ask(port, "POST", "/v1/recognize", png(), Origin=f"https://{site}.example", **sent)
            for site in ("site", "other")
        ]
        assert [status for status, _ in found] == [200, 403]
        named = [headers.get("access-control-allow-origin") for _, headers in found]
        assert named == ["https://site.example", None]


@pytest.mark.skipif(sys.platform == "win32", reason="the browser is a shell script")
def test_behind_a_prefix_and_with_the_page_opened(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = tmp_path / "browser"
    browser.write_text('#!/bin/sh\nprintf "%s" "$1" > "$0.part"; mv "$0.part" "$0.opened"\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    options = ("--root-path", "faces/", "--open", "--host", "0.0.0.0", "--model", model)
    with serving(*options, folder=tmp_path) as (_, port, said):
        for path in ("/faces/healthz", "/healthz", "/faces/"):
            assert ask(port, "GET", path)[0] == 200, path
        assert not any("Warning" in line for line in said)
        opened = tmp_path / "browser.opened"
        until = time.monotonic() + 30
        while not opened.exists() and time.monotonic() < until:
            time.sleep(0.05)
        assert opened.read_text() == f"http://127.0.0.1:{port}"


def test_c22_an_origin_that_is_none_is_wrong_usage() -> None:
    done = run("--allow-origin", "*")
    assert done.returncode == 2
    assert "*: not an origin." in done.stderr


@pytest.mark.parametrize("prefix", ["https://example.org/faces", "/a b", "/faces?x=1"])
def test_c22_a_prefix_that_is_no_path_is_wrong_usage(prefix: str) -> None:
    done = run("--root-path", prefix)
    assert done.returncode == 2
    assert f"{prefix}: not a path." in done.stderr
