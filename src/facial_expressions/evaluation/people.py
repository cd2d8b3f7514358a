"""Figures of an answer against what people see: ten votes on every image of FER-2013.

The report's own figures are those of images on which a strict majority agrees. Besides them stand
the figures against the vote shares of all images, and those against FER-2013's label, which the
same images got from an image search in 2013: an answer that gains on one side may lose on the
other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facial_expressions.data.dataset import Split
from facial_expressions.data.ferplus import strict_majority, vote_shares
from facial_expressions.errors import DatasetError
from facial_expressions.evaluation.metrics import accuracy_score, balanced_accuracy_score
from facial_expressions.evaluation.predictions import Predictions
from facial_expressions.evaluation.probability_metrics import (
    ReliabilityBin,
    brier_error,
    calibration_error,
    kl_divergence,
    negative_log_likelihood,
    reliability_bins,
)
from facial_expressions.labels import PEOPLE, LabelSet


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
    reliability: tuple[ReliabilityBin, ...]


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """The same answers against FER-2013's label.

    Attributes:
        n: Images: all of the split.
        accuracy: Share of right answers, 0 to 1.
        balanced_accuracy: Mean recall over the classes that have images.
    """

    n: int
    accuracy: float
    balanced_accuracy: float


def majority_split(split: Split, votes: NDArray[np.uint8], labels: LabelSet) -> Split:
    """Return the images on which a strict majority agrees, with what it says as their label.

    Args:
        split: Images.
        votes: The votes on them, ``uint8 (N, 10)``, as ``ferplus_votes`` returns them.
        labels: The classifier's label set: FER-2013's seven expressions, in any order.

    Raises:
        DatasetError: The classifier has other labels, there are more or fewer votes than images,
            or no image has a strict majority.
    """
    if set(labels) != set(PEOPLE):
        raise DatasetError(
            f"labels {list(labels)}: votes need a classifier of the seven expressions "
            f"{list(PEOPLE)}. Choose another model or head"
        )
    if len(votes) != len(split):
        raise DatasetError(
            f"votes: {len(votes):,} rows for the {len(split):,} images of split {split.name!r}. "
            "Give what ferplus_votes returns for it"
        )
    majority = strict_majority(votes, PEOPLE)
    kept = majority >= 0
    if not kept.any():
        raise DatasetError(
            f"split {split.name!r}: no image has a strict majority for one of the seven "
            f"expressions, in {int(votes.sum()):,} votes on {len(split):,} images. Give "
            "fer2013new.csv"
        )
    id_in_labels = np.array([labels.id_of(name) for name in PEOPLE], np.int64)
    return replace(split.take(kept), labels=id_in_labels[majority[kept]])


def majority_answers(
    answers: Predictions, votes: NDArray[np.uint8], truth: NDArray[np.int64]
) -> Predictions:
    """Return the answers on the images of ``majority_split``, whose labels are the truth."""
    return replace(answers.take(strict_majority(votes, PEOPLE) >= 0), truth=truth)


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
        nll=negative_log_likelihood(shares, rows),
        brier=brier_error(shares, rows),
        ece=calibration_error(shares, rows),
        kl=kl_divergence(shares, rows),
        reliability=reliability_bins(shares, rows),
    )


def label_figures_of(predictions: Predictions) -> LabelFigures:
    """Return the figures against the labels that the images came with."""
    truth, predicted = predictions.truth, predictions.predicted
    return LabelFigures(
        n=len(predictions),
        accuracy=accuracy_score(truth, predicted),
        balanced_accuracy=balanced_accuracy_score(
            truth, predicted, n_classes=len(predictions.labels)
        ),
    )
