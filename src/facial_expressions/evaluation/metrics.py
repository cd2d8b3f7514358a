"""Metrics of answers and of probabilities: pure functions of the truth and of what was answered.

``*_error`` is better when lower. The truth comes first: label ids ``0..K-1``, ``(N,)``; for metrics
of probabilities also what share of people gave each label, ``(N, K)``, and an answer is then as
right as the share that it got. An answer of -1 is no answer, which is never right. Probabilities
are ``(N, K)``; their rows are brought to a sum of 1 exactly. The confidence of an answer is its
probability, the largest of its row.

What scikit-learn or SciPy has is taken from there; a class without images counts as 0 in a macro
average. The functions that need one of them raise ``MissingExtraError`` where it is not installed.

References: Wilson 1927 (interval of a share); McNemar 1947, exact form (paired comparison); Holm
1979 (several tests); Brier 1950; Naeini et al. 2015 and Guo et al. 2017, arXiv:1706.04599
(calibration error); El-Yaniv and Wiener 2010 (accuracy against coverage).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facial_expressions.errors import needs_extra

ECE_BINS: Final = 15
"""Equal-width bins of the expected calibration error, as in Guo et al. 2017."""

_FLOOR: Final = float(np.finfo(np.float64).eps)

Rows = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of one class, or their average over the classes.

    Attributes:
        precision: Share of right answers among the answers that name this class, 0 to 1.
        recall: Share of this class's images that were answered right, 0 to 1.
        f1: Harmonic mean of the two.
        support: Images of this class; of an average all images.
    """

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class ClassificationScores:
    """Per-class scores with their plain and their support-weighted mean, and what they count.

    ``confusion`` has the images by truth (rows) and answer (columns), ``K`` tuples of ``K``. Images
    without an answer are in no column, so their row sums to less than its support.
    """

    per_class: tuple[Scores, ...]
    macro: Scores
    weighted: Scores
    confusion: tuple[tuple[int, ...], ...]

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall over the classes that have images, 0 to 1."""
        return float(np.mean([row.recall for row in self.per_class if row.support > 0]))


@dataclass(frozen=True, slots=True)
class McNemarResult:
    """Exact McNemar test of two classifiers on the same images.

    Attributes:
        only_first: Images that only the first one answers right.
        only_second: Images that only the second one answers right.
        p_value: Two-sided probability of a difference at least this large if both were
            equally good.
    """

    only_first: int
    only_second: int
    p_value: float


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The answers whose confidence lies in ``(lower, upper]``.

    Attributes:
        lower: Lower edge, exclusive.
        upper: Upper edge, inclusive.
        count: Answers in the bin.
        confidence: Their mean confidence; 0 when there are none.
        accuracy: Share of them that is right; 0 when there are none.
    """

    lower: float
    upper: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class CoveragePoint:
    """What happens when answers with less confidence than ``threshold`` count as uncertain.

    Attributes:
        threshold: Smallest confidence that still counts as certain.
        coverage: Share of certain answers, above 0 to 1.
        accuracy: Share of right answers among the certain ones.
    """

    threshold: float
    coverage: float
    accuracy: float


def wilson_interval(n_right: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95% score interval of a share: ``n_right`` of ``n`` answers, one or more.

    Examples:
        >>> [round(bound, 4) for bound in wilson_interval(8, 10)]
        [0.4902, 0.9433]
    """
    interval = library("scipy.stats").binomtest(n_right, n).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def classification_scores(
    y_true: ArrayLike, y_predicted: ArrayLike, *, n_classes: int
) -> ClassificationScores:
    """Return precision, recall, F1 and support per class, their averages, and the confusion.

    Examples:
        >>> classification_scores([0, 0, 1], [0, 1, 1], n_classes=2).per_class[1].precision
        0.5
    """
    metrics, labels = library("sklearn.metrics"), range(n_classes)
    report = metrics.classification_report(
        y_true, y_predicted, labels=labels, zero_division=0, output_dict=True
    )
    counts = metrics.confusion_matrix(y_true, y_predicted, labels=labels).tolist()

    def scores(of: str) -> Scores:
        row = report[of]
        return Scores(row["precision"], row["recall"], row["f1-score"], int(row["support"]))

    per_class = tuple(scores(str(label)) for label in labels)
    averages = scores("macro avg"), scores("weighted avg")
    return ClassificationScores(per_class, *averages, tuple(map(tuple, counts)))


def mcnemar_test(first_right: NDArray[np.bool_], second_right: NDArray[np.bool_]) -> McNemarResult:
    """Compare two classifiers on the same images by the exact, two-sided McNemar test.

    Args:
        first_right: Whether the first classifier is right, ``bool (N,)``.
        second_right: Whether the second one is, in the same order.

    Examples:
        >>> mcnemar_test(np.arange(7) < 6, np.zeros(7, bool)).p_value
        0.03125
    """
    only_first = int(np.sum(first_right & ~second_right))
    only_second = int(np.sum(second_right & ~first_right))
    p_value = 1.0
    if n := only_first + only_second:
        # Were both equally good, either would be the right one as a coin falls.
        p_value = float(library("scipy.stats").binomtest(only_first, n).pvalue)
    return McNemarResult(only_first, only_second, p_value)


def holm_adjusted(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p values that may each be held against one level although there are several tests.

    The smallest is multiplied by the number of tests, the next by one less, and none becomes
    smaller than the one before it.

    Examples:
        >>> holm_adjusted([0.04, 0.01, 0.03])
        (0.06, 0.03, 0.06)
    """
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(factors * np.take(p_values, order)))
    return tuple(adjusted.tolist())


def negative_log_likelihood(y_true: ArrayLike, probabilities: ArrayLike) -> float:
    """Return the mean of ``-log p(truth)`` in nats, weighted by shares; lower is better.

    A probability of 0 counts as 2.2e-16, the floor of scikit-learn's ``log_loss``.

    Examples:
        >>> round(negative_log_likelihood([0, 1], [[0.5, 0.5], [0.75, 0.25]]), 4)
        1.0397
    """
    truth, rows = _as_rows(y_true, probabilities)
    return float(np.mean(-np.sum(truth * np.log(np.maximum(rows, _FLOOR)), axis=1)))


def kl_divergence(shares: ArrayLike, probabilities: ArrayLike) -> float:
    """Return the mean Kullback-Leibler divergence of the probabilities from shares, in nats.

    What the log-likelihood loses beyond what people's own disagreement costs; 0 is best.

    Examples:
        >>> round(kl_divergence([[0.5, 0.5]], [[0.75, 0.25]]), 4)
        0.1438
    """
    entropy = negative_log_likelihood(shares, shares)
    return max(0.0, negative_log_likelihood(shares, probabilities) - entropy)


def brier_error(y_true: ArrayLike, probabilities: ArrayLike) -> float:
    """Return the multi-class Brier score: the mean squared distance to the truth, 0 to 2.

    Per image the squares of ``p(k) - [k is the truth]``, or ``p(k) - share(k)``, are summed over
    all K classes (Brier's own definition; the two-class score of some libraries is half of it).

    Examples:
        >>> round(brier_error([0], [[0.7, 0.2, 0.1]]), 6)
        0.14
    """
    truth, rows = _as_rows(y_true, probabilities)
    return float(np.mean(np.sum((rows - truth) ** 2, axis=1)))


def reliability_bins(y_true: ArrayLike, probabilities: ArrayLike) -> tuple[ReliabilityBin, ...]:
    """Sort the answers by confidence into ``ECE_BINS`` bins between 0 and 1, from low to high.

    Empty bins are there with a count of 0.

    Examples:
        >>> bins = reliability_bins([0, 1], [[0.6, 0.4], [0.1, 0.9]])
        >>> [round(row.confidence, 1) for row in bins if row.count]
        [0.6, 0.9]
    """
    confidence, right = _confidence_and_right(y_true, probabilities)
    index = np.clip(np.ceil(confidence * ECE_BINS).astype(np.int64) - 1, 0, ECE_BINS - 1)
    counts = np.bincount(index, minlength=ECE_BINS)
    means = (
        np.bincount(index, weights=values, minlength=ECE_BINS) / np.maximum(counts, 1)
        for values in (confidence, right)
    )
    columns = zip(counts.tolist(), *(mean.tolist() for mean in means), strict=True)
    return tuple(
        ReliabilityBin(i / ECE_BINS, (i + 1) / ECE_BINS, *row) for i, row in enumerate(columns)
    )


def calibration_error(y_true: ArrayLike, probabilities: ArrayLike) -> float:
    """Return the expected calibration error of the top answer, 0 to 1; lower is better.

    The mean over all answers of the gap between a bin's accuracy and its mean confidence.

    Examples:
        >>> round(calibration_error([0, 0], [[0.8, 0.2], [0.1, 0.9]]), 6)
        0.55
    """
    bins = reliability_bins(y_true, probabilities)
    total = sum(row.count for row in bins)
    return sum(row.count / total * abs(row.accuracy - row.confidence) for row in bins)


def coverage_curve(y_true: ArrayLike, probabilities: ArrayLike) -> tuple[CoveragePoint, ...]:
    """Return accuracy against coverage for every confidence that occurs, from high to low.

    The last point has coverage 1 and the plain accuracy. Equal confidences share one point.

    Examples:
        >>> [(p.coverage, p.accuracy) for p in coverage_curve([0, 0], [[0.9, 0.1], [0.4, 0.6]])]
        [(0.5, 1.0), (1.0, 0.5)]
    """
    confidence, right = _confidence_and_right(y_true, probabilities)
    order = np.argsort(-confidence, kind="stable")
    descending = confidence[order]
    n_right = np.cumsum(right[order])
    last_of_equals = np.flatnonzero(np.append(descending[1:] < descending[:-1], True))
    return tuple(
        CoveragePoint(float(descending[i]), (i + 1) / len(order), float(n_right[i] / (i + 1)))
        for i in last_of_equals.tolist()
    )


def _confidence_and_right(y_true: ArrayLike, probabilities: ArrayLike) -> tuple[Rows, Rows]:
    """Return the top probability of each row and how right that answer is, 0 to 1."""
    truth, rows = _as_rows(y_true, probabilities)
    return rows.max(axis=1), truth[np.arange(len(rows)), rows.argmax(axis=1)]


def _as_rows(y_true: ArrayLike, probabilities: ArrayLike) -> tuple[Rows, Rows]:
    """Return the share of each label, and the probabilities; rows of both sum to 1 exactly."""
    truth, rows = np.asarray(y_true), np.asarray(probabilities, np.float64)
    shares = truth.astype(np.float64) if truth.ndim == 2 else np.eye(rows.shape[1])[truth]
    return shares / shares.sum(axis=1, keepdims=True), rows / rows.sum(axis=1, keepdims=True)


def library(name: str) -> Any:  # noqa: ANN401 - neither library publishes types
    """Import a module of scikit-learn or SciPy by its name.

    Raises:
        MissingExtraError: It is not installed.
    """
    with needs_extra("evaluate"):
        return import_module(name)
