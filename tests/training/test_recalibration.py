"""Maps of confidences fitted again: when they change a file, and what they keep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facial_expressions.evaluation.metrics import (
    calibration_error,
    negative_log_likelihood,
)
from facial_expressions.inference.classifier import load_classifier
from facial_expressions.training.model_files import read_model
from facial_expressions.training.quantization import recalibrate
from tests.tiny_model import write_mapped_model, write_tiny_model


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (2000, 48, 48), np.uint8)


def test_the_new_file_gives_the_same_answers_with_honest_confidences(
    tmp_path: Path, images: NDArray[np.uint8]
) -> None:
    """Answers of the first classes are nearly always right, of the others half the time."""
    path = write_tiny_model(tmp_path / "old.onnx")
    old = load_classifier(path)
    before = old.predict_proba(images)
    answers = before.argmax(axis=1)
    right = np.random.default_rng(1).random(2000) < np.where(answers < 3, 0.95, 0.5)
    labels = np.where(right, answers, (answers + 1) % 7)
    content = recalibrate(*read_model(path), images, {"fer2013": labels})
    (tmp_path / "new.onnx").write_bytes(content)
    new = load_classifier(tmp_path / "new.onnx")
    after = new.predict_proba(images)
    assert np.array_equal(after.argmax(axis=1), answers)
    assert calibration_error(labels, after) < calibration_error(labels, before) - 0.05
    figures = new.head.figures
    assert figures["validation_nll"] == pytest.approx(
        negative_log_likelihood(labels, after), abs=1e-5
    )
    assert figures["validation_accuracy"] == pytest.approx(right.mean())
    assert new.head.calibration.top_label is not None
    again = recalibrate(*read_model(tmp_path / "new.onnx"), images, {"fer2013": labels})
    assert again == content  # it is fitted on what the network says, not on what the map made of it


def test_a_file_that_is_honest_already_stays_as_it_is(
    tmp_path: Path, images: NDArray[np.uint8]
) -> None:
    path = write_tiny_model(tmp_path / "old.onnx")
    rows = load_classifier(path).predict_proba(images)
    drawn = np.random.default_rng(2).random((2000, 1))
    labels = np.minimum((rows.cumsum(axis=1) < drawn).sum(axis=1), 6)
    assert recalibrate(*read_model(path), images, {"fer2013": labels}) == path.read_bytes()


def test_a_head_without_labels_stays_as_it_is(tmp_path: Path, images: NDArray[np.uint8]) -> None:
    path = write_mapped_model(tmp_path / "old.onnx")
    old = load_classifier(path)
    answers = old.predict_proba(images).argmax(axis=1)
    right = np.random.default_rng(3).random(2000) < 0.2
    content = recalibrate(
        *read_model(path), images, {"fer2013": np.where(right, answers, (answers + 1) % 7)}
    )
    (tmp_path / "new.onnx").write_bytes(content)
    new = load_classifier(tmp_path / "new.onnx")
    assert new.metadata.head("ferplus") == old.metadata.head("ferplus")
    second = [
        load_classifier(tmp_path / name, labels="ferplus").predict_proba(images[:9])
        for name in ("old.onnx", "new.onnx")
    ]
    assert np.array_equal(second[0], second[1])
