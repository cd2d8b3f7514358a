"""The API over real HTTP: answers, errors in words and codes, headers on every answer."""

from __future__ import annotations

import io
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from PIL import Image

from facial_expressions.cli.main import main
from facial_expressions.images import load_image
from facial_expressions.inference.recognizer import ExpressionRecognizer
from facial_expressions.rows import IMAGE, rounded
from facial_expressions.server import answers
from facial_expressions.server.app import create_app
from facial_expressions.server.connections import open_listener
from tests.server.client import BOUNDARY, Answer, RunningServer, form, png

FORM = f"multipart/form-data; boundary={BOUNDARY}"
FILE = 'form-data; name="image"; filename="a.png"'
ROUTES = ["/", "/docs", "/style.css", "/colors.css", "/app.js", "/icon.svg", "/astronaut.jpg",
          "/openapi.json", "/healthz",
          "/readyz", "/metrics", "/v1/models", "/v1/labels", "/nothing-here"]  # fmt: skip


def test_recognize_answers_as_predict_does(
    server: RunningServer,
    tiny_model: Path,
    portrait: bytes,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = server.post(portrait, **{"Content-Type": "image/png"})
    assert answer.status == 200
    (tmp_path / "a.png").write_bytes(portrait)
    words = [str(tmp_path / "a.png"), "--model", str(tiny_model), "--threads", "1"]
    main(["predict", *words, "--format", "json"])
    expected = json.loads(capsys.readouterr().out)
    assert len(expected["faces"]) == 1
    assert answer.json == {**expected, "source": "upload"}
    answers.ImageAnswer.model_validate(answer.json)


def test_a_form_is_answered_as_the_raw_image(server: RunningServer, portrait: bytes) -> None:
    body = form(('form-data; name="note"', b"hello"), (FILE, portrait))
    assert server.post(body, **{"Content-Type": FORM}).json == server.post(portrait).json


def test_a_chunked_body_is_answered_as_a_whole_one(server: RunningServer, portrait: bytes) -> None:
    chunks = (portrait[i : i + 5000] for i in range(0, len(portrait), 5000))
    assert server.ask("POST", "/v1/recognize", chunks).json == server.post(portrait).json


def test_an_image_without_a_face_has_an_empty_list(server: RunningServer) -> None:
    answer = server.post(png(80, 60))
    assert (answer.status, answer.json["faces"]) == (200, [])
    assert (answer.json["width"], answer.json["height"]) == (80, 60)


def test_h07_the_kind_of_image_is_told_by_its_content(server: RunningServer) -> None:
    assert server.post(png(), **{"Content-Type": "text/plain"}).status == 200


def test_classify_answers_as_the_classifier_does(
    server: RunningServer, recognizer: ExpressionRecognizer, astronaut: Path
) -> None:
    crop = Image.open(astronaut).convert("RGB").crop((160, 40, 290, 170))
    stream = io.BytesIO()
    crop.save(stream, "PNG")
    answer = server.ask("POST", "/v1/classify", stream.getvalue())
    answers.CropAnswer.model_validate(answer.json)
    expected = recognizer.classifier.predict_proba(np.asarray(crop)[None])[0]
    received = answer.json["probabilities"]
    assert list(received) == list(recognizer.classifier.labels)
    np.testing.assert_allclose(list(received.values()), expected, atol=6e-7)
    best = int(expected.argmax())
    assert answer.json["expression"] == recognizer.classifier.labels.names[best]
    assert answer.json["uncertain"] == (expected[best] < 0.4)


def test_twenty_clients_at_once_get_the_answers_of_one(
    server: RunningServer, portrait: bytes
) -> None:
    plain = png()
    expected = {body: server.post(body).json for body in (portrait, plain)}
    bodies = [portrait, plain] * 10
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(server.post, bodies))
    assert [answer.json for answer in answers] == [expected[body] for body in bodies]


def test_models_and_labels_describe_what_is_served(server: RunningServer) -> None:
    models, labels = (server.ask("GET", f"/v1/{name}").json for name in ("models", "labels"))
    answers.ModelsAnswer.model_validate(models)
    answers.LabelsAnswer.model_validate(labels)
    assert [model["name"] for model in models["models"]] == ["tiny"]
    assert labels["labels"] == models["models"][0]["labels"]
    assert labels["labels"][3] == "happy"


def test_health_and_readiness(server: RunningServer) -> None:
    assert server.ask("GET", "/healthz").json == {"status": "alive"}
    assert server.ask("GET", "/readyz").json == {"status": "ready"}


def test_metrics_count_answers_by_outcome(server: RunningServer) -> None:
    ok = 'requests_total{outcome="ok",route="/v1/recognize"}'
    rejected = 'requests_total{outcome="rejected",route="/v1/recognize"}'
    before = (server.metric(ok), server.metric(rejected))
    server.post(png())
    server.post(b"")
    server.post(b"no image")
    assert (server.metric(ok) - before[0], server.metric(rejected) - before[1]) == (1, 2)


def test_openapi_lists_every_address_of_the_api(server: RunningServer) -> None:
    document = server.ask("GET", "/openapi.json").json
    assert set(document["paths"]) == {
        "/v1/recognize", "/v1/classify", "/v1/models", "/v1/labels", "/healthz", "/readyz",
        "/metrics",
    }  # fmt: skip
    body = document["paths"]["/v1/recognize"]["post"]["requestBody"]
    assert set(body["content"]) == {"image/*", "multipart/form-data"}


def bomb() -> bytes:
    return png(8000, 8000, "1")  # 64 megapixels in a few kilobytes


IMAGE_ERRORS = {
    "H02-empty": (b"", {}, 422, "damaged_image"),
    "text": (b"hello, this is no image", {}, 415, "unsupported_format"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", {}, 415, "unsupported_format"),
    "heic-sequence": (b"\0\0\0\x18ftyphevc" + bytes(40), {}, 415, "unsupported_format"),
    "cut-short": (png()[:60], {}, 422, "damaged_image"),
    "garbage-after-magic": (b"\xff\xd8\xff" + bytes(500), {}, 422, "damaged_image"),
    "H05-too-many-bytes": (bytes(10 * 1024 * 1024 + 1), {}, 413, "too_many_bytes"),
    "too-many-pixels": (bomb(), {}, 413, "too_many_pixels"),
    "H08-no-boundary": (b"x", {"Content-Type": "multipart/form-data"}, 400, "malformed_form"),
    "H08-wrong-boundary": (
        form((FILE, png())), {"Content-Type": "multipart/form-data; boundary=other"}, 400,
        "malformed_form",
    ),
    "H08-no-file": (form(), {"Content-Type": FORM}, 400, "malformed_form"),
    "H08-field-instead-of-file": (
        form(('form-data; name="image"', png())), {"Content-Type": FORM}, 400, "malformed_form"
    ),
    "H08-two-files": (
        form((FILE, png()), (FILE, png())), {"Content-Type": FORM}, 400, "malformed_form"
    ),
    "H08-ten-thousand-fields": (
        form(*[('form-data; name="a"', b"1")] * 10_000, (FILE, png())), {"Content-Type": FORM},
        400, "malformed_form",
    ),
    "large-field": (
        form(('form-data; name="a"', bytes(65 * 1024)), (FILE, png())), {"Content-Type": FORM},
        400, "malformed_form",
    ),
    "H12-part-headers": (
        form((FILE + "\r\n" + "\r\n".join(f"x-{i}: 1" for i in range(10_000)), png())),
        {"Content-Type": FORM}, 400, "malformed_form",
    ),
    "H13-preamble": (b"x" * 100_000 + form((FILE, png())), {"Content-Type": FORM}, 400,
                     "malformed_form"),
    "form-cut-short": (form((FILE, png()))[:-12], {"Content-Type": FORM}, 400, "malformed_form"),
    "H23-gzip": (png(), {"Content-Encoding": "gzip"}, 415, "encoded_body"),
    "H21-foreign-origin": (png(), {"Origin": "http://evil.example"}, 403, "foreign_origin"),
    "null-origin": (png(), {"Origin": "null"}, 403, "foreign_origin"),
    "H21-cross-site": (png(), {"Sec-Fetch-Site": "cross-site"}, 403, "foreign_origin"),
    "H21-foreign-host": (png(), {"Host": "evil.example"}, 421, "unknown_host"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"), IMAGE_ERRORS.values(), ids=IMAGE_ERRORS.keys()
)
def test_a_bad_image_is_answered_by_its_code(
    server: RunningServer, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answer = server.post(body, **headers)
    assert (answer.status, answer.json["code"]) == (status, code)
    check_error(answer)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/recognize", 405),
        ("TRACE", "/", 405),
        ("CONNECT", "/", 405),
        ("POST", "/", 405),
        ("GET", "/nothing-here", 404),
        ("GET", "/../../etc/passwd", 404),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404),
        ("GET", "//style.css", 404),
        ("GET", "/style.css%00", 404),
        ("GET", "/static/app.js", 404),
        ("POST", "/v1/recognize?min_confidence=NaN", 400),
    ],
)
def test_h26_what_is_not_offered_is_refused(
    server: RunningServer, method: str, path: str, status: int
) -> None:
    answer = server.ask(method, path)
    assert answer.status == status
    check_error(answer)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/v1/recognize", "POST"), ("PUT", "/healthz", "GET"), ("TRACE", "/v1/labels", "GET")],
)
def test_h01_a_wrong_method_is_told_the_right_one(
    server: RunningServer, method: str, path: str, allowed: str
) -> None:
    answer = server.ask(method, path)
    assert (answer.status, answer.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/v1/models", "/metrics"])
def test_head_is_get_without_its_body(server: RunningServer, path: str) -> None:
    answer = server.ask("HEAD", path)
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["content-length"]) > 0
    assert server.ask("HEAD", "/v1/recognize").status == 405


def test_h27_a_web_socket_is_refused(server: RunningServer) -> None:
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
               "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}  # fmt: skip
    assert server.ask("GET", "/", headers=headers).status == 426


def test_a_face_is_explained_when_asked_for(
    mapped_server: RunningServer, mapped_recognizer: ExpressionRecognizer, portrait: bytes
) -> None:
    answer = mapped_server.ask("POST", "/v1/recognize?explain=true", portrait)
    assert answer.status == 200
    result = next(mapped_recognizer.recognize_rows([portrait], explain=True))
    expected = rounded(IMAGE, result.to_dict())
    assert answer.json == {**expected, "source": "upload"}
    answers.ImageAnswer.model_validate(answer.json)
    plain = mapped_server.ask("POST", "/v1/recognize?explain=false", portrait).json["faces"]
    assert "explanation" not in plain[0]


def test_an_image_without_a_face_has_nothing_to_explain(mapped_server: RunningServer) -> None:
    answer = mapped_server.ask("POST", "/v1/recognize?explain=true", png())
    assert (answer.status, answer.json["faces"]) == (200, [])


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("explain=yes", "bad_parameter"),
        ("explain=true&explain=true", "bad_parameter"),
        ("explain=true", "no_explanation"),
    ],
)
def test_a_wish_to_explain_that_cannot_be_met_is_refused(
    server: RunningServer, query: str, code: str
) -> None:
    """The model of this server has no maps."""
    answer = server.ask("POST", f"/v1/recognize?{query}", png())
    assert (answer.status, answer.json["code"]) == (400, code)


def test_models_say_whether_they_explain(
    server: RunningServer, mapped_server: RunningServer
) -> None:
    answers = [one.ask("GET", "/v1/models").json["models"][0] for one in (server, mapped_server)]
    assert [one["explains"] for one in answers] == [False, True]


def test_an_unknown_parameter_is_named_only_when_it_is_plain(server: RunningServer) -> None:
    plain = server.ask("POST", "/v1/recognize?page=1", png()).json["message"]
    odd = server.ask("POST", "/v1/recognize?%3Cscript%3E=1", png()).json["message"]
    assert "page" in plain
    assert "script" not in odd


def test_the_own_page_may_ask(server: RunningServer) -> None:
    headers = {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}
    assert server.post(png(), **headers).status == 200


def test_the_file_name_of_a_form_is_ignored(server: RunningServer) -> None:
    name = 'form-data; name="image"; filename="../../\u202e<b>naughty"'
    answer = server.post(form((name, png())), **{"Content-Type": FORM})
    assert answer.status == 200
    assert b"naughty" not in answer.body


def test_a_file_of_the_page_is_the_same_after_an_odd_request(server: RunningServer) -> None:
    """One that brings a body, for which its connection is closed."""
    assert server.ask("GET", "/style.css", b"body").headers["connection"] == "close"
    assert "connection" not in server.ask("GET", "/style.css").headers


def test_h15_a_range_is_ignored(server: RunningServer) -> None:
    ranges = "bytes=" + ",".join(f"{i}-{i}" for i in range(1500))
    whole = server.ask("GET", "/app.js")
    assert server.ask("GET", "/app.js", headers={"Range": ranges}).body == whole.body


@pytest.mark.parametrize("path", ROUTES)
def test_every_answer_has_the_security_headers(server: RunningServer, path: str) -> None:
    check_headers(server.ask("GET", path))


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),  # the beginning of TLS
        (b"GET / HTTP/9.9\r\nHost: localhost\r\nConnection: close", 400),
        (b"GET / HTTP/1.1\r\nno colon", 400),
        (b"GET /\0 HTTP/1.1\r\nHost: localhost", 400),
        (b"POST /v1/recognize HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: " + b"a" * 20_000, 431),
    ],
    ids=["H17-tls", "H17-version", "H16-no-colon", "H17-nul", "H03-negative", "H16-long"],
)
def test_what_is_no_http_is_refused(server: RunningServer, head: bytes, status: int) -> None:
    received = server.send_raw(head + b"\r\n\r\n")
    allowed = {status, 400}  # h11 refuses a long head itself when it comes in pieces
    assert received[:9] == b"HTTP/1.1 "
    assert int(received[9:12]) in allowed
    assert b"content-security-policy" in received.lower()


@pytest.mark.parametrize(("address", "script"), [("/", "main.js"), ("/docs", "docs.js")])
def test_a_page_names_no_host_and_no_address_from_the_root_and_has_no_inline_code(
    server: RunningServer, address: str, script: str
) -> None:
    """So it works under a prefix too; the files that its files name are followed."""
    seen = {address: server.ask("GET", address).body.decode()}
    while new := {
        f"/{name}"
        for text in seen.values()
        for name in re.findall(r'(?:src=|href=|from |fetch\()"(?:\./)?([\w.]+\.(?:js|css))"', text)
    } - set(seen):
        seen |= {name: server.ask("GET", name).body.decode() for name in new}
    assert {f"/{script}", "/style.css", "/colors.css", "/dom.js"} <= set(seen)
    for text in seen.values():
        assert not re.search(r"https?:", text)
        assert not re.search(r"""(?:src|href|from|fetch\()[ =]*["'`]/""", text)
    page = seen[address]
    assert " style=" not in page
    assert " onclick=" not in page
    assert page.count("<script") == page.count(f'<script type="module" src="{script}"></script>')
    assert page.count("<script") == 1


def test_the_page_tells_the_law(server: RunningServer) -> None:
    assert b"Art. 5(1)(f)" in server.ask("GET", "/").body


def test_probabilities_that_are_none_are_a_bug_not_a_label(
    server: RunningServer, recognizer: ExpressionRecognizer, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """Whatever goes wrong inside is a 500 that gives nothing away; the log has the trace."""

    def fail(image: object) -> object:
        raise ZeroDivisionError(f"secret in {load_image.__module__}")

    monkeypatch.setattr(type(recognizer), "recognize", lambda self, image: fail(image))
    answer = server.post(png())
    assert (answer.status, answer.json["code"]) == (500, "internal_error")
    assert b"secret" not in answer.body
    check_error(answer)
    assert answer.json["request_id"] in caplog.text
    assert "ZeroDivisionError: secret" in caplog.text


def check_headers(answer: Answer) -> None:
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "camera=(self)" in answer.headers["permissions-policy"]
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "access-control-allow-origin" not in answer.headers
    assert "server" not in answer.headers


def check_error(answer: Answer) -> None:
    check_headers(answer)
    body = json.loads(answer.body)
    assert list(body) == ["code", "message", "request_id"]
    assert body["request_id"] == answer.headers["x-request-id"] != ""
    for leak in ("/", "\\", "site-packages", "Traceback", "BytesIO", "0x"):
        text = body["message"].replace("/openapi.json", "").replace("/v1/recognize", "")
        assert leak not in text


def test_a_mounted_application_starts_with_its_first_request(
    recognizer: ExpressionRecognizer, portrait: bytes
) -> None:
    """The lifespan of an application that is mounted in another one is never run."""
    outer = FastAPI()
    outer.mount("/faces", create_app(recognizer))
    server = uvicorn.Server(uvicorn.Config(outer, log_level="warning"))
    with open_listener("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        running = RunningServer(listener.getsockname()[1])
        try:
            with ThreadPoolExecutor(3) as pool:
                asked = ["/faces/v1/recognize"] * 3
                answers = list(pool.map(lambda path: running.ask("POST", path, portrait), asked))
            ready = running.ask("GET", "/faces/readyz")
        finally:
            server.should_exit = True
            thread.join(20)
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert len(answers[0].json["faces"]) == 1
    assert ready.json == {"status": "ready"}
