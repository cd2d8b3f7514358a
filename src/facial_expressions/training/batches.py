"""Training batches: order, augmentation and targets, derived from seed, epoch and row number."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facial_expressions.data.dataset import Split
from facial_expressions.data.duplicates import duplicate_groups
from facial_expressions.preprocessing import Preprocessing, to_batch
from facial_expressions.training.augmentation import augment, draw_epoch
from facial_expressions.training.epoch_plan import plan_epoch
from facial_expressions.training.recipe import Recipe
from facial_expressions.training.teaching import Lesson, Teacher, soften

__all__ = ["Batch", "TrainingBatches", "class_weights", "one_hot"]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """One step's input.

    Attributes:
        inputs: ``float32 (N, S, S, C)``.
        targets: For each head a distribution over its label set for each picture, ``float32
            (N, K)``; all zeros where nothing is known. A head that is taught has K more columns,
            the teacher's distribution at the recipe's temperature.
        weights: Weight of each picture in the loss, ``float32 (N,)``.
    """

    inputs: NDArray[np.float32]
    targets: tuple[NDArray[np.float32], ...]
    weights: NDArray[np.float32]

    def cut_to_multiple(self, n: int) -> Batch:
        """Return the batch without its last inputs, so that their number is a multiple of ``n``."""
        kept = len(self.inputs) // n * n
        if kept == len(self.inputs):
            return self
        targets = tuple(one[:kept] for one in self.targets)
        return Batch(self.inputs[:kept], targets, self.weights[:kept])


class TrainingBatches:
    """The batches of every epoch of one run; any of them can be asked for, in any order.

    Args:
        split: Training pictures.
        targets: For each head a distribution over its label set, ``float32 (N, K)``.
        recipe: Seed, batch size, sampling, augmentation and class weights.
        preprocessing: How crops become input.
        teacher: Gives further distributions to learn from.
    """

    def __init__(
        self,
        split: Split,
        targets: tuple[NDArray[np.float32], ...],
        *,
        recipe: Recipe,
        preprocessing: Preprocessing,
        teacher: Teacher | None = None,
    ) -> None:
        self._split = split
        self._recipe = recipe
        self._preprocessing = preprocessing
        self._targets = targets
        self._teacher = teacher
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

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield an epoch's batches, each made while the caller uses the one before.

        Args:
            epoch: Epoch, from 0.
        """
        steps = range(len(self))
        if self._teacher is not None and self._teacher.computes:
            # The teacher is a network; two threads in one Keras backend are asking for trouble.
            yield from (self.load(epoch, step) for step in steps)
            return
        with ThreadPoolExecutor(1, "batches") as thread:
            coming = thread.submit(self.load, epoch, 0)
            for step in steps:
                batch = coming.result()
                if step + 1 < len(steps):
                    coming = thread.submit(self.load, epoch, step + 1)
                yield batch

    def load(self, epoch: int, step: int) -> Batch:
        """Return one batch.

        Args:
            epoch: Epoch, from 0.
            step: Step in the epoch, from 0.
        """
        rows, views = self._inputs_of(epoch, step)
        crops = self._augmented(rows, views, self.size_of(epoch))
        targets = [one[rows] for one in self._targets]
        if self._teacher is not None:
            lesson = self.lesson(epoch, step)
            if self.size_of(epoch) == self._preprocessing.size:
                lesson = replace(lesson, crops=lambda: crops)
            targets = self._taught(targets, lesson, self._teacher)
        if self._recipe.augmentation.mixup > 0:
            share = self._by_view(self._shares_of, rows, views)
            crops = _mixed(crops, share)
            targets = [_mixed(one, share) for one in targets]
        inputs = to_batch(crops, self._preprocessing)
        return Batch(inputs=inputs, targets=tuple(targets), weights=self._weights[rows])

    def lesson(self, epoch: int, step: int) -> Lesson:
        """Return what a teacher is shown in one step, at the network's own size.

        Args:
            epoch: Epoch, from 0.
            step: Step in the epoch, from 0.
        """
        rows, views = self._inputs_of(epoch, step)
        optimization = self._recipe.optimization
        return Lesson(
            epoch=epoch,
            start=step * optimization.batch_size,
            rows=rows,
            crops=lambda: self._augmented(rows, views, self._preprocessing.size),
        )

    def _inputs_of(self, epoch: int, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return row and view of each input of a step."""
        optimization = self._recipe.optimization
        if epoch != self._epoch:
            self._plan = plan_epoch(
                self._split.labels,
                seed=self._recipe.run.seed,
                epoch=epoch,
                balance=self._recipe.data.balance,
            )
            self._draws: dict[int, NDArray[np.float32]] = {}
            self._shares: dict[int, NDArray[np.float32]] = {}
            self._epoch = epoch
        return self._plan.step(step, batch_size=optimization.batch_size, views=optimization.views)

    def _augmented(
        self, rows: NDArray[np.int64], views: NDArray[np.int64], size: int
    ) -> NDArray[np.float32]:
        draws = self._by_view(self._draws_of, rows, views)
        return augment(self._split.images[rows], draws, self._recipe.augmentation, size=size)

    def _by_view(
        self,
        values_of: Callable[[int], NDArray[np.float32]],
        rows: NDArray[np.int64],
        views: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """Return for each input the value that its row has in its view."""
        values = values_of(0)[rows]
        for view in np.unique(views[views > 0]):
            values[views == view] = values_of(int(view))[rows[views == view]]
        return values

    def _draws_of(self, view: int) -> NDArray[np.float32]:
        if view not in self._draws:
            n, seed = len(self._split), self._recipe.run.seed
            self._draws[view] = draw_epoch(n, seed=seed, epoch=self._epoch, view=view)
        return self._draws[view]

    def _shares_of(self, view: int) -> NDArray[np.float32]:
        """Return the share that each row keeps when it is mixed; at least a half."""
        if view not in self._shares:
            mixup = self._recipe.augmentation.mixup
            rng = np.random.default_rng([self._recipe.run.seed, self._epoch, 4, view])
            share = rng.beta(mixup, mixup, len(self._split))
            self._shares[view] = np.maximum(share, 1 - share).astype(np.float32)
        return self._shares[view]

    def _taught(
        self, targets: list[NDArray[np.float32]], lesson: Lesson, teacher: Teacher
    ) -> list[NDArray[np.float32]]:
        """Append the teacher's distributions to the targets of the heads that it teaches."""
        answers = iter(teacher.answer(lesson))
        temperature = self._recipe.distillation.temperature
        return [
            np.concatenate([one, soften(next(answers), temperature)], axis=1) if is_taught else one
            for one, is_taught in zip(targets, teacher.taught, strict=True)
        ]


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

    Examples:
        >>> class_weights(np.array([0, 0, 0, 1]), 2)
        array([0.6666667, 2.       ], dtype=float32)
    """
    counts = np.bincount(labels, minlength=n_classes)
    return (len(labels) / (n_classes * np.maximum(counts, 1))).astype(np.float32)
