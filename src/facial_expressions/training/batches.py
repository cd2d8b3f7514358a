"""Training batches: order, augmentation and targets, derived from seed, epoch and row number."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facial_expressions.data.dataset import Split
from facial_expressions.preprocessing import Preprocessing, to_batch
from facial_expressions.training.augmentation import augment, draw_epoch
from facial_expressions.training.recipe import Recipe

__all__ = ["Batch", "TrainingBatches", "class_weights", "one_hot"]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """One step's input.

    Attributes:
        inputs: ``float32 (N, S, S, C)``.
        targets: A distribution over the label set for each picture, ``float32 (N, K)``.
        weights: Weight of each picture in the loss, ``float32 (N,)``.
    """

    inputs: NDArray[np.float32]
    targets: NDArray[np.float32]
    weights: NDArray[np.float32]


class TrainingBatches:
    """The batches of every epoch of one run; any of them can be asked for, in any order.

    Args:
        split: Training pictures.
        n_classes: Length of the label set, K.
        recipe: Seed, batch size, augmentation and class weights.
        preprocessing: How crops become input.
    """

    def __init__(
        self, split: Split, *, n_classes: int, recipe: Recipe, preprocessing: Preprocessing
    ) -> None:
        self._split = split
        self._recipe = recipe
        self._preprocessing = preprocessing
        self._targets = one_hot(split.labels, n_classes)
        by_class = np.ones(n_classes, np.float32)
        if recipe.optimization.class_weights == "balanced":
            by_class = class_weights(split.labels, n_classes)
        self._weights = by_class[split.labels]
        self._epoch = -1

    def __len__(self) -> int:
        return math.ceil(len(self._split) / self._recipe.optimization.batch_size)

    def load(self, epoch: int, step: int) -> Batch:
        """Return one batch.

        Args:
            epoch: Epoch, from 0.
            step: Step in the epoch, from 0.
        """
        if epoch != self._epoch:
            n, seed = len(self._split), self._recipe.run.seed
            self._order = np.random.default_rng([seed, epoch, 0]).permutation(n)
            self._draws = draw_epoch(n, seed=seed, epoch=epoch)
            self._epoch = epoch
        size = self._recipe.optimization.batch_size
        rows = self._order[step * size : (step + 1) * size]
        crops = augment(self._split.images[rows], self._draws[rows], self._recipe.augmentation)
        inputs = to_batch(crops, self._preprocessing)
        return Batch(inputs=inputs, targets=self._targets[rows], weights=self._weights[rows])


def one_hot(labels: NDArray[np.int64], n_classes: int) -> NDArray[np.float32]:
    """Return each label as a row of zeros with a one at its id, ``float32 (N, K)``."""
    return np.eye(n_classes, dtype=np.float32)[labels]


def class_weights(labels: NDArray[np.int64], n_classes: int) -> NDArray[np.float32]:
    """Return N / (K * count) for each class, so that all classes weigh the same; ``float32 (K,)``.

    Example:
        >>> class_weights(np.array([0, 0, 0, 1]), 2)
        array([0.6666667, 2.       ], dtype=float32)
    """
    counts = np.bincount(labels, minlength=n_classes)
    return (len(labels) / (n_classes * np.maximum(counts, 1))).astype(np.float32)
