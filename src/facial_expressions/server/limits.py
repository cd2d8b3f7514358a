"""What one server allows a request to cost, and how it says no.

Errors are stable codes, sentences that give nothing away, and JSON bodies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.responses import JSONResponse

MEBIBYTE: Final = 1024 * 1024
CLIENT_GONE: Final = 499
"""Status in logs and metrics of a request whose client hung up; it is never sent to anyone."""

OVERLOADED: Final = ("overloaded", "The server is at capacity. Try again in a moment.")
"""Code and message of a 503."""

_PLAIN: Final = {
    400: ("bad_request", "The request is malformed."),
    404: ("not_found", "Not found. See /openapi.json for the addresses."),
    405: ("method_not_allowed", "This address does not allow that method. See /openapi.json."),
}
_BUSY: Final = {"Retry-After": "1"}


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Bounds of a server; all of them positive.

    Attributes:
        body_bytes: Largest request body, counted as it arrives.
        buffered_bytes: All bodies held at one time.
        pixels: Pixels of the largest image that is decoded.
        receive_s: Time in which a whole request has to arrive.
        answer_s: Time from a request's last byte to its answer.
        decode_s: Processor time that decoding one image may take before its process is ended; by
            the clock three times as much, or as much where the system cannot measure it.
        write_s: Time a client may leave an answer unread.
        workers: Images worked on at one time.
        waiting: Images that may wait for a worker.
        connections: Connections beyond which only the state of health is answered.
        stop_s: Time that requests get to finish when the server stops.

    Raises:
        ValueError: A bound is not positive.

    Examples:
        >>> ServerLimits().body_bytes // MEBIBYTE, ServerLimits(workers=1).workers
        (10, 1)
    """

    body_bytes: int = 10 * MEBIBYTE
    buffered_bytes: int = 256 * MEBIBYTE
    pixels: int = 50_000_000
    receive_s: float = 10.0
    answer_s: float = 5.0
    decode_s: float = 4.0
    write_s: float = 30.0
    workers: int = 2
    waiting: int = 32
    connections: int = 800
    stop_s: int = 10

    def __post_init__(self) -> None:
        wrong = {f.name: v for f in fields(self) if not (v := getattr(self, f.name)) > 0}
        if wrong:
            raise ValueError(f"server limits: must be positive, not {wrong}")


class RequestError(Exception):
    """Raised when a request is answered by an error.

    Args:
        status: The HTTP status; 503 tells the client to come again in a second.
        code: A short name that never changes, for programs.
        message: One sentence for people; holds nothing of the server and nothing unescaped.
        headers: Headers of the answer.
    """

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = dict(headers or (_BUSY if status == 503 else {}))

    def response(self, request_id: str) -> JSONResponse:
        """Return the answer.

        Args:
            request_id: The request's id.

        Examples:
            >>> RequestError(404, "not_found", "There is nothing here.").response("5f0c").body
            b'{"code":"not_found","message":"There is nothing here.","request_id":"5f0c"}'
        """
        from starlette.responses import JSONResponse  # decoders have no use for it

        content = {"code": self.code, "message": str(self), "request_id": request_id}
        return JSONResponse(content, self.status, self.headers)


def from_status(status: int, headers: Mapping[str, str] | None = None) -> RequestError:
    """Return the error for a status that the router gives."""
    code, message = _PLAIN.get(status, _PLAIN[400])
    return RequestError(status, code, message, headers)
