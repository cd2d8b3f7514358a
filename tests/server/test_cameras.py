"""Sessions of cameras: the same faces as without, fewer full searches; bounded, forgotten."""

from __future__ import annotations

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.inference.contracts import Detection
from facial_expressions.inference.detectors.centerface import CenterFaceDetector
from facial_expressions.inference.recognizer import ExpressionRecognizer
from facial_expressions.results import Box
from facial_expressions.server.cameras import CameraSessions
from tests.server.client import RunningServer, png

Pixels = NDArray[np.uint8]
KEY = "0123456789abcdef-A_b"


class Counting:
    """Finds one face, always at the same place, and counts how it was asked."""

    framing = CenterFaceDetector.framing

    def __init__(self) -> None:
        self.n_full, self.n_near = 0, 0

    def detect(self, image: Pixels) -> list[Detection]:
        self.n_full += 1
        return [Detection(Box(10, 10, 40, 50), 0.9)]

    def detect_near(self, image: Pixels, faces: Sequence[Box]) -> list[Detection]:
        self.n_near += 1
        return [Detection(Box(10, 10, 40, 50), 0.9)]


@pytest.fixture
def detector() -> Counting:
    return Counting()


@pytest.fixture
def now() -> list[float]:
    return [100.0]


@pytest.fixture
def cameras(
    recognizer: ExpressionRecognizer, detector: Counting, now: list[float]
) -> CameraSessions:
    own = ExpressionRecognizer(recognizer.classifier, detector)
    return CameraSessions(own, clock=lambda: now[0])


IMAGE: Pixels = np.zeros((60, 80, 3), np.uint8)


def test_frames_of_a_session_are_searched_near_its_faces(
    cameras: CameraSessions, detector: Counting, now: list[float]
) -> None:
    for _ in range(25):
        assert len(cameras.recognize(KEY, IMAGE)) == 1
        now[0] += 0.04
    assert (detector.n_full, detector.n_near) == (2, 23)


def test_sessions_know_nothing_of_one_another(cameras: CameraSessions, detector: Counting) -> None:
    cameras.recognize(KEY, IMAGE)
    cameras.recognize(KEY[::-1], IMAGE)
    assert (detector.n_full, detector.n_near) == (2, 0)


def test_a_session_is_forgotten_after_ten_seconds(
    cameras: CameraSessions, now: list[float]
) -> None:
    cameras.recognize("first", IMAGE)
    now[0] += 6
    cameras.recognize("second", IMAGE)
    now[0] += 5
    cameras.recognize("third", IMAGE)
    assert len(cameras._sessions) == 2


def test_a_hundred_sessions_are_kept_at_most(cameras: CameraSessions) -> None:
    for number in range(150):
        cameras.recognize(f"session-{number}", IMAGE)
    assert len(cameras._sessions) == 100


def test_frames_of_many_threads_are_all_answered(cameras: CameraSessions) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: cameras.recognize(f"{n % 3}", IMAGE), range(60)))
    assert [len(one) for one in answers] == [1] * 60


def test_a_session_answers_as_a_request_without_one(server: RunningServer, portrait: bytes) -> None:
    """The second frame is the first, moved by three pixels."""
    with Image.open(io.BytesIO(portrait)) as image:
        moved = io.BytesIO()
        Image.fromarray(np.roll(np.asarray(image.convert("RGB")), 3, axis=1)).save(moved, "PNG")
    for frame in (portrait, moved.getvalue()):
        answer = server.post(frame, **{"X-Camera-Session": KEY})
        (face,), (expected,) = answer.json["faces"], server.post(frame).json["faces"]
        assert answer.json.keys() == server.post(frame).json.keys()
        assert face.keys() == expected.keys()
        assert face["box"] == pytest.approx(expected["box"], abs=12)


@pytest.mark.parametrize("key", ["", "short", "a" * 65, "0123456789abcde/", "0123456789 abcdef"])
def test_a_key_that_is_none_is_refused(server: RunningServer, key: str) -> None:
    answer = server.post(png(60, 60), **{"X-Camera-Session": key})
    assert (answer.status, answer.json["code"]) == (400, "bad_session")


def test_an_explanation_is_given_with_a_session_too(
    mapped_server: RunningServer, portrait: bytes
) -> None:
    answer = mapped_server.ask(
        "POST", "/v1/recognize?explain=true", portrait, {"X-Camera-Session": KEY}
    )
    assert "explanation" in answer.json["faces"][0]
