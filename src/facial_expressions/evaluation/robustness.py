"""Robustness: the accuracy of a classifier on corrupted crops, by kind and severity."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from facial_expressions.data.dataset import Split
from facial_expressions.evaluation.corruptions import (
    CORRUPTIONS,
    SEVERITIES,
    Corruption,
    corrupt,
)
from facial_expressions.evaluation.metrics import accuracy_score
from facial_expressions.evaluation.predictions import OnProgress, predict_split
from facial_expressions.inference.contracts import Classifier


@dataclass(frozen=True, slots=True)
class CorruptionFigures:
    """Accuracy under one kind of corruption.

    Attributes:
        name: The kind.
        group: ``box`` or ``image``.
        levels: The amount at each severity.
        unit: What the amounts are.
        accuracies: Share of right answers at each severity, 0 to 1.
    """

    name: str
    group: str
    levels: tuple[float, ...]
    unit: str
    accuracies: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean accuracy over the severities."""
        return float(np.mean(self.accuracies))


@dataclass(frozen=True, slots=True)
class Robustness:
    """The corruption table of one classifier on one split.

    Attributes:
        clean_accuracy: Accuracy on the images as they are, 0 to 1.
        kinds: One row per kind.
    """

    clean_accuracy: float
    kinds: tuple[CorruptionFigures, ...]

    @property
    def mean_accuracy(self) -> float:
        """Mean accuracy over the whole table, every cell alike."""
        return float(np.mean([kind.accuracies for kind in self.kinds]))

    @property
    def relative_accuracy(self) -> float:
        """Mean accuracy over the table as a share of the clean one; 0 when that is 0."""
        return self.mean_accuracy / self.clean_accuracy if self.clean_accuracy else 0.0

    @property
    def box_loss(self) -> float:
        """Clean accuracy less the mean over the kinds of the group ``box``; 0.01 is one point."""
        box = [kind.accuracies for kind in self.kinds if kind.group == "box"]
        return self.clean_accuracy - float(np.mean(box)) if box else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, not rounded."""
        return {
            "clean_accuracy": self.clean_accuracy,
            "mean_accuracy": self.mean_accuracy,
            "relative_accuracy": self.relative_accuracy,
            "box_loss": self.box_loss,
            "severities": list(SEVERITIES),
            "kinds": {
                kind.name: {
                    "group": kind.group,
                    "levels": list(kind.levels),
                    "unit": kind.unit,
                    "accuracy": list(kind.accuracies),
                    "mean": kind.mean,
                }
                for kind in self.kinds
            },
        }


def measure_robustness(
    classifier: Classifier,
    split: Split,
    *,
    clean_accuracy: float,
    batch_size: int = 256,
    seed: int = 0,
    progress: OnProgress | None = None,
) -> Robustness:
    """Ask a classifier for every image under every corruption.

    Args:
        classifier: What to ask, 55 times the split.
        split: Grey crops ``uint8 (N, S, S)``; labels are ids in the classifier's label set.
        clean_accuracy: Its accuracy on the split as it is.
        batch_size: Crops per call; changes speed and memory, not answers.
        seed: Of what is random in the corruptions.
        progress: Called with corrupted images done and corrupted images in all.

    Raises:
        DatasetError: The split is empty or has a label that the classifier lacks.
        ModelError: The classifier does not return probabilities.
    """
    n_runs = len(CORRUPTIONS) * len(SEVERITIES)
    accuracies = []
    for corruption, severity in _cells():
        images = corrupt(split.images, corruption, severity=severity, seed=seed)
        answers = predict_split(classifier, replace(split, images=images), batch_size=batch_size)
        accuracies.append(accuracy_score(answers.truth, answers.predicted))
        if progress is not None:
            progress(len(accuracies) * len(split), n_runs * len(split))
    rows = np.reshape(accuracies, (len(CORRUPTIONS), len(SEVERITIES))).tolist()
    return Robustness(
        clean_accuracy,
        tuple(
            CorruptionFigures(kind.name, kind.group, kind.levels, kind.unit, tuple(row))
            for kind, row in zip(CORRUPTIONS, rows, strict=True)
        ),
    )


def _cells() -> list[tuple[Corruption, int]]:
    return [(kind, severity) for kind in CORRUPTIONS for severity in SEVERITIES]
