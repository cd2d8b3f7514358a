"""The page's files, read once and served from memory: no path of a request reaches the disk."""

from __future__ import annotations

import importlib.resources
from typing import Final

from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

__all__ = ["PAGE_FILES", "page_routes"]

PAGE_FILES: Final = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    "/app.js": ("app.js", "text/javascript; charset=utf-8"),
    "/heat.js": ("heat.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
"""Name and content type of the file behind each address."""


def page_routes() -> list[BaseRoute]:
    """Return one route for each file of the page."""
    folder = importlib.resources.files("facial_expressions.server") / "static"
    return [
        Route(address, _File((folder / name).read_bytes(), content_type), methods=["GET"])
        for address, (name, content_type) in PAGE_FILES.items()
    ]


class _File:
    """Serves one file."""

    def __init__(self, content: bytes, content_type: str) -> None:
        headers = {"content-type": content_type, "cache-control": "no-cache"}
        self._response = Response(content, headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._response(scope, receive, send)
