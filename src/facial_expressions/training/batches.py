"""Training batches: order, augmentation and targets, derived from seed, epoch and row number."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facial_expressions.data.dataset import Split
from facial_expressions.data.duplicates import duplicate_groups
from facial_expressions.preprocessing import Preprocessing, to_batch
from facial_expressions.training.augmentation import augment, draw_epoch
from facial_expressions.training.recipe import Recipe

__all__ = ["Batch", "TrainingBatches", "class_weights", "one_hot"]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """One step's input.

    Attributes:
        inputs: ``float32 (N, S, S, C)``.
        targets: For each head a distribution over its label set for each picture, ``float32
            (N, K)``; all zeros where nothing is known.
        weights: Weight of each picture in the loss, ``float32 (N,)``.
    """

    inputs: NDArray[np.float32]
    targets: tuple[NDArray[np.float32], ...]
    weights: NDArray[np.float32]


class TrainingBatches:
    """The batches of every epoch of one run; any of them can be asked for, in any order.

    Args:
        split: Training pictures.
        targets: For each head a distribution over its label set, ``float32 (N, K)``.
        recipe: Seed, batch size, augmentation and class weights.
        preprocessing: How crops become input.
    """

    def __init__(
        self,
        split: Split,
        targets: tuple[NDArray[np.float32], ...],
        *,
        recipe: Recipe,
        preprocessing: Preprocessing,
    ) -> None:
        self._split = split
        self._recipe = recipe
        self._preprocessing = preprocessing
        self._targets = targets
        if recipe.data.average_duplicates:
            groups = duplicate_groups(split.images)
            self._targets = tuple(_averaged(one, groups) for one in targets)
        n_classes = targets[0].shape[1]
        by_class = np.ones(n_classes, np.float32)
        if recipe.optimization.class_weights == "balanced":
            by_class = class_weights(split.labels, n_classes)
        self._weights = by_class[split.labels]
        self._epoch = -1

    def __len__(self) -> int:
        return math.ceil(len(self._split) / self._recipe.optimization.batch_size)

    def size_of(self, epoch: int) -> int:
        """Return the side of the pictures in one epoch, from 0."""
        sizes = (*self._recipe.augmentation.sizes, self._preprocessing.size)
        return sizes[epoch * len(sizes) // self._recipe.optimization.epochs]

    def load(self, epoch: int, step: int) -> Batch:
        """Return one batch.

        Args:
            epoch: Epoch, from 0.
            step: Step in the epoch, from 0.
        """
        if epoch != self._epoch:
            self._draw(epoch)
        size = self._recipe.optimization.batch_size
        rows = self._order[step * size : (step + 1) * size]
        crops = augment(
            self._split.images[rows],
            self._draws[rows],
            self._recipe.augmentation,
            size=self.size_of(epoch),
        )
        targets = tuple(one[rows] for one in self._targets)
        if self._recipe.augmentation.mixup > 0:
            share = self._shares[rows]
            crops = _mixed(crops, share)
            targets = tuple(_mixed(one, share) for one in targets)
        inputs = to_batch(crops, self._preprocessing)
        return Batch(inputs=inputs, targets=targets, weights=self._weights[rows])

    def _draw(self, epoch: int) -> None:
        """Draw an epoch's order and what happens to each picture in it."""
        n, seed = len(self._split), self._recipe.run.seed
        self._order = np.random.default_rng([seed, epoch, 0]).permutation(n)
        self._draws = draw_epoch(n, seed=seed, epoch=epoch)
        mixup = self._recipe.augmentation.mixup
        if mixup > 0:
            share = np.random.default_rng([seed, epoch, 4]).beta(mixup, mixup, n)
            self._shares = np.maximum(share, 1 - share).astype(np.float32)
        self._epoch = epoch


def _mixed(values: NDArray[np.float32], share: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mix each row with the one that stands as far from the batch's other end."""
    weight = share.reshape(-1, *[1] * (values.ndim - 1))
    return values * weight + values[::-1] * (1 - weight)


def _averaged(targets: NDArray[np.float32], groups: list[NDArray[np.int64]]) -> NDArray[np.float32]:
    """Return targets in which the rows of each group have their common mean."""
    out = targets.copy()
    for rows in groups:
        out[rows] = targets[rows].mean(axis=0)
    return out


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
