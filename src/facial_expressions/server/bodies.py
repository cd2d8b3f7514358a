"""Request bodies: received in memory within limits, and the picture inside a multipart form."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from facial_expressions.server.failures import CLIENT_GONE, RequestError
from facial_expressions.server.limits import MEBIBYTE, ServerLimits

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

__all__ = ["BodyReader", "picture_in_form"]

_MAX_PARTS: Final = 9
"""One file and eight fields."""

_MAX_FIELD_BYTES: Final = 64 * 1024
_ONE_FILE: Final = "A form holds exactly one file, in a part with a file name."


class BodyReader:
    """Receives bodies within a server's limits, and counts what all of them hold.

    Args:
        limits: Bytes of one body, of all bodies, and the time to arrive in.
    """

    def __init__(self, limits: ServerLimits) -> None:
        self._limits = limits
        self._held = 0

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """Receive a request's body; it counts as held until the context is left.

        Args:
            request: The request; nothing of its body may have been taken yet.

        Raises:
            RequestError: 413 too many bytes, 408 too slow, 503 too many bodies at one time, or the
                client hung up.
        """
        self._check_declared(request)
        loop = asyncio.get_running_loop()
        began = request.scope.get("state", {}).get("receiving_since", loop.time())
        body = bytearray()
        try:
            try:
                async with asyncio.timeout_at(began + self._limits.receive_s):
                    async for chunk in request.stream():
                        self._held += len(chunk)
                        body += chunk
                        self._check(len(body))
            except TimeoutError:
                raise RequestError(
                    408, "too_slow", "The request did not arrive in time; send it faster."
                ) from None
            except ClientDisconnect:
                raise RequestError(CLIENT_GONE, "client_gone", "The client hung up.") from None
            yield bytes(body)
        finally:
            self._held -= len(body)

    def _check_declared(self, request: Request) -> None:
        declared = request.headers.get("content-length", "")
        if declared.isdecimal():
            self._check(int(declared))

    def _check(self, n_bytes: int) -> None:
        if n_bytes > self._limits.body_bytes:
            allowed = self._limits.body_bytes / MEBIBYTE
            raise RequestError(
                413, "too_many_bytes", f"The picture is too large; allowed are {allowed:g} MB."
            )
        if self._held > self._limits.buffered_bytes:
            raise RequestError(
                503,
                "overloaded",
                "The server receives all it can hold; try again in a moment.",
                retry_after_s=self._limits.retry_after_s,
            )


def picture_in_form(body: bytes, content_type: str) -> bytes:
    r"""Return the one file of a multipart form; names, fields and part headers are ignored.

    Args:
        body: The whole body.
        content_type: The request's content type, with the boundary.

    Raises:
        RequestError: 400, the form is malformed, or holds no file, several, or too much else.

    Examples:
        >>> form = b'--x\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\n'
        >>> picture_in_form(form + b"GIF89a\r\n--x--\r\n", "multipart/form-data; boundary=x")
        b'GIF89a'
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not boundary:
        raise _malformed("A form needs its boundary in the content type.")
    form = _Form()
    try:
        parser = MultipartParser(boundary, form.callbacks)
        parser.write(body)
        parser.finalize()
    except FormParserError:
        raise _malformed("The form is malformed.") from None
    if not form.is_whole or len(form.files) != 1:
        raise _malformed(_ONE_FILE)
    return bytes(form.files[0])


class _Form:
    """Collects the files of a form; other fields are measured and let go."""

    def __init__(self) -> None:
        self.files: list[bytearray] = []
        self.is_whole = False
        self._n_parts = 0
        self._is_file = False
        self._name = b""
        self._value = b""
        self._field_bytes = 0
        self.callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin_part,
            "on_header_begin": self._begin_header,
            "on_header_field": self._take_name,
            "on_header_value": self._take_value,
            "on_header_end": self._end_header,
            "on_part_data": self._take_data,
            "on_end": self._end,
        }

    def _begin_part(self) -> None:
        self._n_parts += 1
        self._is_file = False
        self._field_bytes = 0
        if self._n_parts > _MAX_PARTS:
            raise _malformed("A form holds at most eight fields beside its file.")

    def _begin_header(self) -> None:
        self._name = self._value = b""

    def _take_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._name.lower() == b"content-disposition":
            options = parse_options_header(self._value)[1]
            self._is_file = b"filename" in options
            if self._is_file:
                self.files.append(bytearray())
                if len(self.files) > 1:
                    raise _malformed(_ONE_FILE)

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self.files[-1] += data[start:end]
            return
        self._field_bytes += end - start
        if self._field_bytes > _MAX_FIELD_BYTES:
            raise _malformed("A field of a form holds at most 64 KB.")

    def _end(self) -> None:
        self.is_whole = True


def _malformed(message: str) -> RequestError:
    return RequestError(400, "malformed_form", message)
