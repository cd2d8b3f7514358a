"""The page's addresses in a browser: behind a proxy that adds a prefix, and /docs."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.server.browser import (
    NEEDS_BROWSER,
    add,
    count,
    keep_shot,
    logged,
    open_page,
    resized,
    text,
    until,
)  # fmt: skip
from tests.server.client import RunningServer

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

pytestmark = NEEDS_BROWSER
PREFIX = "/tools/faces"


@pytest.fixture
def prefixed(server: RunningServer) -> Iterator[str]:
    """Serve the server's addresses under a prefix, and nothing beside it."""

    class Proxy(BaseHTTPRequestHandler):
        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0"))) or None
            inner = self.path.removeprefix(PREFIX)
            if inner == self.path:
                self.send_error(404)
                return
            answer = server.ask(self.command, inner, body, {"Host": self.headers["host"]})
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name not in ("connection", "date"):
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = _pass_on

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=proxy.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{proxy.server_address[1]}{PREFIX}/"
    proxy.shutdown()
    thread.join()
    proxy.server_close()


def test_the_page_works_behind_a_path_prefix(
    browser: WebDriver, prefixed: str, photo: Path
) -> None:
    logged(browser, "browser")
    open_page(browser, prefixed)
    until(lambda: count(browser, "#examples button") == 3)
    add(browser, photo)
    until(lambda: count(browser, ".box") == 1)
    assert text(browser, "status").startswith("1 face: ")
    browser.find_element("css selector", ".api").click()
    until(lambda: "/v1/recognize" in browser.find_element("id", "docs").text)
    assert logged(browser, "browser") == []


@pytest.mark.parametrize("width", [1280, 390])
def test_docs_describe_every_address_and_ask_no_other_host(
    page: WebDriver, server: RunningServer, width: int
) -> None:
    document = server.ask("GET", "/openapi.json").json
    logged(page, "performance")
    logged(page, "browser")
    with resized(page, width):
        open_page(page, f"{server.url}/docs")
        described = page.find_element("id", "docs").text
        assert page.execute_script("return document.documentElement.scrollWidth") <= width
        keep_shot(page, f"docs-{width}")
    for path, methods in document["paths"].items():
        for method in methods:
            assert f"{method.upper()} {path}" in described
    for name, schema in document["components"]["schemas"].items():
        assert name in described
        assert all(column in described for column in schema.get("properties", ()))
    messages = [json.loads(entry["message"])["message"] for entry in logged(page, "performance")]
    urls = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    assert f"{server.url}/openapi.json" in urls
    assert all(url.startswith(server.url) for url in urls)
    assert logged(page, "browser") == []
