"""Request bodies: received in memory within limits; of a multipart form, its one file is taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from facial_expressions.server.limits import CLIENT_GONE, OVERLOADED, RequestError, ServerLimits

_MAX_FIELDS: Final = 8
_FIELD_BYTES: Final = 64 * 1024


@dataclass
class BodyReader:
    """Receives images within a server's limits, and counts the bytes that all of them hold.

    Attributes:
        limits: Bytes of one body, of all bodies, and the time to arrive in.
    """

    limits: ServerLimits
    _held: int = 0

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """Receive a request's image; its body counts as held until the context is left.

        Args:
            request: Its body is the image, or a form with one file; nothing of it may have been
                taken yet.

        Raises:
            RequestError: 413 too many bytes, 408 too slow, 503 too many bodies at one time, 400
                no such form, or the client hung up.
        """
        declared = request.headers.get("content-length", "")
        self._check(int(declared) if declared.isdecimal() else 0)
        n_bytes = 0

        async def chunks() -> AsyncGenerator[bytes, None]:
            nonlocal n_bytes
            async for chunk in request.stream():
                n_bytes += len(chunk)
                self._held += len(chunk)
                self._check(n_bytes)
                yield chunk

        now_s = asyncio.get_running_loop().time()
        began_s = request.scope.get("state", {}).get("receiving_since", now_s)
        try:
            try:
                async with asyncio.timeout_at(began_s + self.limits.receive_s):
                    if request.headers.get("content-type", "").lower().startswith("multipart/"):
                        image = await _file_of_form(request.headers, chunks())
                    else:
                        image = b"".join([chunk async for chunk in chunks()])
            except TimeoutError:
                raise RequestError(
                    408, "too_slow", "The request did not arrive in time. Send it faster."
                ) from None
            except ClientDisconnect:
                raise RequestError(CLIENT_GONE, "client_gone", "The client disconnected.") from None
            yield image
        finally:
            self._held -= n_bytes

    def _check(self, n_bytes: int) -> None:
        if n_bytes > self.limits.body_bytes:
            allowed = self.limits.body_bytes / 2**20
            raise RequestError(
                413, "too_many_bytes", f"The image is too large. The limit is {allowed:g} MB."
            )
        if self._held > self.limits.buffered_bytes:
            raise RequestError(503, *OVERLOADED)


async def _file_of_form(headers: Headers, chunks: AsyncGenerator[bytes, None]) -> bytes:
    """Return the one file of a multipart form; names, fields and part headers are ignored."""
    try:
        form = await _Form(headers, chunks).parse()
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        content = await files[0].read()
        await form.close()
    except (MultiPartException, ValueError, IndexError):  # ValueError: no such character set
        raise RequestError(
            400,
            "malformed_form",
            "A form must hold exactly one file, in a part with a name and a file name, and at "
            f"most {_MAX_FIELDS} other fields of {_FIELD_BYTES // 1024} KB.",
        ) from None
    return content


class _Form(MultiPartParser):
    """Starlette's parser in our limits: a file stays in memory, a form that is cut is refused."""

    spool_max_size = 0

    def __init__(self, headers: Headers, chunks: AsyncGenerator[bytes, None]) -> None:
        super().__init__(
            headers, self._until_end(chunks),
            max_files=1, max_fields=_MAX_FIELDS, max_part_size=_FIELD_BYTES,
        )  # fmt: skip
        self._is_whole = False

    def on_end(self) -> None:
        self._is_whole = True

    async def _until_end(self, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async for chunk in chunks:
            yield chunk
        if not self._is_whole:
            raise MultiPartException("the form is cut")
