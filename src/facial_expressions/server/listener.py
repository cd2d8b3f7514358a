"""Run an application on a socket: bind early, say where, stop gracefully."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import time
from typing import Any, Final

import uvicorn
from fastapi import FastAPI

from facial_expressions.server.guard import HEADER_BYTES
from facial_expressions.server.limits import ServerLimits
from facial_expressions.server.protocol import protocol_class

__all__ = ["build_server", "keep_log_short", "open_listener", "url_of"]

logger = logging.getLogger(__name__)

_BACKLOG: Final = 1024
_NO_FILES: Final = (errno.EMFILE, errno.ENFILE)
_ONCE_IN_S: Final = 10.0


def open_listener(host: str, port: int) -> socket.socket:
    """Bind the address before anything slow is done.

    Args:
        host: A name or address of this machine.
        port: The port; 0 takes a free one.

    Returns:
        The socket, to be given to the server.

    Raises:
        OSError: The port is taken or not allowed, or the address is not this machine's.
    """
    try:
        kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.create_server(address[:2], family=kind)
    except OSError as error:
        raise OSError(
            f"the server cannot listen there; received {host} port {port}: "
            f"{error.strerror or error}; choose another with --port or --host"
        ) from error
    # Asyncio sends at once only on sockets that say they are TCP. Without, the body of an answer
    # waits until the client confirms its head, which takes 40 ms.
    return socket.socket(kind, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=bound.detach())


def url_of(listener: socket.socket) -> str:
    """Return where a socket is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def build_server(app: FastAPI, limits: ServerLimits) -> uvicorn.Server:
    """Build a server for an application; ``run(sockets=[...])`` starts it.

    On SIGTERM and SIGINT it takes no more connections, answers what it has accepted, and ends. Of
    uvicorn's own limit of connections no use is made: it would refuse the state of health too.

    Args:
        app: What ``create_app`` returned.
        limits: The same limits.
    """
    config = uvicorn.Config(
        app,
        http=protocol_class(limits),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=HEADER_BYTES,
        timeout_graceful_shutdown=limits.stop_s,
        backlog=_BACKLOG,
    )
    return uvicorn.Server(config)


def keep_log_short(loop: asyncio.AbstractEventLoop) -> None:
    """Say once in a while that no more files may be open, instead of a trace per connection.

    Asyncio tries again in a second; until then clients wait in the queue of the operating system.
    """
    said_at = -_ONCE_IN_S

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal said_at
        error = context.get("exception")
        if not (isinstance(error, OSError) and error.errno in _NO_FILES):
            loop.default_exception_handler(context)
        elif time.monotonic() - said_at >= _ONCE_IN_S:
            said_at = time.monotonic()
            logger.warning("no more connections are taken for now: %s", error)

    loop.set_exception_handler(handle)
