"""Several classifiers as one: the mean of their probabilities.

Networks that were trained apart are wrong in different places, so their mean is right more often
than the best of them, at the sum of their costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.errors import ModelError
from facial_expressions.inference.contracts import CropClassifier
from facial_expressions.inference.model_store import ENSEMBLE
from facial_expressions.labels import LabelSet
from facial_expressions.model_metadata import ModelMetadata

__all__ = ["EnsembleClassifier"]


class EnsembleClassifier:
    """Several classifiers of one label set, asked together; it answers with their mean.

    Made by ``load_classifier("ensemble")`` from the networks that ship. Each member scales the
    same crops to its own input. It never changes, may be shared between threads, and pickles as
    its members.

    Args:
        members: One classifier or more, of the same label set.

    Attributes:
        members: The classifiers, in the order given.
        metadata: What is known of it: the size is the largest of the members', the threshold of
            ``uncertain`` the mean of theirs, the temperature 1, for each member has its own inside.

    Raises:
        ModelError: There is no member, or two differ in their label sets.

    Examples:
        >>> from facial_expressions.inference.classifier import load_classifier
        >>> ensemble = load_classifier("ensemble")
        >>> ensemble.predict_proba(np.zeros((2, 48, 48), np.uint8)).shape
        (2, 7)
    """

    def __init__(self, members: Sequence[CropClassifier]) -> None:
        _check_members(members)
        self.members: Final = tuple(members)
        self.metadata: Final = _joint_metadata([member.metadata for member in members])

    @property
    def labels(self) -> LabelSet:
        """Label set of the columns that ``predict_proba`` returns."""
        return self.metadata.labels

    @property
    def files(self) -> tuple[Path, ...]:
        """The members' model files."""
        return tuple(file for member in self.members for file in member.files)

    @property
    def n_views(self) -> int:
        """Variants of a crop that each member averages; the most of any."""
        return max(member.n_views for member in self.members)

    def predict_proba(
        self, crops: NDArray[np.uint8], *, batch_size: int = 256
    ) -> NDArray[np.float32]:
        """Return the members' mean probability of each expression for each crop.

        Args:
            crops: Grey ``uint8 (N, S, S)`` or RGB ``uint8 (N, S, S, 3)`` of any side S; N may be 0.
            batch_size: Crops in one run of a network; the answers do not depend on it.

        Returns:
            ``float32 (N, K)``, columns in the order of ``labels``; rows sum to 1.

        Raises:
            ImageError: The crops have another shape or dtype.
            ModelError: A network gives something that is no probability.
            ValueError: ``batch_size`` is under 1.
        """
        rows = [member.predict_proba(crops, batch_size=batch_size) for member in self.members]
        return np.asarray(np.mean(rows, axis=0, dtype=np.float64), np.float32)

    @property
    def explains(self) -> bool:
        """Whether it can say where in a crop it looked: no."""
        return False

    def explain(self, crops: NDArray[np.uint8], *, batch_size: int = 256) -> NDArray[np.float32]:
        """Raise: the mean of several networks' probabilities has no class activation map.

        Raises:
            ModelError: Always.
        """
        names = [member.metadata.name for member in self.members]
        raise ModelError(
            f"an ensemble cannot say where it looked; received the mean of {names}; "
            "ask one model that has maps"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return (EnsembleClassifier, (self.members,))

    def __repr__(self) -> str:
        names = [member.metadata.name for member in self.members]
        return f"EnsembleClassifier({names}, labels={self.labels.name!r})"


def _check_members(members: Sequence[CropClassifier]) -> None:
    """Raise unless there are members whose answers can be averaged."""
    if not members:
        raise ModelError(
            "an ensemble needs one model or more; received none of the label set it is for; "
            "choose a model by its name"
        )
    first = members[0].metadata
    for metadata in (member.metadata for member in members[1:]):
        if metadata.labels != first.labels:
            raise ModelError(
                f"the members of an ensemble have one label set; received {list(first.labels)} of "
                f"{first.name} and {list(metadata.labels)} of {metadata.name}; leave one out"
            )


def _joint_metadata(members: Sequence[ModelMetadata]) -> ModelMetadata:
    """Return what is known of the whole."""
    largest = max(metadata.preprocessing.size for metadata in members)
    return ModelMetadata(
        name=ENSEMBLE,
        architecture=f"mean of {' and '.join(metadata.name for metadata in members)}",
        labels=members[0].labels,
        preprocessing=replace(members[0].preprocessing, size=largest),
        uncertain_below=float(np.mean([metadata.uncertain_below for metadata in members])),
        licence=" AND ".join(_different(metadata.licence for metadata in members)),
        data="; ".join(_different(metadata.data for metadata in members)),
    )


def _different(texts: Iterable[str]) -> list[str]:
    """Return each text once, in the order of first appearance."""
    return list(dict.fromkeys(text for text in texts if text))
