"""What goes wrong with a request: stable codes, sentences that give nothing away, JSON bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.responses import JSONResponse

CLIENT_GONE: Final = 499
"""Status in logs and metrics of a request whose client hung up; it is never sent to anyone."""

_PLAIN: Final = {
    400: ("bad_request", "The request is malformed."),
    404: ("not_found", "Not found. See /openapi.json for the addresses."),
    405: ("method_not_allowed", "This address does not allow that method. See /openapi.json."),
}
_BUSY: Final = {"Retry-After": "1"}


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
