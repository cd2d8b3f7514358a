"""Who may ask: the Host names that are ours, and the pages that requests may come from.

A page of another site can make a browser send requests here, and can point a name of its own at
this machine (DNS rebinding). So a request has to name a host that is ours, and one that changes or
costs something may come from our own page only. Programs send no ``Origin`` and are let through.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from facial_expressions.plain_text import shown

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


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


def is_own_origin(host: str, origin: str | None, fetch_site: str | None) -> bool:
    """Tell whether a request comes from this server's own page, or from no page at all.

    Args:
        host: The ``Host`` header.
        origin: The ``Origin`` header, if there is one.
        fetch_site: The ``Sec-Fetch-Site`` header, if there is one.

    Examples:
        >>> is_own_origin("localhost:8000", "http://localhost:8000", "same-origin")
        True
        >>> is_own_origin("localhost:8000", "https://evil.example", None)
        False
    """
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
