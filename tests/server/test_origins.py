"""Hosts and origins, and multipart forms of any bytes."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facial_expressions.server.guard import HostNames, _is_own_origin
from tests.server.client import BOUNDARY, form, png, status_of_form

FILE = 'form-data; name="image"; filename="a.png"'


@pytest.mark.parametrize(
    ("bound_to", "host", "accepted"),
    [
        ("127.0.0.1", "localhost", True),
        ("127.0.0.1", "LOCALHOST:8000", True),
        ("127.0.0.1", "[::1]:8000", True),
        ("127.0.0.1", "192.168.1.5", False),
        ("127.0.0.1", "localhost.evil.example", False),
        ("127.0.0.1", "evil.example#localhost", False),
        ("127.0.0.1", "", False),
        ("127.0.0.1", "[::1", False),
        ("0.0.0.0", "192.168.1.5:8000", True),
        ("0.0.0.0", socket.gethostname(), True),
        ("0.0.0.0", "evil.example", False),
        ("0.0.0.0", "faces.example", True),
    ],
)
def test_a_server_is_asked_for_by_its_own_names(bound_to: str, host: str, accepted: bool) -> None:
    assert HostNames(bound_to, ["faces.example"] * (bound_to != "127.0.0.1")).accepts(host) == (
        accepted
    )


@pytest.mark.parametrize(
    ("origin", "fetch_site", "own"),
    [
        (None, None, True),
        ("http://localhost:8000", "same-origin", True),
        (None, "none", True),
        ("http://localhost:8001", None, False),
        ("http://localhost:8000", "same-site", False),
        ("null", None, False),
        ("file://", None, False),
        (None, "cross-site", False),
    ],
)
def test_only_the_own_page_is_an_own_origin(
    origin: str | None, fetch_site: str | None, own: bool
) -> None:
    assert _is_own_origin("localhost:8000", origin, fetch_site) == own


WHOLE = form((FILE, png()))


@settings(max_examples=150)
@given(
    st.binary(max_size=80),
    st.integers(0, len(WHOLE)),
    st.integers(0, len(WHOLE)),
    st.sampled_from([f"multipart/form-data; boundary={BOUNDARY}", "multipart/x; boundary=\xff", ""])
    | st.text(st.characters(max_codepoint=255), max_size=40),
)
def test_a_form_is_read_or_refused_whatever_its_bytes(
    noise: bytes, start: int, end: int, content_type: str
) -> None:
    body = WHOLE[:start] + noise + WHOLE[end:]
    assert status_of_form(body, content_type.encode("latin-1")) in (200, 400)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://site.example", True),
        ("HTTPS://SITE.EXAMPLE", True),
        ("http://site.example", False),
        ("https://site.example:8443", False),
        ("https://site.example.evil.example", False),
        ("null", False),
        (None, False),
    ],
)
def test_another_site_is_allowed_by_its_exact_origin(origin: str | None, allowed: bool) -> None:
    assert HostNames(origins=["https://Site.example"]).allows(origin) == allowed


@pytest.mark.parametrize(
    "origin", ["*", "site.example", "https://a/b", "https://*.a", "file://a", ""]
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(ValueError, match="not an origin"):
        HostNames(origins=[origin])
