"""A tiny model, and a recognizer of it with the real detector."""

from __future__ import annotations

from pathlib import Path

import pytest

from facial_expressions.inference.recognizer import ExpressionRecognizer, load_recognizer
from tests.tiny_model import write_tiny_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="session")
def recognizer(tiny_model: Path) -> ExpressionRecognizer:
    return load_recognizer(tiny_model, threads=1)
