"""The ensemble: the mean of its members, one classifier to everyone else."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facial_expressions.errors import ImageError, ModelError
from facial_expressions.inference.classifier import ExpressionClassifier, load_classifier
from facial_expressions.inference.contracts import CropClassifier
from facial_expressions.inference.ensemble import EnsembleClassifier
from facial_expressions.inference.model_store import files_digest, list_models, resolve
from facial_expressions.inference.recognizer import load_recognizer
from facial_expressions.labels import FER2013, FERPLUS
from facial_expressions.preprocessing import Preprocessing
from tests.tiny_model import METADATA, tiny_graph, weights

CROPS = np.random.default_rng(3).integers(0, 256, (9, 48, 48), dtype=np.uint8)


def open_tiny(path: Path, *, scale: float = 1.0, **changes: object) -> ExpressionClassifier:
    """Open a tiny model with scaled weights and changed metadata."""
    metadata = replace(METADATA, **changes)  # type: ignore[arg-type]
    size = metadata.preprocessing.size
    matrix = weights(metadata.labels, size=size) * np.float32(scale)
    path.write_bytes(tiny_graph(metadata, matrix=matrix, size=size).SerializeToString())
    return ExpressionClassifier.load(path, threads=1)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[ExpressionClassifier, ExpressionClassifier]:
    """Two models of different weights; the second wants 64 pixels and is surer of itself."""
    return (
        open_tiny(tmp_path / "a.onnx", name="a"),
        open_tiny(
            tmp_path / "b.onnx",
            scale=-0.5,
            name="b",
            uncertain_below=0.6,
            preprocessing=Preprocessing(size=64, mean=0.4),
        ),
    )


def test_answers_are_the_mean_of_the_members(pair: tuple[CropClassifier, CropClassifier]) -> None:
    rows = EnsembleClassifier(pair).predict_proba(CROPS)
    first, second = (member.predict_proba(CROPS) for member in pair)
    assert rows.dtype == np.float32
    assert np.abs(first - second).max() > 0.1
    assert np.allclose(rows, (first + second) / 2, atol=1e-7)


def test_one_member_answers_as_it_does_alone(pair: tuple[CropClassifier, CropClassifier]) -> None:
    alone = pair[0].predict_proba(CROPS)
    assert np.array_equal(EnsembleClassifier(pair[:1]).predict_proba(CROPS), alone)


def test_it_says_what_its_members_have_in_common(
    pair: tuple[CropClassifier, CropClassifier],
) -> None:
    ensemble = EnsembleClassifier(pair)
    metadata = ensemble.metadata
    assert (metadata.name, metadata.architecture) == ("ensemble", "mean of a and b")
    assert ensemble.labels == FER2013
    assert metadata.preprocessing.size == 64
    assert metadata.uncertain_below == pytest.approx(0.5)
    assert metadata.temperature == 1
    assert metadata.licence == "MIT"
    assert [file.name for file in ensemble.files] == ["a.onnx", "b.onnx"]


def test_its_digest_changes_with_any_file(pair: tuple[CropClassifier, CropClassifier]) -> None:
    files = EnsembleClassifier(pair).files
    assert files_digest(files[:1]) == files_digest(pair[0].files)
    assert len({files_digest(files), files_digest(files[::-1]), files_digest(files[:1])}) == 3


def test_a_copy_by_pickle_answers_the_same(pair: tuple[CropClassifier, CropClassifier]) -> None:
    ensemble = EnsembleClassifier(pair)
    copy = pickle.loads(pickle.dumps(ensemble))
    assert np.array_equal(copy.predict_proba(CROPS), ensemble.predict_proba(CROPS))
    assert repr(copy) == "EnsembleClassifier(['a', 'b'], labels='fer2013')"


def test_no_crops_and_wrong_crops_are_what_they_are_to_a_member(
    pair: tuple[CropClassifier, CropClassifier],
) -> None:
    ensemble = EnsembleClassifier(pair)
    assert ensemble.predict_proba(CROPS[:0]).shape == (0, 7)
    with pytest.raises(ImageError, match="face crops are uint8 arrays"):
        ensemble.predict_proba(CROPS[0])
    with pytest.raises(ValueError, match="received 0"):
        ensemble.predict_proba(CROPS, batch_size=0)


def test_members_of_other_labels_are_refused(
    pair: tuple[CropClassifier, CropClassifier], tmp_path: Path
) -> None:
    other = open_tiny(tmp_path / "c.onnx", name="c", labels=FERPLUS)
    with pytest.raises(ModelError, match=r"one label set.*of c; leave one out"):
        EnsembleClassifier([*pair, other])


def test_no_members_are_refused() -> None:
    with pytest.raises(ModelError, match="received none"):
        EnsembleClassifier([])


def test_the_name_stands_for_every_shipped_network_of_the_seven_expressions() -> None:
    ensemble = load_classifier("ensemble", threads=1)
    shipped = [load_classifier(model.name) for model in list_models() if not model.variant_of]
    members = [one for one in shipped if one.labels == FER2013]
    assert ensemble.files == tuple(file for member in members for file in member.files)
    expected = np.mean([member.predict_proba(CROPS) for member in members], axis=0)
    assert np.allclose(ensemble.predict_proba(CROPS), expected, atol=1e-5)


def test_a_recognizer_of_the_ensemble_recognizes(astronaut: Path) -> None:
    recognizer = load_recognizer("ensemble", threads=1)
    (face,) = recognizer.recognize(astronaut)
    assert face.expression == "happy"
    assert recognizer.uncertain_below == recognizer.classifier.metadata.uncertain_below
    copy = pickle.loads(pickle.dumps(recognizer))
    assert [one.to_dict() for one in copy.recognize(astronaut)] == [face.to_dict()]


def test_the_ensemble_is_no_single_file() -> None:
    with pytest.raises(ModelError, match="no single file"):
        resolve("ensemble")


def test_it_has_no_maps_and_says_so(pair: tuple[CropClassifier, CropClassifier]) -> None:
    ensemble = EnsembleClassifier(pair)
    assert not ensemble.explains
    with pytest.raises(ModelError, match=r"cannot say where it looked.*'a', 'b'"):
        ensemble.explain(CROPS)


def test_labels_that_nothing_shipped_answers_in_are_refused() -> None:
    with pytest.raises(ModelError, match="received none of the label set"):
        load_classifier("ensemble", threads=1, labels="nine")
