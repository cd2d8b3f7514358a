"""Releasing a model file: its digest is written, and noise does not replace a file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import keras
import pytest

from facial_expressions.architectures.registry import build_architecture
from facial_expressions.inference.onnx_bytes import seal_model
from facial_expressions.labels import FER2013, PEOPLE
from facial_expressions.model_metadata import Head
from facial_expressions.training.onnx_graph import build_onnx
from scripts import release_model
from tests.tiny_model import metadata_of


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return build_architecture("tiny_for_tests", (48, 48, 1), 7)


def _file(
    folder: Path, network: keras.Model, accuracy: float, name: str = "tiny", nll: float = 1.0
) -> Path:
    figures = {"validation_accuracy": accuracy, "validation_nll": nll}
    head = Head("fer2013", FER2013, figures=figures)
    content = build_onnx(network, metadata_of(head, name=name))
    path = folder / f"{accuracy}-{nll}.onnx"
    path.write_bytes(seal_model(content.SerializeToString()))
    return path


def test_a_release_is_copied_with_its_digest(tmp_path: Path, network: keras.Model) -> None:
    file, models = _file(tmp_path, network, 0.6), tmp_path / "models"
    assert release_model.main([str(file), "--summary", "Small."], models) == 0
    index = json.loads((models / "index.json").read_text())
    assert index["default"] == "tiny"
    assert index["models"]["tiny"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert index["models"]["tiny"]["labels"] == "fer2013"
    assert index["models"]["tiny"]["bytes"] == file.stat().st_size
    assert (models / "tiny.onnx").read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("accuracy", "nll", "replaced"),
    [
        (0.606, 1.0, False),
        (0.608, 1.0, True),
        (0.5, 1.0, False),
        (0.601, 0.98, True),  # as many right, and a clearly higher likelihood
        (0.601, 0.99, False),
        (0.599, 0.9, False),
    ],
)
def test_only_a_gain_beyond_noise_replaces_a_file(
    accuracy: float, nll: float, replaced: bool, tmp_path: Path, network: keras.Model
) -> None:
    models = tmp_path / "models"
    release_model.main([str(_file(tmp_path, network, 0.6)), "--summary", "Old."], models)
    new = _file(tmp_path, network, accuracy, nll=nll)
    code = release_model.main([str(new), "--summary", "New."], models)
    assert code == (0 if replaced else 1)
    assert ((models / "tiny.onnx").read_bytes() == new.read_bytes()) is replaced


@pytest.mark.parametrize(
    ("accuracy", "nll", "replaced"), [(0.6, 0.9, True), (0.6, 1.1, False), (0.598, 0.9, False)]
)
def test_a_recalibrated_file_has_the_same_answers_and_a_higher_likelihood(
    accuracy: float, nll: float, replaced: bool, tmp_path: Path, network: keras.Model
) -> None:
    models = tmp_path / "models"
    release_model.main([str(_file(tmp_path, network, 0.6)), "--summary", "Old."], models)
    new = str(_file(tmp_path, network, accuracy, nll=nll))
    code = release_model.main([new, "--summary", "New.", "--recalibrated"], models)
    assert code == (0 if replaced else 1)


@pytest.mark.parametrize(("accuracy", "released"), [(0.598, True), (0.59, False)])
def test_a_variant_goes_with_its_model_and_loses_little_to_it(
    accuracy: float, released: bool, tmp_path: Path, network: keras.Model
) -> None:
    models = tmp_path / "models"
    release_model.main([str(_file(tmp_path, network, 0.6)), "--summary", "Whole."], models)
    small = _file(tmp_path, network, accuracy, "tiny-int8")
    for _ in range(2):  # the second time it replaces itself, with no gain
        code = release_model.main([str(small), "--summary", "8.", "--variant-of", "tiny"], models)
        assert code == (0 if released else 1)
    index = json.loads((models / "index.json").read_text())
    variants = {name: entry.get("variant_of") for name, entry in index["models"].items()}
    assert variants == {"tiny": None} | ({"tiny-int8": "tiny"} if released else {})


def test_a_file_with_a_head_more_replaces_one_whose_answers_it_keeps(
    tmp_path: Path, network: keras.Model
) -> None:
    models = tmp_path / "models"
    release_model.main([str(_file(tmp_path, network, 0.6)), "--summary", "One."], models)
    figures = {"validation_accuracy": 0.6, "validation_nll": 1.0}
    heads = [Head("fer2013", FER2013, figures=figures), Head("people", PEOPLE)]
    both = keras.Model(network.inputs, [network.outputs[0], network.outputs[0]])
    file = tmp_path / "two.onnx"
    content = build_onnx(both, metadata_of(*heads, name="tiny"))
    file.write_bytes(seal_model(content.SerializeToString()))
    command = [str(file), "--summary", "Two."]
    assert release_model.main(command, models) == 1
    assert release_model.main([*command, "--recalibrated"], models) == 0
    index = json.loads((models / "index.json").read_text())
    assert index["models"]["tiny"]["labels"] == "fer2013, people"
