"""A real server in a thread, and plain clients for it: ``http.client`` and bare sockets."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import socket
import threading
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from PIL import Image
from starlette.datastructures import Headers

from facial_expressions.inference.recognizer import ExpressionRecognizer
from facial_expressions.server.app import create_app
from facial_expressions.server.bodies import _file_of_form
from facial_expressions.server.connections import build_server, open_listener
from facial_expressions.server.limits import RequestError, ServerLimits

__all__ = ["Answer", "RunningServer", "form", "png", "read_all", "run_server", "status_of_form"]

BOUNDARY = "----boundary"


@dataclass(frozen=True)
class Answer:
    """One answer: status, headers in lower case, body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON can be anything
        return json.loads(self.body)


@dataclass(frozen=True)
class RunningServer:
    """A server that listens on loopback."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request; a body given as an iterator is sent in chunks."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())
        finally:
            connection.close()

    def post(self, body: bytes, **headers: str) -> Answer:
        """Send an image to /v1/recognize."""
        return self.ask("POST", "/v1/recognize", body, headers)

    @contextmanager
    def connect(self) -> Iterator[socket.socket]:
        """Open a bare connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as endpoint:
            yield endpoint

    def send_raw(self, *parts: bytes) -> bytes:
        """Send bytes as they are, as far as the server takes them; return all that it answered."""
        received = bytearray()
        with self.connect() as endpoint:
            reader = threading.Thread(target=read_all, args=(endpoint, received))
            reader.start()
            for part in parts:
                try:
                    endpoint.sendall(part)
                except ConnectionError:
                    break
            reader.join(30)
        return bytes(received)

    def metric(self, line: str) -> float:
        """Return the value of one line of /metrics; 0 when it is not there."""
        for text in self.ask("GET", "/metrics").body.decode().splitlines():
            if text.startswith(f"facial_expressions_{line} "):
                return float(text.split()[-1])
        return 0.0


@contextmanager
def run_server(
    recognizer: ExpressionRecognizer, limits: ServerLimits | None = None, *, wait: bool = True
) -> Iterator[RunningServer]:
    """Serve until the context is left, then stop as on SIGTERM."""
    limits = limits or ServerLimits(answer_s=60)
    with open_listener("127.0.0.1", 0) as listener:
        running = RunningServer(listener.getsockname()[1])
        server = build_server(create_app(recognizer, limits), limits)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            deadline = time.monotonic() + 60
            while wait and running.ask("GET", "/readyz").status != 200:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield running
        finally:
            server.should_exit = True
            thread.join(60)
            assert not thread.is_alive()


def read_all(endpoint: socket.socket, received: bytearray) -> None:
    """Add to ``received`` what comes until the connection closes."""
    with suppress(ConnectionError):
        while data := endpoint.recv(65536):
            received += data


def png(width: int = 64, height: int = 64, mode: str = "RGB") -> bytes:
    """Encode a plain image."""
    stream = io.BytesIO()
    Image.new(mode, (width, height)).save(stream, "PNG")
    return stream.getvalue()


def form(*parts: tuple[str, bytes], end: bytes = b"--") -> bytes:
    """Encode a multipart form; each part is its Content-Disposition and its content."""
    lines = b"".join(
        f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + content + b"\r\n"
        for disposition, content in parts
    )
    return lines + f"--{BOUNDARY}".encode() + end + b"\r\n"


def status_of_form(body: bytes, content_type: bytes) -> int:
    """Return 200 when a form has a file that is taken, or the refusal's status."""

    async def chunks() -> AsyncGenerator[bytes, None]:
        yield body

    headers = Headers(raw=[(b"content-type", content_type)])
    try:
        asyncio.run(_file_of_form(headers, chunks()))
    except RequestError as error:
        return error.status
    return 200
