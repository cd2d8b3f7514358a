"""Figures of a set of predictions: the headline, and what its probabilities are worth.

Against what people see, the report's own figures are those of images on which a strict majority of
ten votes agrees. Besides them stand the figures against the vote shares of all images, and those
against FER-2013's label, which the same images got from an image search in 2013: an answer that
gains on one side may lose on the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facial_expressions.calibration import Calibration
from facial_expressions.data.ferplus import vote_shares
from facial_expressions.evaluation import metrics
from facial_expressions.evaluation.calibration import without_calibration
from facial_expressions.evaluation.predictions import Predictions
from facial_expressions.labels import PEOPLE

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

    The temperature is the file's divisor of the logits; the others as in ``ProbabilityFigures``.
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
        reliability: The bins of the calibration error.
        coverage: Accuracy against coverage, one point per hundredth of coverage.
        uncertain: What the model's own threshold of ``uncertain`` does.
        uncalibrated: The figures without the file's temperature; None when there is none.
    """

    nll: float
    brier: float
    ece: float
    reliability: tuple[metrics.ReliabilityBin, ...]
    coverage: tuple[metrics.CoveragePoint, ...]
    uncertain: metrics.CoveragePoint
    uncalibrated: Uncalibrated | None = None


@dataclass(frozen=True, slots=True)
class VoteFigures:
    """The probabilities against the shares of the votes for the seven expressions.

    Attributes:
        n: Images that have such a vote.
        nll: Mean of ``-sum(share * log p)``, nats.
        brier: Mean of ``sum((p - share) ** 2)``, 0 to 2.
        ece: Expected calibration error, 15 bins, 0 to 1, where an answer is as right as the share
            of votes that it got: with 0 a confidence of 0.8 means that eight in ten would say so.
        kl: Mean Kullback-Leibler divergence of the probabilities from the votes, nats.
        reliability: The bins of the calibration error.
    """

    n: int
    nll: float
    brier: float
    ece: float
    kl: float
    reliability: tuple[metrics.ReliabilityBin, ...]


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """The same answers, on all images of the split, against FER-2013's label."""

    n: int
    accuracy: float
    balanced_accuracy: float


def scores_of(predictions: Predictions) -> metrics.ClassificationScores:
    """Return precision, recall and F1 per class; no answer counts as wrong."""
    truth, predicted = predictions.truth, predictions.predicted
    return metrics.classification_scores(truth, predicted, n_classes=len(predictions.labels))


def headline_of(predictions: Predictions) -> Headline:
    """Return accuracy with its interval and macro F1; no answer counts as wrong."""
    n_right, n = int(predictions.right.sum()), len(predictions)
    interval = metrics.wilson_interval(n_right, n)
    return Headline(n, predictions.accuracy, interval, scores_of(predictions).macro.f1)


def probability_figures_of(
    predictions: Predictions, calibration: Calibration
) -> ProbabilityFigures | None:
    """Return the figures of the images that have an answer, or None when none has.

    Args:
        predictions: Truth and answers.
        calibration: What was done to the logits behind these probabilities, and the threshold of
            ``uncertain``; where it did something the figures without it are worked out as well.
    """
    answered = predictions.answered
    if not answered.any():
        return None
    truth, rows = predictions.truth[answered], predictions.probabilities[answered]
    curve = metrics.coverage_curve(truth, rows)
    threshold = calibration.uncertain_below
    certain = [point for point in curve if point.threshold >= threshold]
    coverage, accuracy = (certain[-1].coverage, certain[-1].accuracy) if certain else (0.0, 0.0)
    uncalibrated = None
    if calibration.temperature != 1 or calibration.top_label is not None:
        before = without_calibration(rows, calibration)
        uncalibrated = Uncalibrated(calibration.temperature, **_errors(truth, before))
    return ProbabilityFigures(
        **_errors(truth, rows),
        reliability=metrics.reliability_bins(truth, rows),
        coverage=_thinned(curve),
        uncertain=metrics.CoveragePoint(threshold, coverage, accuracy),
        uncalibrated=uncalibrated,
    )


def vote_figures_of(predictions: Predictions, votes: NDArray[np.uint8]) -> VoteFigures:
    """Return the figures of the images that have a vote for one of the seven expressions.

    Args:
        predictions: Answers on all images, in FER-2013's seven expressions, in any order.
        votes: The votes on them, ``uint8 (N, 10)``; one or more for the seven.
    """
    columns = [PEOPLE.id_of(name) for name in predictions.labels]
    every = vote_shares(votes, PEOPLE)[:, columns]
    has_votes = every.any(axis=1)
    shares, rows = every[has_votes], predictions.probabilities[has_votes]
    return VoteFigures(
        n=len(rows),
        **_errors(shares, rows),
        kl=metrics.kl_divergence(shares, rows),
        reliability=metrics.reliability_bins(shares, rows),
    )


def label_figures_of(predictions: Predictions) -> LabelFigures:
    """Return the figures against the labels that the images came with."""
    scores = scores_of(predictions)
    return LabelFigures(len(predictions), predictions.accuracy, scores.balanced_accuracy)


def _errors(y_true: ArrayLike, rows: ArrayLike) -> dict[str, float]:
    return {
        "nll": metrics.negative_log_likelihood(y_true, rows),
        "brier": metrics.brier_error(y_true, rows),
        "ece": metrics.calibration_error(y_true, rows),
    }


def _thinned(curve: tuple[metrics.CoveragePoint, ...]) -> tuple[metrics.CoveragePoint, ...]:
    """Keep for each hundredth of coverage the first point that reaches it."""
    coverages = np.array([point.coverage for point in curve])
    wanted = np.arange(1, _COVERAGE_STEPS + 1) / _COVERAGE_STEPS
    chosen = np.unique(np.searchsorted(coverages, wanted - 1e-9))
    return tuple(curve[i] for i in chosen)
