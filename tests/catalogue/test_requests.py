"""The catalogue's HTTP requests, H01 to H27, that the tests in ``tests/server`` leave over."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")

from facial_expressions.inference.recognizer import ExpressionRecognizer, load_recognizer
from facial_expressions.server.limits import MEBIBYTE, ServerLimits
from tests.server.client import BOUNDARY, RunningServer, form, png, run_server

HEAD: Final = b"POST /v1/recognize HTTP/1.1\r\nHost: localhost\r\n"
GET: Final = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"
CLOSE: Final = b"Connection: close\r\n"
IMAGE: Final = png()
LENGTH: Final = b"Content-Length: %d\r\n" % len(IMAGE)
FORM: Final = f"multipart/form-data; boundary={BOUNDARY}"
NAUGHTY: Final = (
    "../../etc/passwd", "..\\..\\boot.ini", "a\x00b.png", "x" * 5_000, "\u202egnp.exe", "CON",
    "LPT1.png", "😀.png", "<script>alert(1)</script>", "'; DROP TABLE faces;--", "${jndi:ldap://x}",
    "{{7*7}}", "%s%s%n", "-rf", "\ufeff", "Ω≈ç√∫", "\u0007bell",
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tiny_model: object) -> Iterator[RunningServer]:
    with run_server(load_recognizer(str(tiny_model), threads=1)) as running:
        yield running


@pytest.fixture(scope="module")
def recognizer(tiny_model: object) -> ExpressionRecognizer:
    return load_recognizer(str(tiny_model), threads=1)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n" % len(data) + data + b"\r\n"


def status_of(received: bytes) -> int:
    """Return the one status of a raw answer; 0 when the connection was closed without one."""
    found = re.findall(rb"^HTTP/1\.1 (\d{3})", received, re.MULTILINE)
    assert len(found) <= 1, "one request is never taken for two"
    return int(found[0]) if found else 0


WHOLE_URL: Final = b"GET http://%s HTTP/1.1\r\nHost: elsewhere.example\r\n" + CLOSE + b"\r\n"
RAW: Final[dict[str, tuple[bytes, set[int]]]] = {
    "H28-url": (WHOLE_URL % b"localhost/healthz", {200}),
    "H28-url-with-query": (WHOLE_URL % b"localhost/v1/labels?x=1", {200}),
    "H28-url-without-path": (WHOLE_URL % b"localhost", {200}),
    "H28-url-of-loopback": (WHOLE_URL % b"127.0.0.1/readyz", {200}),
    "H28-url-of-nothing": (WHOLE_URL % b"localhost/nothing", {404}),
    "H28-url-of-a-foreign-host": (
        b"GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\n" + CLOSE + b"\r\n",
        {421},
    ),
    "H28-url-with-user": (WHOLE_URL % b"me@localhost/healthz", {200}),
    "H28-url-without-host": (WHOLE_URL % b"/healthz", {421}),
    "H28-other-scheme": (
        b"GET ftp://localhost/healthz HTTP/1.1\r\nHost: localhost\r\n" + CLOSE + b"\r\n",
        {400, 404},
    ),
    "H02-no-length": (HEAD + CLOSE + b"\r\n" + IMAGE, {422}),
    "H02-chunked": (
        HEAD + CLOSE + CHUNKED + b"\r\n" + chunk(IMAGE) + b"0\r\n\r\n", {200},
    ),
    "H02-chunk-extension": (
        HEAD + CLOSE + CHUNKED + b"\r\n" + b"%x;a=b\r\n" % len(IMAGE) + IMAGE
        + b"\r\n0\r\n\r\n",
        {200, 400},
    ),
    "H02-trailer": (
        HEAD + CLOSE + CHUNKED + b"\r\n" + chunk(IMAGE) + b"0\r\nX: y\r\n\r\n", {200, 400},
    ),
    "H02-chunk-size-is-no-number": (HEAD + CHUNKED + b"\r\nzz\r\nabc\r\n0\r\n\r\n", {400, 0}),
    "H03-two-lengths": (HEAD + LENGTH + b"Content-Length: 5\r\n\r\n" + IMAGE, {400}),
    "H03-length-smaller": (HEAD + CLOSE + b"Content-Length: 20\r\n\r\n" + IMAGE, {422, 400}),
    "H03-length-is-text": (HEAD + b"Content-Length: many\r\n\r\n", {400}),
    "H03-length-of-5000-digits": (HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", {400}),
    "H03-length-is-huge": (HEAD + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n", {400, 413}),
    "H04-length-and-chunked": (
        HEAD + CLOSE + LENGTH + CHUNKED + b"\r\n" + chunk(IMAGE) + b"0\r\n\r\n", {200, 400},
    ),
    "H04-second-request-hidden": (
        HEAD + CLOSE + b"Content-Length: 6\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + GET + b"\r\n",
        {422, 400},
    ),
    "H04-two-encodings": (HEAD + CHUNKED + b"Transfer-Encoding: gzip\r\n\r\n", {400, 501}),
    "H16-a-megabyte-of-headers": (GET + b"X: " + b"a" * MEBIBYTE + b"\r\n\r\n", {400, 431}),
    "H16-thousand-headers": (
        GET + CLOSE + b"".join(b"X-%d: %s\r\n" % (i, b"v" * 20) for i in range(1000)) + b"\r\n",
        {400, 431},
    ),
    "H16-no-colon": (GET + b"nonsense\r\n\r\n", {400}),
    "H16-bare-line-feeds": (b"GET /healthz HTTP/1.1\nHost: localhost\nConnection: close\n\n",
                            {200, 400}),
    "H16-space-before-colon": (GET + b"X : y\r\n\r\n", {400}),
    "H16-folded-header": (GET + CLOSE + b"X: a\r\n b\r\n\r\n", {200, 400}),
    "H17-nul": (b"GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
    "H17-no-ascii": (
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n" + CLOSE + b"\r\n", {400, 404}
    ),
    "H17-hundred-kilobytes": (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", {400, 431}),
    "H17-http-0.9": (b"GET /\r\n\r\n", {400}),
    "H17-http-9.9": (b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", {400}),
    "H17-tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(60), {400}),
    "H21-no-host": (b"GET /healthz HTTP/1.1\r\n" + CLOSE + b"\r\n", {400, 421}),
    "H21-two-hosts": (GET + CLOSE + b"Host: evil.example\r\n\r\n", {400, 421}),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "allowed"), RAW.values(), ids=RAW.keys())
def test_a_raw_request_is_answered_as_the_contract_says(
    server: RunningServer, request_: bytes, allowed: set[int]
) -> None:
    start = time.monotonic()
    assert status_of(server.send_raw(request_)) in allowed
    assert time.monotonic() - start < 15
    assert server.ask("GET", "/healthz").status == 200


@pytest.mark.parametrize("name", NAUGHTY, ids=[f"H09-{i}" for i in range(len(NAUGHTY))])
def test_a_file_name_is_ignored_and_never_echoed(
    server: RunningServer, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    escaped = name.replace('"', "%22")
    body = form((f'form-data; name="image"; filename="{escaped}"', IMAGE))
    answer = server.post(body, **{"Content-Type": FORM})
    assert answer.status in (200, 400)
    assert name not in answer.body.decode()
    assert name not in caplog.text


@pytest.mark.parametrize(
    "query",
    ["page=1", "a=1&a=2", "n=" + "9" * 400, "n=-1", "n=NaN", "flag=true", "%00=%00", "a", "=",
     "%ff%fe=1", "<script>=1", "min_confidence=0.5"],
)  # fmt: skip
def test_h11_a_parameter_is_400_and_its_value_never_echoed(
    server: RunningServer, query: str
) -> None:
    received = server.send_raw(
        b"POST /v1/recognize?" + query.encode() + b" HTTP/1.1\r\nHost: localhost\r\n"
        + CLOSE + LENGTH + b"\r\n" + IMAGE
    )  # fmt: skip
    assert status_of(received) in ((200, 400) if query in ("=", "a") else (400,))
    assert b"<script>" not in received
    assert b"999999" not in received


def test_h10_naughty_headers_are_answered(server: RunningServer) -> None:
    for text in NAUGHTY:
        value = text.encode().replace(b"\0", b"")[:4_000]
        for name in (b"User-Agent", b"Accept", b"Content-Type", b"X-Forwarded-For", b"Referer"):
            received = server.send_raw(
                HEAD + CLOSE + LENGTH + name + b": " + value + b"\r\n\r\n" + IMAGE
            )
            assert status_of(received) in (200, 400)


@pytest.mark.parametrize(
    ("body", "boundary"),
    [
        (
            form(('form-data; name="a"; filename="b"\r\nX: ' + "y" * (9 * MEBIBYTE), IMAGE)),
            BOUNDARY,
        ),
        (b"-" * (9 * MEBIBYTE) + form(('form-data; name="a"; filename="b"', IMAGE)), BOUNDARY),
        (form(('form-data; name="a"; filename="b"', IMAGE)) + b"-" * (9 * MEBIBYTE), BOUNDARY),
        ((b"\r\n--" + b"a" * 69) * 100_000, "a" * 70),
        (b"\r\n" * (4 * MEBIBYTE), "b"),
    ],
    ids=["H12-header", "H13-preamble", "H13-epilogue", "H14-boundary", "H14-line-ends"],
)
def test_a_hostile_form_is_answered_soon(server: RunningServer, body: bytes, boundary: str) -> None:
    start = time.process_time()
    answer = server.post(body, **{"Content-Type": f"multipart/form-data; boundary={boundary}"})
    assert answer.status in (200, 400, 413)
    assert answer.status == 400 or b"status" in answer.body
    assert time.process_time() - start < 3  # client and server together


def test_h18_a_client_that_never_reads_is_cut(recognizer: ExpressionRecognizer) -> None:
    """The answers of many pipelined requests fill every buffer on the way."""
    limits = ServerLimits(write_s=0.5, answer_s=60)
    with run_server(recognizer, limits) as server, server.connect() as endpoint:
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        endpoint.settimeout(1)
        request = b"GET /app.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
        start = time.monotonic()
        with pytest.raises(OSError, match=r"reset|Broken pipe|timed out|aborted"):  # noqa: PT012
            while time.monotonic() - start < 60:
                endpoint.sendall(request * 50)
        assert server.post(IMAGE).status == 200


def test_h20_many_connections_at_once_do_no_harm(server: RunningServer) -> None:
    with ThreadPoolExecutor(60) as pool:
        answers = list(pool.map(lambda _: server.ask("GET", "/healthz").status, range(300)))
    assert set(answers) == {200}
    assert server.post(IMAGE).status == 200


def test_h22_forged_forwarding_headers_change_nothing(server: RunningServer) -> None:
    forged = {
        "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https",
        "X-Forwarded-For": "203.0.113.9", "Forwarded": "host=evil.example;proto=https",
        "X-Real-IP": "203.0.113.9", "X-Original-URL": "/metrics",
    }  # fmt: skip
    answer = server.post(IMAGE, **forged)
    assert answer.status == 200
    assert b"evil" not in answer.body
    assert server.post(IMAGE, **forged, Host="evil.example").status == 421


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity, gzip", "x" * 99])
def test_h23_encoded_bodies_are_refused(server: RunningServer, encoding: str) -> None:
    assert server.post(IMAGE, **{"Content-Encoding": encoding}).status == 415


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "DELETE", "PUT", "PATCH", "X"])
def test_h01_other_methods_are_405(server: RunningServer, method: str) -> None:
    assert server.ask(method, "/v1/recognize").status == 405
