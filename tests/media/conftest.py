"""The astronaut's face, a recognizer of a tiny model with the real detector, a camera's clock."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facial_expressions.inference.recognizer import ExpressionRecognizer, load_recognizer
from facial_expressions.media import camera
from tests.media.videos import face_image
from tests.tiny_model import write_tiny_model


@pytest.fixture(scope="session")
def face(astronaut: Path) -> NDArray[np.uint8]:
    return face_image(astronaut)


@pytest.fixture(scope="session")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> ExpressionRecognizer:
    path = write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")
    return load_recognizer(path, threads=1)


class Clock:
    """A clock in place of the machine's: it moves by what is slept, and by a step at each look.

    Attributes:
        now_s: What it shows.
        step_s: How far a look at it moves it.
    """

    def __init__(self) -> None:
        self.now_s = 100.0
        self.step_s = 0.0
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        with self._lock:
            self.now_s += self.step_s
            return self.now_s

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.now_s += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that cameras go by; their queue holds every frame, however late it is taken."""
    clock = Clock()
    monkeypatch.setattr(camera, "time", clock)
    monkeypatch.setattr(camera, "_QUEUE", None)
    return clock
