"""What a teacher is: something that gives distributions for the pictures of a training step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facial_expressions.labels import LabelSet
from facial_expressions.training.recipe import Recipe

__all__ = ["Lesson", "Pupil", "Teacher", "soften"]


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """The pictures of one step, as a teacher is shown them.

    Attributes:
        epoch: Epoch, from 0.
        start: Number of the step's first picture in the epoch, views not counted.
        rows: Row number of each input in the training split, ``int64 (N,)``: all pictures of the
            step in their first view, then in their second, and so on.
        crops: Makes the pictures after augmentation, before mixing: grey values 0 to 255,
            ``float32 (N, S, S)``.
    """

    epoch: int
    start: int
    rows: NDArray[np.int64]
    crops: Callable[[], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class Pupil:
    """What teachers must know of the network that learns from them.

    Attributes:
        recipe: Its recipe.
        label_sets: Label set of each of its heads.
        images: Its training pictures, ``uint8 (N, S, S)``.
        data_digest: Digest of the data set that they are from.
    """

    recipe: Recipe
    label_sets: tuple[LabelSet, ...]
    images: NDArray[np.uint8]
    data_digest: str


class Teacher(Protocol):
    """Gives a distribution for each picture of a lesson: networks at work, or answers kept."""

    @property
    def computes(self) -> bool:
        """Whether a network computes each answer, rather than it being looked up."""

    @property
    def taught(self) -> tuple[bool, ...]:
        """For each head of the pupil whether this teaches it."""

    @property
    def identity(self) -> Mapping[str, object]:
        """What this teacher is, as plain values; another's run is not resumed."""

    def answer(self, lesson: Lesson) -> tuple[NDArray[np.float32], ...]:
        """Return for each taught head the probabilities, ``float32 (N, K)``."""


def soften(probabilities: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Return the distributions with their logits divided by a temperature.

    Args:
        probabilities: ``(N, K)``.
        temperature: Divisor; over 1 evens out.

    Examples:
        >>> soften(np.array([[0.8, 0.2]], np.float32), 2.0).round(3)  # 2 to 1
        array([[0.667, 0.333]], dtype=float32)
    """
    powers = np.maximum(probabilities, 1e-12) ** np.float32(1 / temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)
