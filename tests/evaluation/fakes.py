"""Classifiers and splits whose every answer the test decides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facial_expressions.data.dataset import Split
from facial_expressions.evaluation.predictions import Predictions, write_predictions
from facial_expressions.evaluation.provenance import Provenance
from facial_expressions.evaluation.report import build_report
from facial_expressions.labels import LabelSet

PAIR = LabelSet("pair", ("no", "yes"))
TRIO = LabelSet("trio", ("red", "green", "blue"))


class PixelClassifier:
    """Answers by the first pixel: its value is the number of a given row of probabilities."""

    def __init__(self, labels: LabelSet, rows: Sequence[Sequence[float]]) -> None:
        self.labels = labels
        self.rows = np.array(rows, np.float32)
        self.batch_sizes: list[int] = []

    def predict_proba(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.batch_sizes.append(len(crops))
        return self.rows[crops[:, 0, 0]]


class BrightnessClassifier:
    """Says ``yes`` with the mean of the right half of the image, 0 to 255, as probability."""

    labels = PAIR

    def predict_proba(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        half = crops.shape[2] // 2
        yes = crops[:, :, half:].mean(axis=(1, 2)) / 255
        return np.stack([1 - yes, yes], axis=1).astype(np.float32)


def pixel_split(
    truth: Sequence[int],
    *,
    name: str = "test",
    usages: Sequence[str] | None = None,
    side_px: int = 8,
) -> Split:
    """Return a split whose image ``i`` has the first pixel ``i``, all others 0."""
    n = len(truth)
    images = np.zeros((n, side_px, side_px), np.uint8)
    images[:, 0, 0] = np.arange(n)
    return Split(
        name=name,
        images=images,
        labels=np.array(truth, np.int64),
        usages=np.array([""] * n if usages is None else usages),
        sources=tuple(f"image {i}" for i in range(n)),
    )


def random_case(
    n: int, n_classes: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Return truth, probabilities that lean towards it, and the answers."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, n_classes, n)
    logits = rng.normal(size=(n, n_classes))
    logits[np.arange(n), truth] += 1
    exponentials = np.exp(logits)
    rows = exponentials / exponentials.sum(axis=1, keepdims=True)
    return truth, rows, rows.argmax(axis=1)


def predictions_of(
    labels: LabelSet, truth: Sequence[int], rows: Sequence[Sequence[float]]
) -> Predictions:
    """Return predictions of images that are named by their number."""
    return Predictions(
        labels,
        tuple(str(i) for i in range(len(truth))),
        np.array(truth, np.int64),
        np.array(rows, np.float32),
    )


def store_report(folder: Path, predictions: Predictions, *, with_rows: bool = True) -> Path:
    """Write into a new folder what a comparison reads of a report."""
    folder.mkdir()
    report = build_report(predictions, provenance=Provenance(model="m"))
    (folder / "report.json").write_text(report.to_json(), encoding="utf-8")
    if with_rows:
        write_predictions(predictions, folder / "predictions.csv")
    return folder
