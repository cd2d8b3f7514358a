"""The server's connections: where it listens, how long each may take, how it stops.

Uvicorn has no deadline for a request that trickles in. So here each has to arrive within a fixed
time from its first byte, or from the connection's beginning; bytes that come one by one do not
extend it. The time of that beginning is handed to the application, which bounds the body by the
same deadline. An answer that the client does not read is given up after a while. When the server
stops, a connection on which a request may just be arriving is left open for a moment, so that what
was accepted is answered. Of what arrives at one time, a little is looked at in each turn of the
event loop, and the question whether the server is alive at once.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import re
import socket
import time
from collections import deque
from typing import Any, ClassVar, Final

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from facial_expressions.errors import first_line
from facial_expressions.server.guard import HEADER_BYTES, SECURITY_HEADERS
from facial_expressions.server.limits import RequestError, ServerLimits

logger = logging.getLogger(__name__)

_BACKLOG: Final = 1024
_LAST_S: Final = 0.5
"""Time for which a connection without a request is kept when the server stops."""

_HEALTH: Final = re.compile(rb"(?:GET|HEAD) \S{,500}/healthz[ ?]")
_BEGUN_IN_A_TURN: Final = 3
"""What is done for one connection takes the event loop up to a few milliseconds."""

_NO_FILES: Final = (errno.EMFILE, errno.ENFILE)
_ONCE_IN_S: Final = 10.0
"""Asyncio reports each connection of its backlog: a thousand lines a second would block the log."""


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
            f"{host} port {port}: the server cannot listen there: {first_line(error)}. Choose "
            "another with --port or --host"
        ) from error
    # Asyncio sends at once only on sockets that say they are TCP. Without, the body of an answer
    # waits until the client confirms its head, which takes 40 ms.
    return socket.socket(kind, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=bound.detach())


def url_of(listener: socket.socket) -> str:
    """Return where a socket is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def build_server(app: ASGIApp, limits: ServerLimits) -> uvicorn.Server:
    """Build a server for an application; ``run(sockets=[...])`` starts it.

    On SIGTERM and SIGINT it takes no more connections, answers what it has accepted, and ends. Of
    uvicorn's own limit of connections no use is made: it would refuse the state of health too.

    Args:
        app: What ``create_app`` returned.
        limits: The same limits.
    """
    config = uvicorn.Config(
        app,
        http=type(
            "_Connection", (_Connection,), {"limits": limits, "begun": deque(), "new": deque()}
        ),
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


class _Connection(H11Protocol):
    """One connection; with more of them than allowed a request is told that the server is crowded.

    Twice as many are cut at once. In each turn of the event loop a few go on: some whose requests
    have begun, as each holds memory until it ends, and one that begins.
    """

    limits = ServerLimits()
    begun: ClassVar[deque[_Connection]] = deque()
    new: ClassVar[deque[_Connection]] = deque()
    _waits = False
    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > 2 * self.limits.connections:
            transport.abort()
        else:
            self._begin_request()

    def handle_events(self) -> None:
        """Look at what has arrived when it is this connection's turn; until then read no more."""
        is_new = self.conn.their_state is h11.IDLE
        if is_new:
            arrived, _ = self.conn.trailing_data
            if not arrived:
                return
            if self._head_timer is None and not self._waits:
                self._begin_request()
            if _HEALTH.match(arrived):
                self._go_on()
                return
        self.transport.pause_reading()
        if not self._waits:
            self._waits = True
            self._stop_head_timer()
            if not (self.begun or self.new):
                self.loop.call_soon(self._let_in)
            (self.new if is_new else self.begun).append(self)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.limits.write_s, self.transport.abort)

    def resume_writing(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self.resume_writing()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        is_idle = self.cycle is None or self.cycle.response_complete
        self.loop.call_later(_LAST_S if is_idle else 0, self._shut)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP with JSON, unless an answer is under way."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            error = RequestError(400, "bad_request", "This is no HTTP request that is understood.")
            answer = error.response("")
            headers = [*SECURITY_HEADERS.items(), *answer.headers.items(), ("connection", "close")]
            head = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
            for event in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _begin_request(self) -> None:
        self.app_state = {
            **self.app_state,
            "receiving_since": self.loop.time(),
            "is_crowded": len(self.connections) > self.limits.connections,
        }
        self._start_head_timer()

    def _start_head_timer(self) -> None:
        due = self.app_state["receiving_since"] + self.limits.receive_s
        self._head_timer = self.loop.call_at(due, self.transport.close)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _let_in(self) -> None:
        for waiting, most in ((self.begun, _BEGUN_IN_A_TURN), (self.new, 1)):
            for _ in range(min(most, len(waiting))):
                self.loop.call_soon(waiting.popleft()._go_on)  # what fails there stops no other
        if self.begun or self.new:
            self.loop.call_soon(self._let_in)

    def _go_on(self) -> None:
        self._waits = False
        self._stop_head_timer()
        if self.transport.is_closing():
            return
        if not self.flow.read_paused:
            self.transport.resume_reading()
        try:
            super().handle_events()
        except Exception:
            self.transport.abort()
            raise
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self._start_head_timer()

    def _shut(self) -> None:
        if self._waits:
            self.loop.call_later(_LAST_S, self._shut)
        elif not self.transport.is_closing():
            super().shutdown()


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
