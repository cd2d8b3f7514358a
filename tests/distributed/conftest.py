"""Lists of names that stand for images, and rows read back."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_model import write_tiny_model

Rows = list[dict[str, Any]]


@pytest.fixture
def write_list(tmp_path: Path) -> Callable[[Sequence[str]], Path]:
    """Write a list of paths."""

    def write(names: Sequence[str]) -> Path:
        path = tmp_path / "names.txt"
        path.write_text("".join(f"{name}\n" for name in names))
        return path

    return write


@pytest.fixture
def read_rows() -> Callable[[Path], Rows]:
    """Read the rows of all shards, in their order."""

    def read(folder: Path) -> Rows:
        shards = sorted(folder.glob("rows-*.jsonl"))
        return [json.loads(line) for path in shards for line in path.read_bytes().splitlines()]

    return read


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")
