"""Metrics of probabilities: likelihood, Brier, calibration and coverage.

``y_true`` comes first: label ids ``0..K-1``, ``(N,)``, or what share of people gave each label,
``(N, K)``. Where it is shares an answer is as right as the share that it got. Probabilities are
``(N, K)``; rows of both sum to 1. The confidence of an answer is its probability, the largest of
its row.

References: Brier 1950; Naeini et al. 2015 and Guo et al. 2017, arXiv:1706.04599 (calibration
error); El-Yaniv and Wiener 2010 (accuracy against coverage).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facial_expressions.evaluation.metrics import check_ids

ECE_BINS: Final = 15
"""Equal-width bins of the expected calibration error, as in Guo et al. 2017."""

_FLOOR: Final = float(np.finfo(np.float64).eps)

Probabilities = NDArray[np.float64]


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


def negative_log_likelihood(y_true: ArrayLike, probabilities: ArrayLike) -> float:
    """Return the mean of ``-log p(truth)`` in nats, weighted by shares; lower is better.

    A probability of 0 counts as 2.2e-16, the floor of scikit-learn's ``log_loss``.

    Examples:
        >>> round(negative_log_likelihood([0, 1], [[0.5, 0.5], [0.75, 0.25]]), 4)
        1.0397
    """
    rows = normalize_rows(probabilities)
    truth = _shares(y_true, n_rows=len(rows), n_classes=rows.shape[1])
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
    Lower is better.

    Examples:
        >>> round(brier_error([0], [[0.7, 0.2, 0.1]]), 6)
        0.14
    """
    rows = normalize_rows(probabilities)
    truth = _shares(y_true, n_rows=len(rows), n_classes=rows.shape[1])
    return float(np.mean(np.sum((rows - truth) ** 2, axis=1)))


def reliability_bins(
    y_true: ArrayLike, probabilities: ArrayLike, *, n_bins: int = ECE_BINS
) -> tuple[ReliabilityBin, ...]:
    """Sort the answers by confidence into equal-width bins.

    Args:
        y_true: Label ids, ``(N,)``, or shares, ``(N, K)``.
        probabilities: ``(N, K)``.
        n_bins: Number of bins between 0 and 1.

    Returns:
        One value per bin, from low to high confidence; empty bins are there with a count of 0.

    Examples:
        >>> [b.count for b in reliability_bins([0, 1], [[0.6, 0.4], [0.1, 0.9]], n_bins=2)]
        [0, 2]
    """
    if n_bins < 1:
        raise ValueError(f"n_bins: must be 1 or more, not {n_bins}")
    confidence, right = _confidence_and_right(y_true, probabilities)
    index = np.clip(np.ceil(confidence * n_bins).astype(np.int64) - 1, 0, n_bins - 1)
    counts = np.bincount(index, minlength=n_bins)
    divisor = np.maximum(counts, 1)
    mean_confidence = np.bincount(index, weights=confidence, minlength=n_bins) / divisor
    mean_right = np.bincount(index, weights=right, minlength=n_bins) / divisor
    return tuple(
        ReliabilityBin(
            i / n_bins,
            (i + 1) / n_bins,
            int(counts[i]),
            float(mean_confidence[i]),
            float(mean_right[i]),
        )
        for i in range(n_bins)
    )


def calibration_error(
    y_true: ArrayLike, probabilities: ArrayLike, *, n_bins: int = ECE_BINS
) -> float:
    """Return the expected calibration error of the top answer, 0 to 1; lower is better.

    The mean over all answers of the gap between a bin's accuracy and its mean confidence.

    Examples:
        >>> round(calibration_error([0, 0], [[0.8, 0.2], [0.1, 0.9]]), 6)
        0.55
    """
    bins = reliability_bins(y_true, probabilities, n_bins=n_bins)
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


def normalize_rows(probabilities: ArrayLike) -> Probabilities:
    """Check probabilities and return them as ``float64 (N, K)`` with rows that sum to 1 exactly.

    Raises:
        ValueError: The shape is not ``(N, K)`` with N >= 1 and K >= 2, a value is negative or not
            finite, or a row's sum is further than 0.001 from 1.

    Examples:
        >>> normalize_rows([[0.25, 0.75]])
        array([[0.25, 0.75]])
    """
    rows = np.asarray(probabilities, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[0] < 1 or rows.shape[1] < 2:
        raise ValueError(
            f"probabilities: shape {rows.shape} instead of (N, K) with N >= 1, K >= 2. Pass the "
            "output of predict_proba"
        )
    sums = rows.sum(axis=1, keepdims=True)
    if not np.all(np.isfinite(rows)) or np.any(rows < 0) or np.any(np.abs(sums - 1) > 1e-3):
        raise ValueError(
            f"probabilities: values {rows.min()} to {rows.max()} and row sums {sums.min()} to "
            f"{sums.max()} instead of 0 to 1 and 1. Pass the output of predict_proba"
        )
    return np.asarray(rows / sums, dtype=np.float64)


def _confidence_and_right(
    y_true: ArrayLike, probabilities: ArrayLike
) -> tuple[Probabilities, NDArray[np.float64]]:
    """Return the top probability of each row and how right that answer is, 0 to 1."""
    rows = normalize_rows(probabilities)
    truth = _shares(y_true, n_rows=len(rows), n_classes=rows.shape[1])
    return rows.max(axis=1), truth[np.arange(len(rows)), rows.argmax(axis=1)]


def _shares(y_true: ArrayLike, *, n_rows: int, n_classes: int) -> Probabilities:
    """Return the share of each label, ``(N, K)``, after checking number and range."""
    truth = np.asarray(y_true)
    if truth.shape not in {(n_rows,), (n_rows, n_classes)}:
        raise ValueError(
            f"labels: shape {truth.shape} for {n_rows} rows of probabilities. Pass one per row, "
            "in the same order"
        )
    if truth.ndim == 2:
        return normalize_rows(truth)
    ids = truth.astype(np.int64)
    check_ids("truth", ids, lowest=0, n_classes=n_classes)
    return np.asarray(np.eye(n_classes)[ids], np.float64)
