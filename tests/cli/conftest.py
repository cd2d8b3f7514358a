"""Tiny models for the verbs that need one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny_model import write_mapped_model, write_tiny_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="session")
def mapped_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mapped_model(tmp_path_factory.mktemp("mapped") / "mapped.onnx")
