"""The outermost layer: who may ask, security headers on every answer, bugs without their traces.

A page of another site can make a browser send requests here, and can point a name of its own at
this machine (DNS rebinding). So a request has to name a host that is ours, and one that changes or
costs something may come from our own page only. Programs send no ``Origin`` and are let through.

A client that is turned away while it is still sending would see its connection break instead of the
answer. So the answer is sent whole, some more of the body is taken and thrown away, and then the
connection is closed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import logging
import re
import socket
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facial_expressions.plain_text import shown
from facial_expressions.server.limits import MEBIBYTE, RequestError, from_status
from facial_expressions.server.metrics import ServerMetrics

logger = logging.getLogger(__name__)

SECURITY_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "media-src 'self' blob:; connect-src 'self'; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "cache-control": "no-store",
}
"""Sent with every answer; an answer's own value for one of them stays."""

_PREFLIGHT: Final = {
    "access-control-allow-methods": "GET, POST",
    "access-control-allow-headers": "content-type, x-camera-session",
    "access-control-max-age": "600",
}
"""Says to another site's page what it may send."""

_READING_METHODS: Final = ("GET", "HEAD", "OPTIONS")
HEADER_BYTES: Final = 16 * 1024
"""Request line and headers together may have this many bytes."""

_VERSIONS: Final = ("1.0", "1.1")
_DISCARD_BYTES: Final = 16 * MEBIBYTE
_DISCARD_S: Final = 1.0
_TOO_SLOW: Final = 408
_ALWAYS_ANSWERED: Final = ("/healthz", "/readyz", "/metrics")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class HostNames:
    """The names under which a server may be asked for.

    Args:
        bound_to: The address it listens at. Loopback takes loopback names only; any other also
            takes every numeric address (a rebound name is never one) and the machine's own name.
        more: Further names.
        origins: Origins of pages on other sites that may use the API, as ``https://example.org``.

    Raises:
        ValueError: An origin is not a scheme and a host.

    Examples:
        >>> names = HostNames("127.0.0.1")
        >>> names.accepts("localhost:8000"), names.accepts("evil.example")
        (True, False)
    """

    def __init__(
        self, bound_to: str = "127.0.0.1", more: Iterable[str] = (), origins: Iterable[str] = ()
    ) -> None:
        self._any_address = not is_loopback(bound_to)
        own = {bound_to, socket.gethostname()} if self._any_address else {bound_to}
        self._names = _LOOPBACK | {name.lower() for name in (*own, *more)}
        self._origins = frozenset(map(_checked_origin, origins))

    def accepts(self, host: str) -> bool:
        """Tell whether a ``Host`` header, with or without port, names this server."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self._names or (self._any_address and _is_address(name))

    def allows(self, origin: str | None) -> bool:
        """Tell whether an ``Origin`` header is that of another site that may use the API."""
        return (origin or "").lower() in self._origins


def _is_own_origin(host: str, origin: str | None, fetch_site: str | None) -> bool:
    """Tell whether a request comes from this server's own page, or from no page at all."""
    if fetch_site in ("cross-site", "same-site"):
        return False
    if origin is None:
        return True
    return origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}")


def is_loopback(host: str) -> bool:
    """Tell whether an address or name is reached from this machine only."""
    if host.lower() == "localhost":
        return True
    return _is_address(host) and ipaddress.ip_address(host).is_loopback


def _checked_origin(origin: str) -> str:
    if not re.fullmatch(r"https?://[^/?#@\s*]+", origin):
        raise ValueError(
            f"{shown(origin)}: not an origin. Give scheme and host, such as https://example.org"
        )
    return origin.lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


@dataclass
class Guard:
    """ASGI middleware around the whole application.

    Attributes:
        app: The application.
        hosts: The names under which the server may be asked for.
        metrics: Counts every answer.
        routes: Addresses that metrics tell apart.
        root_path: Prefix that a proxy may leave before them.
    """

    app: ASGIApp
    hosts: HostNames
    metrics: ServerMetrics
    routes: frozenset[str]
    root_path: str = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope = _in_origin_form(scope)
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        allowed = origin if self.hosts.allows(origin) else None
        has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        exchange = _Exchange(receive, send, allowed, has_body)
        start = time.perf_counter()
        try:
            self._check(scope, headers, is_allowed=allowed is not None)
            if allowed and scope["method"] == "OPTIONS":
                await Response(None, 204, _PREFLIGHT)(scope, receive, exchange.send)
                return
            as_get = {"method": "GET"} if scope["method"] == "HEAD" else {}  # no body is sent
            prefix = {"root_path": self.root_path} if self.root_path else {}
            await self.app({**scope, **prefix, **as_get}, exchange.receive, exchange.send)
        except RequestError as error:
            await error.response(exchange.id)(scope, receive, exchange.send)
        except Exception:
            logger.exception("request %s failed", exchange.id)
            if exchange.status:
                raise
            bug = RequestError(500, "internal_error", "Internal server error. It was logged.")
            await bug.response(exchange.id)(scope, receive, exchange.send)
        path = scope["path"].removeprefix(self.root_path)
        route = path if path in self.routes else "other"
        self.metrics.count_request(route, exchange.status)
        took_ms = (time.perf_counter() - start) * 1000
        logger.info("%s %s %d %s %.0f ms", exchange.id, route, exchange.status,
                    shown(scope["method"]), took_ms)  # fmt: skip

    def _check(self, scope: Scope, headers: Headers, *, is_allowed: bool) -> None:
        """Turn away what is not for us, before anything of its body is taken."""
        method, host = scope["method"], headers.get("host", "")
        if scope["http_version"] not in _VERSIONS:
            raise from_status(400)
        lines = [scope["raw_path"], scope["query_string"], *itertools.chain(*scope["headers"])]
        if sum(map(len, lines)) > HEADER_BYTES:
            raise RequestError(431, "too_many_headers", "The headers are too large.")
        if scope.get("state", {}).get("is_crowded") and not scope["path"].endswith(
            _ALWAYS_ANSWERED
        ):
            raise RequestError(503, "crowded", "Too many connections. Try again in a moment.")
        if not self.hosts.accepts(host):
            raise RequestError(421, "unknown_host", "This server does not accept that host name.")
        if "websocket" in headers.get("upgrade", "").lower():
            raise RequestError(426, "no_websocket", "WebSockets are not supported.")
        own = _is_own_origin(host, headers.get("origin"), headers.get("sec-fetch-site"))
        if method not in _READING_METHODS and not (own or is_allowed):
            raise RequestError(403, "foreign_origin", "Only this server's own page may do that.")
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise RequestError(415, "encoded_body", "Send the body uncompressed.")


def _in_origin_form(scope: Scope) -> Scope:
    """Take a request whose target is a whole URL, as proxies send it, as one for its path.

    The host is then that of the URL, whatever the header says (RFC 9112, section 3.2.2).
    """
    scheme, mark, rest = scope["raw_path"].partition(b"://")
    if not mark or scheme.lower() not in (b"http", b"https"):
        return scope
    authority, _, path = rest.partition(b"/")
    others = [(name, value) for name, value in scope["headers"] if name != b"host"]
    return {
        **scope,
        "raw_path": b"/" + path,
        "path": unquote("/" + path.decode("ascii", "replace")),
        "headers": [(b"host", authority), *others],
    }


@dataclass
class _Exchange:
    """One request and its answer: adds headers, and ends politely when the body was not taken."""

    take: Receive
    give: Send
    allowed_origin: str | None
    body_follows: bool
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:16])
    status: int = 0

    async def receive(self) -> Message:
        message = await self.take()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self.body_follows = False
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            # A copy, as a page's file is sent again with its own.
            message = {**message, "headers": list(message["headers"])}
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            headers["x-request-id"] = self.id
            if self.allowed_origin:
                headers["access-control-allow-origin"] = self.allowed_origin
                headers["access-control-expose-headers"] = "x-request-id"
                headers["vary"] = "Origin"
            if self.body_follows:
                headers["connection"] = "close"
        is_last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if is_last and self.body_follows and self.status != _TOO_SLOW:
            await self.give({**message, "more_body": True})
            await self._discard()
            message = {"type": "http.response.body", "body": b""}
        await self.give(message)

    async def _discard(self) -> None:
        n_bytes = 0
        try:
            async with asyncio.timeout(_DISCARD_S):
                while self.body_follows and n_bytes < _DISCARD_BYTES:
                    n_bytes += len((await self.receive()).get("body", b""))
        except TimeoutError:
            return
