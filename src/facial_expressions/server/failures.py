"""What goes wrong with a request: stable codes, sentences that give nothing away, JSON bodies."""

from __future__ import annotations

import json
from typing import Final

from facial_expressions.errors import ImageError, ImageFormatError, ImageTooLargeError

__all__ = ["CLIENT_GONE", "RequestError", "error_body", "from_image_error", "from_status"]

CLIENT_GONE: Final = 499
"""Status in logs and metrics of a request whose client hung up; it is never sent to anyone."""

_PLAIN: Final = {
    400: ("bad_request", "The request is malformed."),
    404: ("not_found", "There is nothing at this address; see /openapi.json for what there is."),
    405: ("method_not_allowed", "This address does not take that method; see /openapi.json."),
}


class RequestError(Exception):
    """Raised when a request is answered by an error.

    Args:
        status: The HTTP status.
        code: A short name that never changes, for programs.
        message: One sentence for people; holds nothing of the server and nothing unescaped.
        retry_after_s: When to come again; 0 says nothing of that.
    """

    def __init__(self, status: int, code: str, message: str, *, retry_after_s: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s


def error_body(code: str, message: str, request_id: str) -> bytes:
    """Return the JSON of an error.

    Examples:
        >>> error_body("not_found", "There is nothing here.", "5f0c")
        b'{"code": "not_found", "message": "There is nothing here.", "request_id": "5f0c"}'
    """
    body = {"code": code, "message": message, "request_id": request_id}
    return json.dumps(body).encode()


def from_status(status: int) -> RequestError:
    """Return the error for a status that the router gives."""
    code, message = _PLAIN.get(status, _PLAIN[400])
    return RequestError(status, code, message)


def from_image_error(error: ImageError, *, max_pixels: int) -> RequestError:
    """Say in an answer why a picture was not read, without the words of the decoder.

    Args:
        error: What reading the picture raised.
        max_pixels: How many pixels are allowed.
    """
    if isinstance(error, ImageFormatError):
        return RequestError(
            415, "unsupported_format", "Only JPEG, PNG, WebP, BMP and GIF pictures are read."
        )
    if isinstance(error, ImageTooLargeError):
        allowed = f"{max_pixels / 1e6:g} megapixels and 16,384 pixels a side"
        return RequestError(
            413, "too_many_pixels", f"The picture is too large; allowed are {allowed}."
        )
    return RequestError(422, "damaged_picture", "The picture is empty, damaged or cut short.")
