"""The page's files, read once and served from memory: no path of a request reaches the disk."""

from __future__ import annotations

import importlib.resources
from pathlib import PurePath
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from facial_expressions.colors import css_variables

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_ADDRESSES: Final = {"index.html": "/", "docs.html": "/docs"}
"""Of files that are not asked for by their names."""


def page_routes() -> list[Route]:
    """Return one route for each file of the page, and one for the colors."""
    folder = importlib.resources.files("facial_expressions.server") / "static"
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    files["colors.css"] = css_variables().encode()
    routes = []
    for name, content in files.items():
        content_type = _TYPES[PurePath(name).suffix]
        headers = {"content-type": content_type, "cache-control": "no-cache"}
        answer = Response(content, headers=headers)
        routes.append(Route(_ADDRESSES.get(name, f"/{name}"), answer, methods=["GET"]))
    return routes
