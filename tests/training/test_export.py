"""Export: a finished run becomes one file that agrees with Keras, or nothing is written."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
import scipy.special
from numpy.typing import NDArray

from facial_expressions.data.dataset import Dataset
from facial_expressions.errors import ExportError
from facial_expressions.inference.classifier import ExpressionClassifier, load_classifier
from facial_expressions.inference.runtime import open_session
from facial_expressions.labels import FER2013
from facial_expressions.model_metadata import ModelMetadata
from facial_expressions.training import export
from facial_expressions.training.export import export_run
from facial_expressions.training.onnx_graph import build_onnx
from facial_expressions.training.recipe import Recipe
from facial_expressions.training.train import train
from tests.eager import steps_without_a_graph
from tests.tiny_model import HEAD, metadata_of


@pytest.fixture(scope="module")
def run_dir(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = Recipe.from_dict(
        {
            "run": {"name": "tiny", "seed": 5},
            "network": {"architecture": "tiny_for_tests"},
            "optimization": {"epochs": 12, "batch_size": 14, "ema": 0.9, "learning_rate": 0.01},
        }
    )
    return train(recipe, dataset, tmp_path_factory.mktemp("export") / "run").path


@pytest.mark.parametrize("mapped", [False, True])
def test_the_file_classifies_as_keras_did(
    run_dir: Path,
    dataset: Dataset,
    tmp_path: Path,
    mapped: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where a map of confidences pays, which it does not on so few images."""
    monkeypatch.setattr(export, "pays_on_halves", lambda *_: mapped)
    exported = export_run(run_dir, tmp_path / "tiny.onnx")
    classifier = load_classifier(exported.path)
    expected = calibrated(classifier, logits_of(run_dir, "fer2013"))
    actual = classifier.predict_proba(dataset.validation.images)
    np.testing.assert_allclose(actual, expected, atol=1e-4)
    assert exported.difference <= 1e-4
    assert (classifier.head.calibration.top_label is not None) == mapped


def logits_of(run_dir: Path, head: str) -> NDArray[np.float64]:
    """Return what a run says its network's head answered on validation."""
    with np.load(run_dir / "validation.npz") as file:
        return np.asarray(file[f"{head}_logits"], np.float64)


def calibrated(classifier: ExpressionClassifier, logits: NDArray[np.float64]) -> np.ndarray:
    """Return the softmax after biases, temperature and, if the file has one, map of confidences."""
    calibration = classifier.head.calibration
    scaled = (logits + calibration.biases) / calibration.temperature
    top_label = calibration.top_label
    return np.asarray(
        scipy.special.softmax(top_label.apply(scaled) if top_label else scaled, axis=1)
    )


def test_classes_are_expected_as_often_as_they_occur(
    run_dir: Path, dataset: Dataset, tmp_path: Path
) -> None:
    """Where the loss is least, a class's mean probability is its share, but for the prior's pull.

    That is its bias, as it is under the softmax, divided by the number of images; the temperature
    is fitted anew without it, so it is not quite so.
    """
    classifier = load_classifier(export_run(run_dir, tmp_path / "tiny.onnx").path)
    n = len(dataset.validation)
    shares = np.bincount(dataset.validation.labels, minlength=7) / n
    calibration = classifier.head.calibration
    pull = np.array(calibration.biases) / calibration.temperature / n
    actual = classifier.predict_proba(dataset.validation.images).mean(axis=0)
    np.testing.assert_allclose(actual, shares - pull, atol=0.025)


def test_the_file_says_what_it_is(run_dir: Path, dataset: Dataset, tmp_path: Path) -> None:
    path = export_run(run_dir, tmp_path / "tiny.onnx").path
    classifier = load_classifier(path)
    metadata = classifier.metadata
    assert metadata.name == "tiny"
    assert (metadata.head_names, metadata.default_head) == (("fer2013",), "fer2013")
    assert classifier.labels == FER2013
    assert metadata.data == "drawn (folder, train 70)"
    assert metadata.data_digest == dataset.digest()
    assert metadata.licence == "MIT"
    logits = logits_of(run_dir, "fer2013") + classifier.head.calibration.biases
    right = logits.argmax(axis=1) == dataset.validation.labels
    accuracy = classifier.head.figures["validation_accuracy"]
    assert accuracy == pytest.approx(right.mean(), abs=1e-6)
    assert 0 < classifier.head.calibration.uncertain_below <= 1


def test_half_weights_give_the_same_answers_in_half_the_size(
    run_dir: Path, dataset: Dataset, tmp_path: Path
) -> None:
    full = export_run(run_dir, tmp_path / "full.onnx").path
    half = export_run(run_dir, tmp_path / "half.onnx", half_weights=True).path
    crops = dataset.validation.images
    first, second = (
        load_classifier(path).predict_proba(crops).argmax(axis=1) for path in (full, half)
    )
    np.testing.assert_array_equal(first, second)
    assert half.stat().st_size < 0.62 * full.stat().st_size


def test_an_unfinished_run_is_refused(run_dir: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run_dir, copy)
    (copy / "model.weights.h5").unlink()
    with pytest.raises(ExportError, match=r"model\.weights\.h5 missing\. Give one that 'facial"):
        export_run(copy, tmp_path / "out.onnx")
    shutil.copy(run_dir / "model.weights.h5", copy)
    (copy / "validation.npz").unlink()
    with pytest.raises(ExportError, match=r"validation\.npz\)\. Train the run again"):
        export_run(copy, tmp_path / "out.onnx")


def test_a_graph_that_disagrees_with_keras_is_not_written(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(model: keras.Model, metadata: ModelMetadata) -> onnx.ModelProto:
        head = metadata.head()
        calibration = head.calibration
        twice = dataclasses.replace(calibration, temperature=calibration.temperature * 2)
        return build_onnx(model, metadata.with_head(dataclasses.replace(head, calibration=twice)))

    monkeypatch.setattr(export, "build_onnx", wrong)
    with pytest.raises(ExportError, match=r"differs from Keras by .* on 21 images"):
        export_run(run_dir, tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


def test_a_layer_without_a_converter_is_named() -> None:
    inputs = keras.layers.Input((48, 48, 1))
    x = keras.layers.Flatten()(keras.layers.UpSampling2D(name="grow")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(7)(x))
    metadata = metadata_of(HEAD)
    with pytest.raises(ExportError, match="'grow': a UpSampling2D cannot be exported"):
        build_onnx(model, metadata)


def test_every_kind_of_layer_converts_exactly(tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    inputs = keras.layers.Input((49, 49, 1))
    a = keras.layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False)(inputs)
    a = keras.layers.Activation("relu")(keras.layers.BatchNormalization()(a))
    b = keras.layers.AveragePooling2D(2, padding="same")(a)
    b = keras.layers.MaxPooling2D(3, strides=2, padding="same")(b)
    gate = keras.layers.GlobalAveragePooling2D(keepdims=True)(b)
    gate = keras.layers.Conv2D(6, 1, activation="sigmoid")(gate)
    b = keras.layers.Multiply()([b, gate])
    c = keras.layers.Conv2D(6, 3, strides=4, padding="valid", groups=2)(a)
    c = keras.layers.Conv2D(6, 3, padding="same", activation="tanh")(c)
    b = keras.layers.Conv2D(6, 2)(b)
    merged = keras.layers.Concatenate()([keras.layers.Add()([b, c]), c])
    logits = keras.layers.Dense(7)(keras.layers.Flatten()(merged))
    model = keras.Model(inputs, logits)
    rng = np.random.default_rng(2)
    for variable in model.variables:
        if "moving" in variable.path:
            variable.assign(rng.uniform(0.5, 1.5, tuple(variable.shape)))
    metadata = metadata_of(HEAD, size=49)
    path = tmp_path / "made.onnx"
    path.write_bytes(build_onnx(model, metadata).SerializeToString())
    batch = rng.normal(size=(4, 49, 49, 1)).astype(np.float32)
    z = model.predict_on_batch(batch).astype(np.float64)
    expected = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    actual = open_session(path).run({"crops": batch}, outputs=["fer2013_probabilities"])[0]
    np.testing.assert_allclose(actual, expected, atol=1e-5)


@pytest.fixture(scope="module")
def two_headed(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the compact network that learnt FER+ votes too, and ``two.onnx`` made of it.

    Every third image has no votes.
    """
    recipe = Recipe.from_dict(
        {
            "run": {"name": "tiny-two", "seed": 5},
            "network": {"architecture": "compact_resnet"},
            "optimization": {
                "epochs": 1, "batch_size": 35, "warmup_epochs": 0, "ferplus_weight": 0.3,
                "precision": "float32",
            },
        }
    )  # fmt: skip
    votes = {}
    for split in dataset.splits():
        votes[split.name] = np.zeros((len(split), 10), np.uint8)
        known = np.arange(len(split)) % 3 > 0
        votes[split.name][known, split.labels[known]] = 10
    run_dir = tmp_path_factory.mktemp("two") / "run"
    with steps_without_a_graph():
        train(recipe, dataset, run_dir, votes=votes)
        export_run(run_dir, run_dir / "two.onnx")
    return run_dir


@pytest.mark.parametrize("labels", ["fer2013", "ferplus"])
def test_both_heads_answer_as_keras_did_and_their_maps_are_exact(
    two_headed: Path, dataset: Dataset, labels: str
) -> None:
    classifier = load_classifier(two_headed / "two.onnx", labels=labels)
    crops = dataset.validation.images
    logits = logits_of(two_headed, labels)
    expected = calibrated(classifier, logits)
    calibration = classifier.head.calibration
    logits = (logits + calibration.biases) / calibration.temperature
    np.testing.assert_allclose(classifier.predict_proba(crops), expected, atol=1e-4)
    means = classifier.explain(crops).astype(np.float64).mean(axis=(2, 3))
    assert classifier.explain(crops).shape[2:] == (6, 6)
    np.testing.assert_allclose(means - means.mean(1, keepdims=True),
                               logits - logits.mean(1, keepdims=True), atol=1e-3)  # fmt: skip


def test_an_image_without_votes_does_not_count_in_the_second_heads_figures(
    two_headed: Path,
) -> None:
    classifier = load_classifier(two_headed / "two.onnx", labels="ferplus")
    with np.load(two_headed / "validation.npz") as file:
        known = file["ferplus_labels"] >= 0
        answers = (file["ferplus_logits"] + classifier.head.calibration.biases).argmax(1)
        right = answers[known] == file["ferplus_labels"][known]
    assert known.sum() == 14
    assert classifier.head.figures["validation_accuracy"] == pytest.approx(right.mean())
