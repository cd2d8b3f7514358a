"""A tiny model for the rows that need one."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="tiny models are written with the package onnx")

from tests.tiny_model import write_tiny_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")
