"""The classifier: probabilities of crops, and files that do not fit."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from facial_expressions.errors import ImageError, ModelError
from facial_expressions.inference.classifier import ExpressionClassifier, load_classifier
from facial_expressions.labels import FER2013, FERPLUS
from facial_expressions.model_metadata import Head
from facial_expressions.preprocessing import Preprocessing
from tests.tiny_model import (
    FERPLUS_HEAD,
    HEAD,
    METADATA,
    mapped_graph,
    metadata_of,
    tiny_graph,
    weights,
    write_mapped_model,
)

CROPS = np.random.default_rng(2).integers(0, 256, (37, 48, 48), dtype=np.uint8)


@pytest.fixture(scope="module")
def classifier(tiny_model: Path) -> ExpressionClassifier:
    return load_classifier(tiny_model, threads=1)


def expected(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The tiny model by NumPy: scale (x / 255 - 0.5) / 0.25, multiply, softmax."""
    logits = ((crops.reshape(len(crops), -1) / 255 - 0.5) / 0.25) @ weights()
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(1, keepdims=True))


def test_probabilities_are_those_of_the_graph(classifier: ExpressionClassifier) -> None:
    rows = classifier.predict_proba(CROPS)
    assert rows.dtype == np.float32
    assert np.allclose(rows, expected(CROPS), atol=1e-5)


def test_it_says_what_the_file_says(classifier: ExpressionClassifier, tiny_model: Path) -> None:
    assert classifier.labels == FER2013
    assert classifier.metadata == METADATA
    assert classifier.path == tiny_model


@pytest.mark.parametrize("batch_size", [1, 2, 36, 37, 256])
def test_answers_do_not_depend_on_the_batch_size(
    classifier: ExpressionClassifier, batch_size: int
) -> None:
    rows = classifier.predict_proba(CROPS, batch_size=batch_size)
    assert np.allclose(rows, classifier.predict_proba(CROPS), atol=1e-6)


@settings(max_examples=30)
@given(order=st.permutations(range(8)), n=st.integers(1, 8))
def test_answers_do_not_depend_on_order_or_neighbours(
    tiny_model: Path, order: list[int], n: int
) -> None:
    classifier = load_classifier(tiny_model, threads=1)
    chosen = order[:n]
    alone = np.concatenate([classifier.predict_proba(CROPS[i : i + 1]) for i in chosen])
    assert np.allclose(classifier.predict_proba(CROPS[chosen]), alone, atol=1e-6)


def test_no_crops_give_no_rows(classifier: ExpressionClassifier) -> None:
    for shape in ((0, 48, 48), (0, 96, 96), (0, 64, 64, 3)):
        assert classifier.predict_proba(np.zeros(shape, np.uint8)).shape == (0, 7)


def test_grey_crops_given_as_rgb_get_the_same_answer(classifier: ExpressionClassifier) -> None:
    rgb = np.repeat(CROPS[..., None], 3, axis=3)
    assert np.array_equal(classifier.predict_proba(rgb), classifier.predict_proba(CROPS))


def test_larger_crops_of_equal_blocks_get_the_same_answer(classifier: ExpressionClassifier) -> None:
    """A crop of which every pixel is a block of 2 x 2 equal ones is the same crop."""
    large = CROPS[:4].repeat(2, axis=1).repeat(2, axis=2)
    rows = classifier.predict_proba(large)
    assert np.abs(rows - classifier.predict_proba(CROPS[:4])).max() < 0.02


def test_a_copy_by_pickle_answers_the_same(classifier: ExpressionClassifier) -> None:
    copy = pickle.loads(pickle.dumps(classifier))
    assert np.array_equal(copy.predict_proba(CROPS), classifier.predict_proba(CROPS))


@pytest.mark.parametrize(
    "shape", [(48, 40), (2, 48, 40), (2, 48, 48, 4), (2, 0, 0), (1, 2, 48, 48)]
)
def test_other_shapes_are_refused(classifier: ExpressionClassifier, shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match=r"^face crops .*: not supported"):
        classifier.predict_proba(np.zeros(shape, np.uint8))


def test_predict_names_the_best_column_as_in_scikit_learn(
    classifier: ExpressionClassifier,
) -> None:
    best = classifier.predict_proba(CROPS).argmax(axis=1)
    assert classifier.classes_.tolist() == list(classifier.labels)
    assert classifier.predict(CROPS).tolist() == [classifier.labels.names[i] for i in best]


def test_one_crop_and_a_list_of_crops_are_answered_as_the_array(
    classifier: ExpressionClassifier,
) -> None:
    whole = classifier.predict_proba(CROPS)
    rgb = np.repeat(CROPS[0][..., None], 3, axis=2)
    assert np.array_equal(classifier.predict_proba(CROPS[0]), whole[:1])
    assert np.array_equal(classifier.predict_proba(rgb), whole[:1])
    assert np.array_equal(classifier.predict_proba(list(CROPS)), whole)
    larger = CROPS[1].repeat(2, axis=0).repeat(2, axis=1)
    mixed = classifier.predict_proba([rgb, larger])
    assert mixed == pytest.approx(whole[:2], abs=1e-6)
    assert classifier.predict([]).tolist() == []


@pytest.mark.parametrize("crops", [7, None, "crop.png", ["crop.png"]], ids=lambda one: f"A09-{one}")
def test_what_is_no_crop_is_refused(classifier: ExpressionClassifier, crops: Any) -> None:  # noqa: ANN401
    with pytest.raises(ImageError, match=r"^face crops .*: not supported"):
        classifier.predict(crops)


def test_other_dtypes_are_refused(classifier: ExpressionClassifier) -> None:
    with pytest.raises(ImageError, match="float64"):
        classifier.predict_proba(np.zeros((1, 48, 48)))


def test_batch_size_out_of_range(classifier: ExpressionClassifier) -> None:
    with pytest.raises(ValueError, match="batch_size: must be 1 or more, not 0"):
        classifier.predict_proba(CROPS, batch_size=0)


def without_metadata() -> onnx.ModelProto:
    return tiny_graph(None)


def with_damaged_metadata() -> onnx.ModelProto:
    model = tiny_graph()
    entry = next(entry for entry in model.metadata_props if entry.key == "preprocessing")
    entry.value = entry.value[:-5]
    return model


def with_nan_weights() -> onnx.ModelProto:
    return tiny_graph(matrix=np.full((48 * 48, 7), np.nan, np.float32))


def without_softmax() -> onnx.ModelProto:
    model = tiny_graph()
    model.graph.node[-1].op_type = "Relu"
    del model.graph.node[-1].attribute[:]
    return model


def with_outputs(*, keep: int, again: int = 0) -> onnx.ModelProto:
    """A graph of two heads with the first outputs only, or with some of them twice."""
    model = mapped_graph()
    outputs = list(model.graph.output)
    del model.graph.output[:]
    model.graph.output.extend([*outputs[:keep], *outputs[:again]])
    return model


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (without_metadata, "not a facial-expressions model: .* is None"),
        (with_damaged_metadata, "damaged metadata"),
        (with_nan_weights, "gives no probabilities"),
        (without_softmax, "gives no probabilities"),
        (lambda: tiny_graph(metadata_of(replace(HEAD, labels=FERPLUS))), r"not crops.*\[None, 8\]"),
        (lambda: tiny_graph(size=64), r"takes crops tensor\(float\) \[None, 64, 64, 1\]"),
        (lambda: tiny_graph(input_name="input"), "does not fit its own description"),
        (lambda: tiny_graph(output_name="scores"), "does not fit its own description"),
        (lambda: with_outputs(keep=2), r"not crops .*ferplus_probabilities .*\[None, 8\]"),
        (lambda: with_outputs(keep=4, again=1), "does not fit its own description|opened by ONNX"),
        (
            lambda: tiny_graph(replace(METADATA, preprocessing=Preprocessing(channels=3))),
            r"not crops tensor\(float\) \[None, 48, 48, 3\]",
        ),
    ],
)
def test_files_that_do_not_fit_are_refused(
    build: Callable[[], onnx.ModelProto], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(build().SerializeToString())
    with pytest.raises(ModelError, match=message):
        load_classifier(path)


def test_each_head_is_asked_for_by_its_name_even_if_two_have_equal_labels(tmp_path: Path) -> None:
    people = Head("people", FER2013, figures={"validation_accuracy": 0.5})
    metadata = metadata_of(HEAD, FERPLUS_HEAD, people)
    classifier = load_classifier(write_mapped_model(tmp_path / "three.onnx", metadata))
    assert classifier.head == HEAD
    heads = [classifier.for_labels(name) for name in ("fer2013", "ferplus", "people", None)]
    assert [one.head for one in heads] == [HEAD, FERPLUS_HEAD, people, HEAD]
    assert [one.labels for one in heads] == [FER2013, FERPLUS, FER2013, FER2013]
    with pytest.raises(ModelError, match=r"labels 'toy', only in fer2013, ferplus, people"):
        classifier.for_labels("toy")


def test_the_file_says_which_head_answers_where_none_is_named(tmp_path: Path) -> None:
    metadata = replace(metadata_of(HEAD, FERPLUS_HEAD), default_head="ferplus")
    path = write_mapped_model(tmp_path / "other.onnx", metadata)
    assert load_classifier(path).labels == FERPLUS
    assert load_classifier(path, labels="fer2013").labels == FER2013


def test_another_head_of_an_open_model_does_not_open_the_file_again(tmp_path: Path) -> None:
    path = write_mapped_model(tmp_path / "gone.onnx")
    expected = load_classifier(path, labels="ferplus").predict_proba(CROPS)
    classifier = load_classifier(path)
    path.unlink()
    assert np.array_equal(classifier.for_labels("ferplus").predict_proba(CROPS), expected)


def test_one_changed_byte_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    data = bytearray(tiny_model.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "changed.onnx").write_bytes(data)
    with pytest.raises(ModelError, match="changed after it was written"):
        load_classifier(tmp_path / "changed.onnx")
