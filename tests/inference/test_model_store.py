"""Shipped models: the index, names and digests."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from facial_expressions.errors import ModelError
from facial_expressions.inference import model_store
from facial_expressions.inference.classifier import load_classifier
from facial_expressions.inference.model_store import (
    MeasuredFigures,
    list_models,
    resolve,
)
from tests.tiny_model import write_tiny_model


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of shipped models with two in it."""
    models: dict[str, dict[str, Any]] = {}
    for name in ("small", "large"):
        content = name.encode()
        (tmp_path / f"{name}.onnx").write_bytes(content)
        models[name] = {
            "file": f"{name}.onnx",
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
            "licence": "MIT",
            "summary": f"The {name} one.",
        }
    (tmp_path / "index.json").write_text(json.dumps({"default": "small", "models": models}))
    monkeypatch.setattr(model_store, "_models_folder", lambda: tmp_path)
    return tmp_path


def test_the_default_comes_first(folder: Path) -> None:
    assert [(model.name, model.is_default) for model in list_models()] == [
        ("small", True),
        ("large", False),
    ]


def test_a_name_is_its_file_and_digest(folder: Path) -> None:
    digest = hashlib.sha256(b"large").hexdigest()
    assert resolve("large") == (folder / "large.onnx", digest)
    assert resolve("default")[0] == folder / "small.onnx"


def test_a_path_is_itself_without_digest(folder: Path) -> None:
    assert resolve("mine.onnx") == (Path("mine.onnx"), None)
    assert resolve(Path("mine")) == (Path("mine"), None)


def test_an_unknown_name_gets_the_nearest_suggested_but_not_applied(folder: Path) -> None:
    with pytest.raises(
        ModelError, match=r"smal: no such model\. Did you mean 'small'\? Choose one of"
    ):
        resolve("smal")


def test_m03_a_shipped_model_opens_only_when_it_is_the_published_file(folder: Path) -> None:
    path = write_tiny_model(folder / "small.onnx")
    with pytest.raises(ModelError, match="not the file that was published"):
        load_classifier("small")
    index = json.loads((folder / "index.json").read_text())
    index["models"]["small"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "index.json").write_text(json.dumps(index))
    model_store._read_index.cache_clear()
    assert load_classifier("small").path == path
    path.unlink()
    with pytest.raises(ModelError, match="model file not found"):
        load_classifier("small")


def test_figures_and_labels_are_those_of_the_index(folder: Path) -> None:
    index = json.loads((folder / "index.json").read_text())
    figures = MeasuredFigures("x", 9, accuracy=0.5, macro_f1=0.4, ece=0.1, ms_per_crop=2.0)
    index["models"]["large"] |= {"labels": "fer2013", "measured": asdict(figures)}
    (folder / "index.json").write_text(json.dumps(index))
    small, large = list_models()
    assert (small.labels, small.measured) == ("", None)
    assert (large.labels, large.measured) == ("fer2013", figures)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"default": "x", "models": {"x": {}}}'])
def test_a_damaged_index_is_one_clear_error(folder: Path, text: str) -> None:
    (folder / "index.json").write_text(text)
    with pytest.raises(ModelError, match="Install the package again"):
        list_models()


def test_the_models_that_ship_are_whole() -> None:
    models = list_models()
    assert [model.is_default for model in models].count(True) == 1
    for model in models:
        content = model.path.read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (model.sha256, model.n_bytes)
        assert model.licence
        assert model.summary
