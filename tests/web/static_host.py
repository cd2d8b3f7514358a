"""A static host as anyone has one: Python's ``http.server``, with the page in a folder of it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

__all__ = ["StaticHost", "static_host"]


class StaticHost(ThreadingHTTPServer):
    """Serves a folder; single files can be changed, cut off, or be missing.

    Attributes:
        cut: Names of files that break off in the middle.
        held: Names of files that stop in the middle until ``may_go`` is set.
        change: By name, what changes a file's content.
        asked: Every address that was asked for.
        is_gone: Whether it answers nothing any more.
    """

    daemon_threads = True

    def __init__(self, folder: Path, path: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.path = path
        self.cut: set[str] = set()
        self.held: set[str] = set()
        self.may_go = threading.Event()
        self.change: dict[str, Callable[[bytes], bytes]] = {}
        self.asked: list[str] = []
        self.is_gone = False

    @property
    def origin(self) -> str:
        """Its address without a path."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        """Where the page is."""
        return self.origin + self.path

    def content(self, name: str) -> bytes:
        """What a file holds, unchanged."""
        return (self.folder / name).read_bytes()


class _Handler(SimpleHTTPRequestHandler):
    server: StaticHost

    def do_GET(self) -> None:
        host = self.server
        host.asked.append(self.path)
        if host.is_gone:
            self.close_connection = True
            return
        file = host.folder / (self.path.removeprefix(host.path) or "index.html")
        if not (self.path.startswith(host.path) and file.is_file()):
            self.send_error(404)
            return
        content = host.change.get(file.name, bytes)(file.read_bytes())
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(file))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        middle = len(content) // 2
        with contextlib.suppress(ConnectionError):
            self.wfile.write(content[:middle])
            if file.name in host.held:
                host.may_go.wait(60)
            if file.name not in host.cut:
                self.wfile.write(content[middle:])
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@contextlib.contextmanager
def static_host(folder: Path, path: str = "/people/page/") -> Iterator[StaticHost]:
    """Serve a folder under a path until the context is left."""
    with StaticHost(folder, path) as host:
        thread = threading.Thread(target=host.serve_forever)
        thread.start()
        try:
            yield host
        finally:
            host.shutdown()
            thread.join(30)
