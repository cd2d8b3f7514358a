"""Limits that hold: slow, endless and leaving clients, a full queue, deadlines, stopping."""

from __future__ import annotations

import asyncio
import logging
import re
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from facial_expressions.inference.recognizer import ExpressionRecognizer
from facial_expressions.server import guard
from facial_expressions.server.limits import MEBIBYTE, RequestError, ServerLimits
from facial_expressions.server.work_queue import WorkQueue
from tests.server.client import RunningServer, form, png, read_all, run_server
from tests.server.conftest import HeldDetector

HEAD = b"POST /v1/recognize HTTP/1.1\r\nHost: localhost\r\n"
FORM = form(('form-data; name="image"; filename="a.png"', png()))
SHORT = ServerLimits(workers=1, waiting=2, answer_s=60)


def until(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    """Wait for something that has to happen."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def has_admitted(server: RunningServer, n_images: int) -> bool:
    return server.metric("work_admitted") == n_images


def test_an_endless_chunked_body_is_refused_and_cut(server: RunningServer) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
        for _ in range(200):
            sent += MEBIBYTE
            yield b"100000\r\n" + bytes(MEBIBYTE) + b"\r\n"

    with server.connect() as endpoint:
        received = bytearray()
        reader = threading.Thread(target=read_all, args=(endpoint, received))
        reader.start()
        with suppress(ConnectionError):
            for part in endless():
                endpoint.sendall(part)
        reader.join(30)
    assert received.startswith(b"HTTP/1.1 413")
    assert sent < 60 * MEBIBYTE


def test_h06_a_length_over_the_limit_is_refused_before_the_body(server: RunningServer) -> None:
    """No 100 Continue is sent either."""
    head = HEAD + b"Content-Length: 999999999\r\nExpect: 100-continue\r\n\r\n"
    assert server.send_raw(head).startswith(b"HTTP/1.1 413")


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the clock of a test's own event loops on, by so many seconds; others' timers stay."""
    moved_s, others = 0.0, set(threading.enumerate())

    def now_s(_: asyncio.BaseEventLoop) -> float:
        return time.monotonic() + (0 if threading.current_thread() in others else moved_s)

    def move(seconds: float) -> None:
        nonlocal moved_s
        moved_s += seconds

    monkeypatch.setattr(asyncio.BaseEventLoop, "time", now_s)
    return move


LONG = ServerLimits(receive_s=10_000, answer_s=60)
"""A test that moves the clock may itself take minutes of these."""


def is_left_open(server: RunningServer, endpoint: socket.socket) -> bool:
    """Return whether the server has neither answered nor closed, now that it has looked around."""
    assert server.ask("GET", "/healthz").status == 200
    return not select.select([endpoint], [], [], 0)[0]


@pytest.mark.parametrize(
    ("first", "further", "answer"),
    [
        (b"G", b"G", b""),  # no request: no answer
        (HEAD + b"Content-Length: 100\r\n\r\n", b"x", b"HTTP/1.1 408"),
        (b"", b"", b""),  # connected, and never says a word
    ],
    ids=["head", "body", "nothing"],
)
def test_a_request_that_trickles_in_is_cut(
    first: bytes, further: bytes, answer: bytes, recognizer: ExpressionRecognizer,
    later: Callable[[float], None],
) -> None:  # fmt: skip
    with run_server(recognizer, LONG) as server, server.connect() as endpoint:
        endpoint.sendall(first)
        for _ in range(9):
            assert is_left_open(server, endpoint)
            later(1_000)
            endpoint.sendall(further)
        assert is_left_open(server, endpoint)
        later(1_000)
        assert not is_left_open(server, endpoint)
        assert endpoint.recv(12) == answer
        assert server.post(png()).status == 200


def test_a_kept_connection_has_the_deadline_for_each_request(
    recognizer: ExpressionRecognizer, later: Callable[[float], None]
) -> None:
    begin, end = b"GET /healthz HTTP/1.1\r\n", b"Host: localhost\r\n\r\n"
    with run_server(recognizer, LONG) as server, server.connect() as endpoint:
        for _ in range(2):
            endpoint.sendall(begin)
            assert is_left_open(server, endpoint)
            later(9_000)
            endpoint.sendall(end)
            received = b""
            while not received.endswith(b"}"):
                received += endpoint.recv(65536)
            assert received.startswith(b"HTTP/1.1 200")
        endpoint.sendall(begin)
        assert is_left_open(server, endpoint)
        later(10_000)
        assert not is_left_open(server, endpoint)
        assert endpoint.recv(12) == b""


def test_a_full_queue_answers_at_once_and_health_goes_on(
    held: HeldDetector, held_recognizer: ExpressionRecognizer
) -> None:
    with run_server(held_recognizer, SHORT) as server, ThreadPoolExecutor(3) as pool:
        accepted = [pool.submit(server.post, png()) for _ in range(3)]
        until(lambda: server.metric("work_admitted") == 3)
        refused = server.post(png())
        assert not any(one.done() for one in accepted), "it waits for none of those before it"
        assert (refused.status, refused.json["code"]) == (503, "overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        assert server.ask("GET", "/healthz").status == 200
        assert server.ask("GET", "/").status == 200
        held.may_go.set()
        assert [one.result().status for one in accepted] == [200, 200, 200]
        assert server.post(png()).status == 200


def test_h29_work_that_is_always_too_late_fills_no_queue() -> None:
    """Each piece takes 0.6 s, half a second is allowed: after the first, few get in."""

    async def ask_in_turn() -> list[int]:
        queue = WorkQueue(ServerLimits(workers=1, waiting=32, answer_s=0.5))

        async def status() -> int:
            try:
                await queue.run(lambda _: time.sleep(0.6))
            except RequestError as error:
                return error.status
            return 200

        statuses = [await status()]
        statuses += await asyncio.gather(*(status() for _ in range(47)))
        queue.close()
        return statuses

    statuses = asyncio.run(ask_in_turn())
    assert statuses[0] == 504
    assert statuses.count(503) >= 40


def test_h29_what_runs_for_long_counts_before_it_ends() -> None:
    async def statuses() -> list[int]:
        queue = WorkQueue(ServerLimits(workers=1, waiting=32, answer_s=0.8))
        may_end = threading.Event()
        first = asyncio.create_task(queue.run(lambda _: may_end.wait(20)))
        await asyncio.sleep(0.5)
        found = []
        for _ in range(5):
            try:
                queue.check_room()
                found.append(200)
            except RequestError as error:
                found.append(error.status)
        may_end.set()
        await asyncio.gather(first, return_exceptions=True)
        queue.close()
        return found

    assert asyncio.run(statuses()) == [503] * 5


def test_h29_after_slow_work_an_idle_server_takes_more() -> None:
    async def status() -> str:
        queue = WorkQueue(ServerLimits(workers=1, waiting=32, answer_s=1))
        with pytest.raises(RequestError):
            await queue.run(lambda _: time.sleep(1.5))
        await asyncio.sleep(1.1)
        answer = await queue.run(lambda _: "done")
        queue.close()
        return answer

    assert asyncio.run(status()) == "done"


def test_on_a_slow_machine_the_queue_is_only_as_long_as_the_deadline_allows() -> None:
    """Work takes 0.4 s or more, half the deadline is 4 s: at most ten wait, whatever the limit."""

    async def fill() -> tuple[int, list[object]]:
        queue = WorkQueue(ServerLimits(workers=1, waiting=32, answer_s=8))
        await queue.run(lambda check_wanted: time.sleep(0.4))
        may_go = threading.Event()
        asked = [asyncio.create_task(queue.run(lambda _: may_go.wait(5))) for _ in range(30)]
        await asyncio.sleep(0.05)
        admitted = queue.admitted
        may_go.set()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        queue.close()
        return admitted, list(answers)

    admitted, answers = asyncio.run(fill())
    refused = [one for one in answers if isinstance(one, RequestError)]
    assert 1 <= admitted <= 11
    assert len(refused) == 30 - admitted
    assert {one.status for one in refused} == {503}


def test_the_deadline_is_answered_and_the_slot_comes_back(
    held: HeldDetector, held_recognizer: ExpressionRecognizer
) -> None:
    with run_server(held_recognizer, ServerLimits(workers=1, answer_s=0.3)) as server:
        late = server.post(png())
        assert (late.status, late.json["code"]) == (504, "deadline_passed")
        held.may_go.set()
        until(lambda: server.metric("work_admitted") == 0)
        until(lambda: server.post(png()).status == 200)


def test_h19_work_whose_client_left_is_dropped(
    held: HeldDetector, held_recognizer: ExpressionRecognizer
) -> None:
    request = HEAD + b"Content-Length: %d\r\n\r\n" % len(png()) + png()
    limits = ServerLimits(workers=1, waiting=20, answer_s=60)
    with run_server(held_recognizer, limits) as server:
        with ExitStack() as stack:
            for n_before in range(10):
                endpoint = stack.enter_context(server.connect())
                endpoint.sendall(request)
                until(partial(has_admitted, server, n_before + 1))
                until(lambda: held.n_images == 1)
        until(lambda: server.metric("work_admitted") == 1)  # that one runs
        held.may_go.set()
        until(lambda: server.metric("work_admitted") == 0)
        assert server.post(png()).status == 200
        assert held.n_images == 2  # the one that ran, and the last
        assert server.metric('requests_total{outcome="cancelled",route="/v1/recognize"}') == 10


def test_a_client_that_leaves_in_the_middle_of_its_body_costs_nothing(
    server: RunningServer,
) -> None:
    cancelled = 'requests_total{outcome="cancelled",route="/v1/recognize"}'
    before = server.metric(cancelled)
    with server.connect() as endpoint:
        endpoint.sendall(HEAD + b"Content-Length: 1000\r\n\r\nabc")
    until(lambda: server.metric(cancelled) == before + 1)


def test_idle_connections_do_not_count_as_work(server: RunningServer) -> None:
    with ExitStack() as stack:
        for _ in range(400):
            stack.enter_context(server.connect())
        assert server.post(png()).status == 200


def test_a_crowd_of_connections_is_refused_and_health_still_answers(
    recognizer: ExpressionRecognizer,
) -> None:
    limits = ServerLimits(connections=20, answer_s=60)
    with run_server(recognizer, limits) as server, ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(server.connect())
        refused = server.post(png())
        assert (refused.status, refused.json["code"]) == (503, "crowded")
        assert refused.headers["retry-after"] == "1"
        assert server.ask("GET", "/healthz").status == 200
        for _ in range(30):
            stack.enter_context(server.connect())
        assert server.send_raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") == b""
        stack.close()
        until(lambda: server.post(png()).status == 200)


class StoppedLoop(logging.Handler):
    """Keeps the server's event loop from going on after /v1/labels; notes what it does then."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go = threading.Event()
        self.steps: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Note an answer; called by the guard's log."""
        assert isinstance(record.args, tuple)
        self.steps.append(f"answered {record.args[1]}")
        if record.args[1] == "/v1/labels":
            assert self.may_go.wait(60)


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> Iterator[StoppedLoop]:
    stopped = StoppedLoop()
    logger, answer = logging.getLogger(guard.__name__), guard.Guard.__call__

    async def begin(self: guard.Guard, scope: Scope, receive: Receive, send: Send) -> None:
        stopped.steps.append(f"began {scope.get('path')}")
        await answer(self, scope, receive, send)

    monkeypatch.setattr(guard.Guard, "__call__", begin)
    logger.addHandler(stopped)
    before = logger.level
    logger.setLevel(logging.INFO)
    yield stopped
    stopped.may_go.set()
    logger.setLevel(before)
    logger.removeHandler(stopped)


@pytest.mark.parametrize(
    ("others", "target"),
    [
        ("photos", b"GET /healthz"),
        ("photos", b"HEAD /healthz"),
        ("photos", b"GET /healthz?from=probe"),
        ("photos", b"GET http://localhost/healthz"),
        ("forms", b"GET /healthz"),
        ("bodies that follow", b"GET /healthz"),
        ("pages", b"GET /healthz"),
        ("pipelined pages", b"GET /healthz"),
    ],
)
def test_h30_a_burst_does_not_keep_liveness_waiting(
    held_recognizer: ExpressionRecognizer, stopped: StoppedLoop, others: str, target: bytes
) -> None:
    """All arrive while the loop stands still, liveness last: it is answered among the first."""
    limits = ServerLimits(workers=1, waiting=2, answer_s=60)
    page = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"
    sent = {
        "photos": HEAD + b"Content-Length: %d\r\n\r\n" % len(png()) + png(),
        "forms": HEAD + b"Content-Type: multipart/form-data; boundary=----boundary\r\n"
        b"Content-Length: %d\r\n\r\n" % len(FORM) + FORM,
        "bodies that follow": HEAD + b"Content-Length: 9999\r\n\r\n",
        "pages": page,
        "pipelined pages": page * 10,
    }[others]
    with run_server(held_recognizer, limits) as server, ExitStack() as stack:
        stack.enter_context(server.connect()).sendall(
            b"GET /v1/labels HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )
        until(lambda: stopped.steps[-1:] == ["answered /v1/labels"])
        stopped.steps.clear()
        for _ in range(300):
            stack.enter_context(server.connect()).sendall(sent)
        health = stack.enter_context(server.connect())
        health.sendall(target + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        stopped.may_go.set()
        received = bytearray()
        read_all(health, received)
        assert received.startswith(b"HTTP/1.1 200")
        assert stopped.steps.index("answered /healthz") < 30


def test_a_request_that_arrives_while_the_server_stops_is_answered(
    recognizer: ExpressionRecognizer,
) -> None:
    """Its connection was accepted before."""
    with ExitStack() as stack:
        with run_server(recognizer) as server:
            endpoint = stack.enter_context(server.connect())
            until(lambda: server.ask("GET", "/healthz").status == 200)  # so that it is accepted
            late = threading.Timer(
                0.15, endpoint.sendall, [HEAD + b"Content-Length: %d\r\n\r\n" % len(png()) + png()]
            )
            late.start()
        late.join()
        received = bytearray()
        read_all(endpoint, received)
    assert received.startswith(b"HTTP/1.1 200")


def test_all_bodies_together_are_bounded(recognizer: ExpressionRecognizer) -> None:
    limits = ServerLimits(buffered_bytes=3000, answer_s=60)
    with run_server(recognizer, limits) as server, server.connect() as endpoint:
        endpoint.sendall(HEAD + b"Content-Length: 5000\r\n\r\n" + bytes(2900))
        until(lambda: server.post(bytes(200)).status == 503)
        endpoint.close()
        until(lambda: server.post(png()).status == 200)


def test_pipelined_requests_are_answered_in_order(server: RunningServer) -> None:
    paths = ["/healthz", "/nothing", "/v1/labels"] * 10
    requests = [f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() for path in paths]
    last = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    received = server.send_raw(b"".join(requests) + last)
    statuses = re.findall(rb"HTTP/1.1 (\d+)", received)
    assert statuses == [b"200", b"404", b"200"] * 10 + [b"200"]


def test_a_bug_in_one_connection_keeps_no_other_waiting(
    recognizer: ExpressionRecognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They stand in one line."""
    handle = H11Protocol.handle_events

    def break_some(self: H11Protocol) -> None:
        if b"GET /break" in self.conn.trailing_data[0]:
            raise RuntimeError("a bug")
        handle(self)

    monkeypatch.setattr(H11Protocol, "handle_events", break_some)
    get = b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with run_server(recognizer) as server, ExitStack() as stack:
        endpoints = []
        for number in range(40):
            endpoints.append(stack.enter_context(server.connect()))
            endpoints[-1].sendall(get % (b"/break" if number % 2 else b"/v1/labels"))
        for number, endpoint in enumerate(endpoints):
            received = bytearray()
            read_all(endpoint, received)
            assert received.startswith(b"HTTP/1.1 200") == (number % 2 == 0)


def test_stopping_answers_a_burst_that_has_just_arrived(
    recognizer: ExpressionRecognizer, stopped: StoppedLoop
) -> None:
    """Its connections were accepted before; the loop sees the requests and the stop together."""
    get = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with ExitStack() as stack:
        with run_server(recognizer) as server:
            endpoints = [stack.enter_context(server.connect()) for _ in range(300)]
            stack.enter_context(server.connect()).sendall(get % b"/v1/labels")
            until(lambda: stopped.steps[-1:] == ["answered /v1/labels"])
            for endpoint in endpoints:
                endpoint.sendall(get % b"/v1/models")
            threading.Timer(0.5, stopped.may_go.set).start()  # it is stopping by then
        for endpoint in endpoints:
            received = bytearray()
            read_all(endpoint, received)
            assert received.startswith(b"HTTP/1.1 200")


def test_stopping_answers_what_was_accepted(
    held: HeldDetector, held_recognizer: ExpressionRecognizer
) -> None:
    with ThreadPoolExecutor(3) as pool:
        with run_server(held_recognizer, SHORT) as server:
            accepted = [pool.submit(server.post, png()) for _ in range(3)]
            until(lambda: server.metric("work_admitted") == 3)
            threading.Timer(0.5, held.may_go.set).start()  # it is stopping by then
        assert [one.result().status for one in accepted] == [200, 200, 200]


def test_h25_not_ready_until_the_networks_have_run(
    tiny_model: object, held: HeldDetector, held_recognizer: ExpressionRecognizer
) -> None:
    held.n_images = 0  # the warm-up is held as well
    limits = replace(SHORT, answer_s=0.2)
    with run_server(held_recognizer, limits, wait=False) as server:
        early = server.post(png())
        assert (early.status, early.json["code"]) == (503, "not_ready")
        assert "retry-after" in early.headers
        assert server.ask("GET", "/readyz").status == 503
        assert server.ask("GET", "/healthz").status == 200
        held.may_go.set()
        until(lambda: server.ask("GET", "/readyz").status == 200)


def test_a_request_that_comes_while_the_server_starts_is_answered_when_it_has(
    tiny_model: object, held: HeldDetector, held_recognizer: ExpressionRecognizer
) -> None:
    held.n_images = 0  # the warm-up is held as well
    with run_server(held_recognizer, SHORT, wait=False) as server, ThreadPoolExecutor(1) as pool:
        early = pool.submit(server.post, png())
        until(lambda: held.n_images == 1)
        assert server.ask("GET", "/readyz").status == 503
        assert not early.done()
        held.may_go.set()
        assert early.result().status == 200


def test_an_aborted_connection_does_no_harm(server: RunningServer) -> None:
    linger = struct.pack("ii", 1, 0)  # closing sends a reset
    for _ in range(20):
        with server.connect() as endpoint:
            endpoint.setsockopt(1, 13, linger)
            endpoint.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(png()) + png())
    assert server.post(png()).status == 200


@pytest.mark.parametrize("name", ["body_bytes", "workers", "waiting", "answer_s"])
def test_limits_are_positive(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        ServerLimits(**{name: 0})
