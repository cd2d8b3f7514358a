"""HTTP/1.1 on uvicorn with deadlines of its own: uvicorn has none for a request that trickles in.

Each request has to arrive within a fixed time from its first byte, or from the connection's
beginning; bytes that come one by one do not extend it. The time of that beginning is handed to the
application, which bounds the body by the same deadline. An answer that the client does not read is
given up after a while. When the server stops, a connection on which a request may just be arriving
is left open for a moment, so that what was accepted is answered.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from facial_expressions.server.failures import error_body
from facial_expressions.server.guard import SECURITY_HEADERS
from facial_expressions.server.limits import ServerLimits

__all__ = ["DeadlineProtocol", "protocol_class"]


def protocol_class(limits: ServerLimits) -> type[H11Protocol]:
    """Return the protocol for a server with these limits, for uvicorn's option ``http``."""

    class _BoundProtocol(DeadlineProtocol):
        receive_s = limits.receive_s
        write_s = limits.write_s
        most_connections = limits.connections

    return _BoundProtocol


class DeadlineProtocol(H11Protocol):
    """One connection.

    Attributes:
        receive_s: Time in which the head of a request has to arrive.
        write_s: Time for which an answer may stand unread.
        most_connections: With more of them a request is told that the server is crowded; twice as
            many are cut at once.
        last_s: Time for which a connection without a request is kept when the server stops.
    """

    receive_s = 10.0
    write_s = 30.0
    most_connections = 800
    last_s = 0.5

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the first request's time."""
        super().connection_made(transport)
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        if len(self.connections) > 2 * self.most_connections:
            transport.abort()
        else:
            self._begin_request()

    def shutdown(self) -> None:
        """Close when the request under way is answered; without one, after a moment."""
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(self.last_s, self._shut)
        else:
            super().shutdown()

    def _shut(self) -> None:
        if not self.transport.is_closing():
            super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all timers."""
        self._stop_head_timer()
        self._stop_write_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; the first of a further request start its time."""
        if self._head_timer is None and self.conn.their_state is h11.IDLE:
            self._begin_request()
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_head_timer()

    def pause_writing(self) -> None:
        """Wait for the client to read, but not for ever."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.write_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on writing."""
        self._stop_write_timer()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP with JSON, unless an answer is under way."""
        self._stop_head_timer()
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.close()
            return
        body = error_body("bad_request", "This is no HTTP request that is understood.", "")
        headers = [*SECURITY_HEADERS.items(), ("content-type", "application/json"),
                   ("content-length", str(len(body))), ("connection", "close")]  # fmt: skip
        events = (h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
                  h11.Data(data=body), h11.EndOfMessage())  # fmt: skip
        for event in events:
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _begin_request(self) -> None:
        self.app_state = {
            **self.app_state,
            "receiving_since": self.loop.time(),
            "is_crowded": len(self.connections) > self.most_connections,
        }
        self._head_timer = self.loop.call_later(self.receive_s, self._give_up)

    def _give_up(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
