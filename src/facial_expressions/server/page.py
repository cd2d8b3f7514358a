"""The page's files, read once and served from memory: no path of a request reaches the disk."""

from __future__ import annotations

import importlib.resources
from typing import Final

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

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
    routes: list[BaseRoute] = []
    for address, (name, content_type) in PAGE_FILES.items():
        headers = {"content-type": content_type, "cache-control": "no-cache"}
        answer = Response((folder / name).read_bytes(), headers=headers)
        routes.append(Route(address, answer, methods=["GET"]))
    return routes
