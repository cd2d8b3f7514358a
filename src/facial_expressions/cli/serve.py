"""The verb ``serve``: the HTTP API and the web page on this machine."""

from __future__ import annotations

import logging
import os
import re
import sys
from typing import Annotated

import typer
from typer import Option

from facial_expressions.cli.options import takes_recognizer_options
from facial_expressions.inference.options import RecognizerOptions
from facial_expressions.plain_text import shown

_THREADS = 4
"""More threads gain little for one image; concurrent images share them."""

_MAX_PIXELS = 50_000_000
"""Strangers send them: fewer than your own files may have."""


@takes_recognizer_options(threads=_THREADS, max_pixels=_MAX_PIXELS)
def command(  # noqa: PLR0913 - one argument per option
    *,
    host: Annotated[
        str, Option(help="Address to listen on; any but loopback opens the server to the network.")
    ] = "127.0.0.1",
    port: Annotated[
        int, Option(min=0, max=65_535, help="Port to listen on; 0 picks a free one.")
    ] = 8000,
    allow_host: Annotated[
        list[str] | None,
        Option(metavar="NAME", help="Additional host name to accept; may be repeated."),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        Option(
            metavar="ORIGIN",
            help="Site whose pages may use the API (CORS), as https://example.org; may be "
            "repeated.",
        ),
    ] = None,
    root_path: Annotated[
        str, Option(metavar="PATH", help="Path prefix under which a proxy serves it, as /faces.")
    ] = "",
    open_page: Annotated[
        bool, Option("--open", help="Open the page in the default browser.")
    ] = False,
    workers: Annotated[
        int | None, Option(min=1, help="Images processed at a time; default: one per core.")
    ] = None,
    max_waiting: Annotated[int, Option(min=1, help="Images that may wait; more are refused.")] = 32,
    max_upload_mb: Annotated[int, Option(min=1, help="Largest request in MiB.")] = 10,
    options: RecognizerOptions,
) -> None:
    """Serve the HTTP API and a web page for photos, videos and the camera.

    Answers name what people would see in a face, not what the person feels. Nothing is stored and
    nothing leaves the machine. Not for use at work or in education (EU AI Act, Art. 5(1)(f)).
    """
    from facial_expressions.errors import needs_extra
    from facial_expressions.inference.recognizer import load_recognizer

    with needs_extra("serve"):
        from facial_expressions.server.app import create_app
        from facial_expressions.server.connections import build_server, open_listener, url_of
        from facial_expressions.server.guard import HostNames, is_loopback
        from facial_expressions.server.limits import MEBIBYTE, ServerLimits

    try:
        hosts = HostNames(host, allow_host or (), allow_origin or ())
    except ValueError as error:
        raise typer.BadParameter(f"{error}.", param_hint="--allow-origin") from error
    if not re.fullmatch(r"[\w.~/-]*", root_path, re.ASCII):
        problem = f"{shown(root_path)}: not a path. Give one such as /faces."
        raise typer.BadParameter(problem, param_hint="--root-path")
    prefix = f"/{root_path.strip('/')}" if root_path.strip("/") else ""
    limits = ServerLimits(
        body_bytes=max_upload_mb * MEBIBYTE,
        pixels=options.max_pixels,
        workers=workers or os.cpu_count() or 1,
        waiting=max_waiting,
    )
    with open_listener(host, port) as listener:
        app = create_app(load_recognizer(options), limits, hosts=hosts, root_path=prefix)
        for chatty in ("uvicorn", "python_multipart"):
            logging.getLogger(chatty).setLevel(logging.ERROR)
        if not is_loopback(host):
            print(
                f"warning: everyone who reaches {host} can use this server; it has no passwords "
                "and no encryption. Tell the people it sees, and put a proxy with TLS in front of "
                "it.",
                file=sys.stderr,
            )
        print(f"serving on {url_of(listener)} (Ctrl-C stops)", file=sys.stderr, flush=True)
        if open_page:
            _open_page(url_of(listener))
        build_server(app, limits).run(sockets=[listener])


def _open_page(url: str) -> None:
    """Show the page; the socket is open, so the browser waits until it is served."""
    import threading
    import webbrowser

    url = url.replace("//0.0.0.0", "//127.0.0.1").replace("//[::]", "//[::1]")
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
