"""Figures of a set of predictions: the headline, and what its probabilities are worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.calibration import Calibration
from facial_expressions.evaluation.calibration import without_calibration
from facial_expressions.evaluation.metrics import (
    accuracy_score,
    classification_scores,
    wilson_interval,
)
from facial_expressions.evaluation.predictions import Predictions
from facial_expressions.evaluation.probability_metrics import (
    CoveragePoint,
    ReliabilityBin,
    brier_error,
    calibration_error,
    coverage_curve,
    negative_log_likelihood,
    reliability_bins,
)

_COVERAGE_STEPS: Final = 100


@dataclass(frozen=True, slots=True)
class Headline:
    """The figures of a set or subset of images.

    Attributes:
        n: Images.
        accuracy: Share of right answers, 0 to 1.
        accuracy_ci95: Wilson's 95% interval of it.
        macro_f1: F1 averaged over the classes, 0 to 1.
    """

    n: int
    accuracy: float
    accuracy_ci95: tuple[float, float]
    macro_f1: float


@dataclass(frozen=True, slots=True)
class Uncalibrated:
    """What the probabilities were worth before the calibration that the model file applies.

    Attributes:
        temperature: The file's divisor of the logits.
        nll: Mean negative log-likelihood without calibration, nats.
        brier: Multi-class Brier score without it, 0 to 2.
        ece: Expected calibration error without it, 15 bins, 0 to 1.
    """

    temperature: float
    nll: float
    brier: float
    ece: float


@dataclass(frozen=True, slots=True)
class ProbabilityFigures:
    """The figures of the probabilities.

    Attributes:
        nll: Mean negative log-likelihood, nats.
        brier: Multi-class Brier score, 0 to 2.
        ece: Expected calibration error, 15 bins, 0 to 1.
        reliability: The bins of it.
        coverage: Accuracy at about a hundred coverages, from low to high coverage.
        uncertain: The model's own threshold, the share of certain answers and their accuracy.
        uncalibrated: The first three without the model's calibration; None when it has none, or
            when it cannot be taken out again.
    """

    nll: float
    brier: float
    ece: float
    reliability: tuple[ReliabilityBin, ...]
    coverage: tuple[CoveragePoint, ...]
    uncertain: CoveragePoint
    uncalibrated: Uncalibrated | None = None


def headline_of(predictions: Predictions) -> Headline:
    """Return accuracy with its interval and macro F1; no answer counts as wrong."""
    right, n = int(predictions.right.sum()), len(predictions)
    scores = classification_scores(
        predictions.truth, predictions.predicted, n_classes=len(predictions.labels)
    )
    return Headline(
        n=n,
        accuracy=accuracy_score(predictions.truth, predictions.predicted),
        accuracy_ci95=wilson_interval(right, n),
        macro_f1=scores.macro.f1,
    )


def probability_figures_of(
    predictions: Predictions, *, uncertain_below: float, calibration: Calibration | None = None
) -> ProbabilityFigures | None:
    """Return the figures of the images that have an answer, or None when none has.

    Args:
        predictions: Truth and answers.
        uncertain_below: The model's threshold of ``uncertain``, 0 to 1.
        calibration: What was done to the logits behind these probabilities; where it did something
            the figures without it are worked out as well.
    """
    answered = predictions.answered
    if not answered.any():
        return None
    truth, rows = predictions.truth[answered], predictions.probabilities[answered]
    curve = coverage_curve(truth, rows)
    certain = [point for point in curve if point.threshold >= uncertain_below]
    coverage, accuracy = (certain[-1].coverage, certain[-1].accuracy) if certain else (0.0, 0.0)
    return ProbabilityFigures(
        nll=negative_log_likelihood(truth, rows),
        brier=brier_error(truth, rows),
        ece=calibration_error(truth, rows),
        reliability=reliability_bins(truth, rows),
        coverage=_thinned(curve),
        uncertain=CoveragePoint(uncertain_below, coverage, accuracy),
        uncalibrated=_uncalibrated(truth, rows, calibration) if calibration else None,
    )


def _uncalibrated(
    truth: NDArray[np.int64], rows: NDArray[np.float32], calibration: Calibration
) -> Uncalibrated | None:
    """Return the figures of the network's own softmax; None when that is what the rows are."""
    if calibration.temperature == 1 and calibration.top_label is None:
        return None
    before = without_calibration(rows, calibration)
    return Uncalibrated(
        temperature=calibration.temperature,
        nll=negative_log_likelihood(truth, before),
        brier=brier_error(truth, before),
        ece=calibration_error(truth, before),
    )


def _thinned(curve: tuple[CoveragePoint, ...]) -> tuple[CoveragePoint, ...]:
    """Keep for each hundredth of coverage the first point that reaches it."""
    coverages = np.array([point.coverage for point in curve])
    wanted = np.arange(1, _COVERAGE_STEPS + 1) / _COVERAGE_STEPS
    chosen = np.unique(np.searchsorted(coverages, wanted - 1e-9))
    return tuple(curve[i] for i in chosen)
