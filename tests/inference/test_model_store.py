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
from facial_expressions.inference.model_store import (
    MeasuredFigures,
    ResolvedModel,
    files_digest,
    list_models,
    resolve,
    verify,
)


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
    assert resolve("large") == ResolvedModel(folder / "large.onnx", digest)
    assert resolve("default").path == folder / "small.onnx"


def test_a_path_is_itself_without_digest(folder: Path) -> None:
    assert resolve("mine.onnx") == ResolvedModel(Path("mine.onnx"), None)
    assert resolve(Path("mine")) == ResolvedModel(Path("mine"), None)


def test_an_unknown_name_gets_the_nearest_suggested_but_not_applied(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"received 'smal'; did you mean 'small'\? choose one of"):
        resolve("smal")


def test_m03_verify_accepts_the_published_file_and_refuses_any_other(folder: Path) -> None:
    small = list_models()[0]
    verify(small)
    small.path.write_bytes(b"smaLl")
    with pytest.raises(ModelError, match="not the file that was published"):
        verify(small)
    small.path.unlink()
    with pytest.raises(ModelError, match="no model file"):
        verify(small)


def test_figures_and_label_set_are_those_of_the_index(folder: Path) -> None:
    index = json.loads((folder / "index.json").read_text())
    figures = MeasuredFigures("x", 9, accuracy=0.5, macro_f1=0.4, ece=0.1, ms_per_crop=2.0)
    index["models"]["large"] |= {"label_set": "fer2013", "measured": asdict(figures)}
    (folder / "index.json").write_text(json.dumps(index))
    index["models"]["large"]["variant_of"] = "small"
    (folder / "index.json").write_text(json.dumps(index))
    small, large = list_models()
    assert (small.variant_of, large.variant_of) == ("", "small")
    assert (small.label_set, small.measured) == ("", None)
    assert (large.label_set, large.measured) == ("fer2013", figures)


def test_a_digest_of_several_files_is_that_of_their_digests(folder: Path) -> None:
    files = [folder / "small.onnx", folder / "large.onnx"]
    digests = [hashlib.sha256(name).hexdigest() for name in (b"small", b"large")]
    assert files_digest(files[:1]) == digests[0]
    assert files_digest(files) == hashlib.sha256("\n".join(digests).encode()).hexdigest()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"default": "x", "models": {"x": {}}}'])
def test_a_damaged_index_is_one_clear_error(folder: Path, text: str) -> None:
    (folder / "index.json").write_text(text)
    with pytest.raises(ModelError, match="install the package again"):
        list_models()


def test_the_models_that_ship_are_whole() -> None:
    models = list_models()
    assert [model.is_default for model in models].count(True) == 1
    for model in models:
        verify(model)
        assert model.path.stat().st_size == model.n_bytes
        assert model.licence
        assert model.summary
