"""The astronaut's face, and a recognizer of a tiny model with the real detector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facial_expressions.inference.recognizer import ExpressionRecognizer, load_recognizer
from tests.media.videos import face_image
from tests.tiny_model import write_tiny_model


@pytest.fixture(scope="session")
def face(astronaut: Path) -> NDArray[np.uint8]:
    return face_image(astronaut)


@pytest.fixture(scope="session")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> ExpressionRecognizer:
    path = write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")
    return load_recognizer(path, threads=1)
