"""Metrics of answers: pure functions of the true and the predicted label ids.

``*_score`` is better when higher, ``*_error`` when lower. ``y_true`` comes first and holds label
ids ``0..K-1``; ``y_predicted`` may hold -1 for "no answer", which is never right. What scikit-learn
or SciPy has is taken from there, with ``labels=range(K)`` and ``zero_division=0``: a class without
images counts as 0 in a macro average.

References: Wilson 1927 (interval of a share); McNemar 1947, exact form (paired comparison).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facial_expressions.errors import needs_extra

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Scores of one class.

    Attributes:
        precision: Share of right answers among the answers that name this class, 0 to 1.
        recall: Share of this class's images that were answered right, 0 to 1.
        f1: Harmonic mean of the two.
        support: Images of this class.
    """

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Averages:
    """Precision, recall and F1 averaged over the classes, each 0 to 1."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class ClassificationScores:
    """Per-class scores with their plain and their support-weighted mean."""

    per_class: tuple[ClassScores, ...]
    macro: Averages
    weighted: Averages

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


def wilson_interval(n_right: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95% score interval of a share.

    Args:
        n_right: Right answers.
        n: Answers.

    Raises:
        ValueError: ``n`` is not positive or ``n_right`` lies outside ``0..n``.
        MissingExtraError: SciPy is not installed.

    Examples:
        >>> [round(bound, 4) for bound in wilson_interval(8, 10)]
        [0.4902, 0.9433]
    """
    if n <= 0 or not 0 <= n_right <= n:
        raise ValueError(
            f"interval: n_right={n_right}, n={n} are out of range. Give 0 <= n_right <= n, n > 0"
        )
    interval = _binomial_test(n_right, n).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def confusion_matrix(y_true: ArrayLike, y_predicted: ArrayLike, *, n_classes: int) -> Ids:
    """Count images by truth (rows) and answer (columns), ``int64 (K, K)``.

    Images without an answer (-1) are in no column, so their row sums to less than its support.

    Examples:
        >>> confusion_matrix([0, 0, 1], [0, 1, 1], n_classes=2).tolist()
        [[1, 1], [0, 1]]
    """
    truth, predicted = _paired(y_true, y_predicted, n_classes=n_classes)
    counts = _sklearn_metrics().confusion_matrix(truth, predicted, labels=list(range(n_classes)))
    return np.asarray(counts, dtype=np.int64)


def classification_scores(
    y_true: ArrayLike, y_predicted: ArrayLike, *, n_classes: int
) -> ClassificationScores:
    """Return precision, recall, F1 and support per class, and their averages.

    Args:
        y_true: Label ids, ``(N,)``.
        y_predicted: Predicted label ids, ``(N,)``; -1 for no answer.
        n_classes: Length of the label set, K.

    Raises:
        ValueError: Lengths differ, an id is outside the label set, or there are not images.
        MissingExtraError: scikit-learn is not installed.

    Examples:
        >>> classification_scores([0, 0, 1], [0, 1, 1], n_classes=2).per_class[1].precision
        0.5
    """
    truth, predicted = _paired(y_true, y_predicted, n_classes=n_classes)
    score = _sklearn_metrics().precision_recall_fscore_support
    ids = list(range(n_classes))
    columns = score(truth, predicted, labels=ids, zero_division=0)
    macro, weighted = (
        score(truth, predicted, labels=ids, average=kind, zero_division=0)[:3]
        for kind in ("macro", "weighted")
    )
    per_class = tuple(
        ClassScores(float(precision), float(recall), float(f1), int(support))
        for precision, recall, f1, support in zip(*columns, strict=True)
    )
    return ClassificationScores(
        per_class, Averages(*map(float, macro)), Averages(*map(float, weighted))
    )


def mcnemar_test(first_right: ArrayLike, second_right: ArrayLike) -> McNemarResult:
    """Compare two classifiers on the same images by the exact, two-sided McNemar test.

    Args:
        first_right: Whether the first classifier is right, ``bool (N,)``.
        second_right: Whether the second one is, in the same order.

    Raises:
        ValueError: Lengths differ.

    Examples:
        >>> mcnemar_test([True] * 6 + [False], [False] * 6 + [False]).p_value
        0.03125
    """
    first, second = np.asarray(first_right, dtype=bool), np.asarray(second_right, dtype=bool)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(
            f"paired test: the answers have the shapes {first.shape} and {second.shape}. Give one "
            "answer of each classifier per image"
        )
    only_first, only_second = int(np.sum(first & ~second)), int(np.sum(second & ~first))
    # Were both equally good, either would be the right one as a coin falls.
    p_value = _binomial_test(only_first, n).pvalue if (n := only_first + only_second) else 1.0
    return McNemarResult(only_first, only_second, float(p_value))


def holm_adjusted(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p values that may each be held against one level although there are several tests.

    Holm 1979: the smallest is multiplied by the number of tests, the next by one less, and none
    becomes smaller than the one before it.

    Examples:
        >>> holm_adjusted([0.04, 0.01, 0.03])
        (0.06, 0.03, 0.06)
    """
    adjusted = [0.0] * len(p_values)
    least = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = min(1.0, max(least, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = least
    return tuple(adjusted)


def _binomial_test(k: int, n: int) -> Any:  # noqa: ANN401 - SciPy publishes no types
    """Return SciPy's exact test of ``k`` of ``n`` against one half, which has the intervals too."""
    with needs_extra("evaluate"):
        from scipy.stats import binomtest
    return binomtest(k, n)


def _paired(y_true: ArrayLike, y_predicted: ArrayLike, *, n_classes: int) -> tuple[Ids, Ids]:
    """Return both as arrays of ids after checking lengths and ranges."""
    truth = np.asarray(y_true, dtype=np.int64)
    predicted = np.asarray(y_predicted, dtype=np.int64)
    if truth.ndim != 1 or truth.shape != predicted.shape or len(truth) == 0:
        raise ValueError(
            f"truth and answers: shapes {truth.shape} and {predicted.shape} instead of twice (N,) "
            "with N >= 1"
        )
    check_ids("truth", truth, lowest=0, n_classes=n_classes)
    check_ids("answers", predicted, lowest=-1, n_classes=n_classes)
    return truth, predicted


def check_ids(name: str, ids: Ids, *, lowest: int, n_classes: int) -> None:
    """Raise when an id lies outside ``lowest..n_classes - 1``."""
    if ids.min() < lowest or ids.max() >= n_classes:
        raise ValueError(
            f"{name}: label ids {ids.min()} to {ids.max()}, outside {lowest} to {n_classes - 1}. "
            "Use the label set of the classifier"
        )


def _sklearn_metrics() -> ModuleType:
    with needs_extra("evaluate"):
        import sklearn.metrics
    return sklearn.metrics  # type: ignore[no-any-return]
