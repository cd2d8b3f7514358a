"""The verb ``serve``: the HTTP API and the web page on this machine."""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated

import typer

from facial_expressions.cli.options import MinConfidence

__all__ = ["command"]

_MEGA = 1_000_000
_THREADS = 4
"""A picture by itself gains little by more; pictures that are worked on together share them."""


def command(  # noqa: PLR0913, PLR0917 - one argument per option
    host: Annotated[
        str, typer.Option(help="Address to listen at; others than loopback open it to the network.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port to listen at; 0 takes a free one.")
    ] = 8000,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A further name to be asked for by; may be repeated."),
    ] = None,
    model: Annotated[
        str, typer.Option(help="A shipped model's name, or the path of a model file.")
    ] = "default",
    min_confidence: MinConfidence = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, help="Threads of the networks for each picture; without it, up to four."
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Pictures at one time; without it, one per core.")
    ] = None,
    max_waiting: Annotated[
        int, typer.Option(min=1, help="Pictures that may wait; further ones are turned away.")
    ] = 32,
    max_upload_mb: Annotated[int, typer.Option(min=1, help="Largest request in MiB.")] = 10,
    max_megapixels: Annotated[int, typer.Option(min=1, help="Largest picture.")] = 50,
) -> None:
    """Serve the HTTP API and a web page for photos and the camera.

    Answers name what people would see in a face, not what the person feels. Nothing is stored and
    nothing leaves the machine. Not for use at work or in education (EU AI Act, Art. 5(1)(f)).
    """
    from facial_expressions.errors import MissingExtraError
    from facial_expressions.inference.recognizer import load_recognizer

    try:
        from facial_expressions.server.app import create_app
        from facial_expressions.server.limits import MEBIBYTE, ServerLimits
        from facial_expressions.server.listener import build_server, open_listener, url_of
        from facial_expressions.server.origins import HostNames, is_loopback
    except ModuleNotFoundError as error:
        raise MissingExtraError.of("serve", error.name or "fastapi") from error

    limits = ServerLimits(
        body_bytes=max_upload_mb * MEBIBYTE,
        pixels=max_megapixels * _MEGA,
        workers=workers or os.cpu_count() or 1,
        waiting=max_waiting,
    )
    with open_listener(host, port) as listener:
        recognizer = load_recognizer(
            model,
            threads=threads or min(_THREADS, os.cpu_count() or 1),
            min_confidence=min_confidence,
        )
        app = create_app(recognizer, limits, hosts=HostNames(host, allow_host or ()))
        for chatty in ("uvicorn", "python_multipart"):
            logging.getLogger(chatty).setLevel(logging.ERROR)
        if not is_loopback(host):
            _warn(host)
        print(f"serving on {url_of(listener)} (Ctrl-C stops)", file=sys.stderr, flush=True)
        build_server(app, limits).run(sockets=[listener])


def _warn(host: str) -> None:
    print(
        f"warning: everyone who reaches {host} can use this server; it has no passwords and no "
        "encryption. People who are shown to it must be told. Put a proxy with TLS before it.",
        file=sys.stderr,
    )
