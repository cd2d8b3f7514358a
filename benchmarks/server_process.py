"""A server in a process of its own: start it, ask it, and look at its memory."""

from __future__ import annotations

import contextlib
import http.client
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["ask", "resident_mb", "serving"]


@contextlib.contextmanager
def serving(*options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run ``serve`` as a process; yields it and its port when it is ready."""
    words = [sys.executable, "-m", "facial_expressions", "serve", "--port", "0", *options]
    with subprocess.Popen(words, stderr=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stderr
        try:
            line = process.stderr.readline()
            found = re.match(r"serving on http://[\d.]+:(\d+) ", line)
            if not found:
                raise SystemExit(f"the server did not start: {line}{process.stderr.read()}")
            port = int(found[1])
            while ask(port, "GET", "/readyz")[0] != 200:
                time.sleep(0.05)
            yield process, port
        finally:
            process.kill()


def resident_mb(process_id: int) -> float:
    """Return the memory that a process and its children hold now, in MB; 0 without /proc."""
    total = 0.0
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError, ValueError):
            text = status.read_text(encoding="ascii", errors="replace")
            fields = dict(re.findall(r"^(Pid|PPid|VmRSS):\s+(\d+)", text, re.MULTILINE))
            if str(process_id) in (fields["Pid"], fields["PPid"]):
                total += int(fields.get("VmRSS", 0)) / 1024
    return total


def ask(
    port: int, method: str, path: str, body: bytes = b"", content_type: str = ""
) -> tuple[int, bytes]:
    """Send one request to this machine; return status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        headers = {"Content-Type": content_type} if content_type else {}
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
