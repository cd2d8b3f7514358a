"""Predictions of one split: the classifier's answer for every image, kept apart from any figure.

They can be written as ``predictions.csv`` and read again, so that two models can be compared
image by image long after both were measured.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.data.dataset import Split
from facial_expressions.errors import DatasetError, ModelError, first_line
from facial_expressions.files import write_file
from facial_expressions.inference.contracts import Classifier
from facial_expressions.labels import LabelSet
from facial_expressions.plain_text import no_formula

OnProgress = Callable[[int, int], None]
"""Called with images done and images in all."""

_COLUMNS: Final = ("source", "truth", "prediction", "confidence")

_FEWEST_CALLS: Final = 2
_ENOUGH_SECONDS: Final = 1.0
"""When timing a classifier ends early."""


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """Settings of an evaluation.

    Attributes:
        batch_size: Crops per call; changes speed, not figures.
        seed: Which images are shown as samples, and what is random in corruptions.
        has_robustness: Whether corrupted images are measured too; it costs 55 times the split.
    """

    batch_size: int = 256
    seed: int = 0
    has_robustness: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Truth and answer for each image of a split.

    Attributes:
        labels: The label set of ids and columns.
        sources: Name of each image.
        truth: Label ids, ``int64 (N,)``.
        probabilities: ``float32 (N, K)``; a row of NaN where there is no answer (no face found).

    Raises:
        ValueError: Lengths differ, or there are not images.
    """

    labels: LabelSet
    sources: tuple[str, ...]
    truth: NDArray[np.int64]
    probabilities: NDArray[np.float32]

    def __post_init__(self) -> None:
        n = len(self.sources)
        if n == 0 or self.truth.shape != (n,) or self.probabilities.shape != (n, len(self.labels)):
            raise ValueError(
                f"predictions: {n} sources, labels {self.truth.shape}, probabilities "
                f"{self.probabilities.shape}. Give one label and {len(self.labels)} probabilities "
                "per image, for one image or more"
            )

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Whether each image has an answer, ``bool (N,)``."""
        return ~np.isnan(self.probabilities[:, 0])

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Most probable label id of each image, -1 where there is no answer, ``int64 (N,)``."""
        filled = np.where(self.answered[:, None], self.probabilities, 0)
        return np.where(self.answered, filled.argmax(axis=1), -1).astype(np.int64)

    @property
    def confidence(self) -> NDArray[np.float32]:
        """Probability of each answer, 0 where there is none, ``float32 (N,)``."""
        top: NDArray[np.float32] = self.probabilities.max(axis=1)
        return np.where(self.answered, top, np.float32(0))

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each answer is the truth, ``bool (N,)``; no answer is not."""
        return np.equal(self.predicted, self.truth)

    @property
    def accuracy(self) -> float:
        """Share of right answers, 0 to 1."""
        return float(self.right.mean())

    def take(self, mask: NDArray[np.bool_]) -> Predictions:
        """Return the rows of a mask, ``bool (N,)``."""
        return Predictions(
            self.labels,
            tuple(np.asarray(self.sources, dtype=object)[mask]),
            self.truth[mask],
            self.probabilities[mask],
        )


@dataclass(frozen=True, slots=True)
class Latency:
    """Time of the classifier alone, in milliseconds; depends on machine and threads.

    Attributes:
        per_crop: Median of calls with one crop.
        per_batch: Median of calls with ``batch_size`` crops.
        batch_size: Crops in a batch.
    """

    per_crop: float
    per_batch: float
    batch_size: int


def predict_split(
    classifier: Classifier,
    split: Split,
    *,
    batch_size: int = 256,
    progress: OnProgress | None = None,
) -> Predictions:
    """Ask a classifier for every image of a split.

    Args:
        classifier: What to ask.
        split: Grey images; the labels are ids in the classifier's label set.
        batch_size: Crops per call; changes speed and memory, not answers.
        progress: Called after each batch.

    Raises:
        DatasetError: The split is empty or holds a label that the classifier does not have.
        ModelError: The classifier's output is not ``(N, K)`` probabilities.
        ValueError: ``batch_size`` is less than 1.
    """
    _check_askable(classifier, split, batch_size)
    n = len(split)
    probabilities = np.empty((n, len(classifier.labels)), np.float32)
    for start in range(0, n, batch_size):
        crops = split.images[start : start + batch_size]
        probabilities[start : start + batch_size] = _checked_output(classifier, crops)
        if progress is not None:
            progress(min(start + batch_size, n), n)
    return Predictions(classifier.labels, split.sources, split.labels, probabilities)


def measure_latency(
    classifier: Classifier,
    crops: NDArray[np.uint8],
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> Latency:
    """Time the classifier on one crop and on all: medians of 30 and 5 calls after a warm-up.

    Calls that take long are repeated less often: no third one starts after a second.

    Args:
        classifier: What to time.
        crops: A batch of grey crops, ``uint8 (N, S, S)``, N >= 1.
        clock: Returns seconds.
    """
    n = len(crops)
    single = _median_ms(lambda i: classifier.predict_proba(crops[i % n][None]), 30, clock)
    whole = _median_ms(lambda _: classifier.predict_proba(crops), 5, clock)
    return Latency(per_crop=single, per_batch=whole, batch_size=n)


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write one CSV row per image: source, truth, prediction, confidence, then each probability.

    An image without an answer has empty cells. Probabilities have nine significant digits, which
    keeps a float32 exactly.
    """
    names = [*map(no_formula, predictions.labels.names)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_COLUMNS, *names])
    columns = (predictions.predicted, predictions.confidence, predictions.probabilities)
    for source, truth, predicted, confidence, row in zip(
        predictions.sources, predictions.truth, *columns, strict=True
    ):
        answer = ["", *[""] * (1 + len(names))]
        if predicted >= 0:
            answer = [names[predicted], f"{confidence:.9g}", *(f"{p:.9g}" for p in row)]
        writer.writerow([no_formula(source), names[truth], *answer])
    write_file(path, text.getvalue())


def read_predictions(path: Path) -> Predictions:
    """Read what ``write_predictions`` wrote.

    Raises:
        DatasetError: The file is missing or has another form.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        names = tuple(header[len(_COLUMNS) :])
        if tuple(header[: len(_COLUMNS)]) != _COLUMNS or not rows:
            raise ValueError(f"columns {header} and {len(rows)} rows")  # noqa: TRY301  same answer
        return Predictions(
            LabelSet("predictions", names),
            tuple(row[0] for row in rows),
            np.array([names.index(row[1]) for row in rows], np.int64),
            np.array([[float(p or "nan") for p in row[4:]] for row in rows], np.float32),
        )
    except (OSError, ValueError, IndexError, csv.Error) as error:
        raise DatasetError(
            f"{path}: not a predictions file: {first_line(error)}. Run 'facial-expressions "
            "evaluate' again with --out"
        ) from error


def _check_askable(classifier: Classifier, split: Split, batch_size: int) -> None:
    """Raise when the split cannot be put to the classifier."""
    if batch_size < 1:
        raise ValueError(f"batch_size: must be 1 or more, not {batch_size}")
    n_classes = len(classifier.labels)
    if len(split) == 0:
        raise DatasetError(f"split {split.name!r}: no images to evaluate. Choose another split")
    if split.labels.min() < 0 or split.labels.max() >= n_classes:
        raise DatasetError(
            f"split {split.name!r}: label ids {split.labels.min()} to {split.labels.max()}, but "
            f"the classifier's set {classifier.labels.name!r} has {n_classes} classes. Give a "
            "model of this set"
        )


def _checked_output(classifier: Classifier, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Ask once and raise when the answer is not one row of probabilities per crop."""
    output = classifier.predict_proba(crops)
    expected = (len(crops), len(classifier.labels))
    if output.shape != expected:
        raise ModelError(
            f"classifier: probabilities of shape {output.shape} instead of {expected}. Export the "
            "model again"
        )
    sums = output.sum(axis=1)
    if not np.all(np.isfinite(output)) or output.min() < 0 or np.any(np.abs(sums - 1) > 1e-3):
        raise ModelError(
            f"classifier: values {output.min()} to {output.max()} and row sums {sums.min()} to "
            f"{sums.max()} instead of probabilities that sum to 1. Export it with softmax"
        )
    return output


def _median_ms(call: Callable[[int], object], n_calls: int, clock: Callable[[], float]) -> float:
    """Return the median time of some calls in milliseconds, after one that does not count."""
    call(0)
    times: list[float] = []
    for i in range(n_calls):
        if len(times) >= _FEWEST_CALLS and sum(times) > _ENOUGH_SECONDS:
            break
        start = clock()
        call(i)
        times.append(clock() - start)
    return float(np.median(times) * 1000)
