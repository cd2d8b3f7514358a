"""Training batches: order, augmentation and targets, derived from seed, epoch and row number."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from facial_expressions.data.dataset import Floats, Ints, Split
from facial_expressions.preprocessing import Preprocessing, to_batch
from facial_expressions.training.augmentation import augment, draw_epoch
from facial_expressions.training.recipe import Recipe

Answer = Callable[[Floats], Mapping[int, Floats]]
"""From grey crops of 0 to 255 to a teacher's probabilities, by the place of the head taught."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """One step's input.

    Attributes:
        inputs: ``float32 (N, S, S, C)``.
        targets: For each head a distribution over its label set for each image, ``float32
            (N, K)``; all zeros where nothing is known. A head that is taught has K more columns,
            the teacher's distribution at the recipe's temperature.
        weights: Weight of each image in the loss, ``float32 (N,)``.
    """

    inputs: Floats
    targets: tuple[Floats, ...]
    weights: Floats

    def cut_to_multiple(self, n: int) -> Batch:
        """Return the batch without its last inputs, so that their number is a multiple of ``n``."""
        kept = len(self.inputs) // n * n
        targets = tuple(one[:kept] for one in self.targets)
        return Batch(self.inputs[:kept], targets, self.weights[:kept])


@dataclass(eq=False)
class TrainingBatches:
    """The batches of every epoch of one run; any of them can be asked for, in any order.

    Attributes:
        split: Training images.
        targets: For each head what it learns from each image, as in ``Batch``.
        weights: Weight of each image in the loss, ``float32 (N,)``.
        recipe: Seed, batch size and augmentation.
        preprocessing: How crops become input.
        teacher: Answers on each batch before it is mixed, at the network's full size.
    """

    split: Split
    targets: Sequence[Floats]
    weights: Floats
    recipe: Recipe
    preprocessing: Preprocessing
    teacher: Answer | None = None
    _epoch: int = field(default=-1, init=False)

    def __len__(self) -> int:
        return math.ceil(len(self.split) / self.recipe.optimization.batch_size)

    def size_of(self, epoch: int) -> int:
        """Return the side of the images in one epoch, from 0."""
        sizes = (*self.recipe.augmentation.sizes, self.preprocessing.size)
        return sizes[epoch * len(sizes) // self.recipe.optimization.epochs]

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of an epoch, from 0, each made while the caller uses the one before."""
        steps = range(len(self))
        if self.teacher is not None:
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
        """Return the batch of one step of an epoch, both from 0."""
        self._begin(epoch)
        batch_size = self.recipe.optimization.batch_size
        rows = self._order[step * batch_size : (step + 1) * batch_size]
        size = self.size_of(epoch)
        crops = self._augmented(rows, size)
        targets = [one[rows] for one in self.targets]
        if self.teacher is not None:
            full = self.preprocessing.size
            shown = crops if size == full else self._augmented(rows, full)
            temperature = self.recipe.distillation.temperature
            targets = add_answers(targets, self.teacher(shown), temperature)
        if self.recipe.augmentation.mixup > 0:
            share = self._shares[rows]
            crops = _mixed(crops, share)
            targets = [_mixed(one, share) for one in targets]
        inputs = to_batch(crops, self.preprocessing)
        return Batch(inputs=inputs, targets=tuple(targets), weights=self.weights[rows])

    def _begin(self, epoch: int) -> None:
        """Draw an epoch's order, changes and shares of mixed images."""
        if epoch == self._epoch:
            return
        n, seed, mixup = len(self.split), self.recipe.run.seed, self.recipe.augmentation.mixup
        self._order = np.random.default_rng([seed, epoch, 0]).permutation(n)
        self._draws = draw_epoch(n, seed=seed, epoch=epoch)
        if mixup > 0:  # the larger share is kept: at least a half
            share = np.random.default_rng([seed, epoch, 4]).beta(mixup, mixup, n)
            self._shares = np.maximum(share, 1 - share).astype(np.float32)
        self._epoch = epoch

    def _augmented(self, rows: Ints, size: int) -> Floats:
        images, draws = self.split.images[rows], self._draws[rows]
        return augment(images, draws, self.recipe.augmentation, size=size)


def add_answers(
    targets: Sequence[Floats], answers: Mapping[int, Floats], temperature: float
) -> list[Floats]:
    """Append the teachers' probabilities, at a temperature, to the targets of the heads taught."""
    return [
        np.concatenate([one, soften(answers[head], temperature)], axis=1)
        if head in answers
        else one
        for head, one in enumerate(targets)
    ]


def soften(probabilities: Floats, temperature: float) -> Floats:
    """Return the distributions ``(N, K)`` with their logits divided by a temperature.

    Examples:
        >>> soften(np.array([[0.8, 0.2]], np.float32), 2.0).round(3)  # 2 to 1
        array([[0.667, 0.333]], dtype=float32)
    """
    powers = np.maximum(probabilities, 1e-12) ** np.float32(1 / temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def _mixed(values: Floats, share: Floats) -> Floats:
    """Mix each row with the one that stands as far from the batch's other end."""
    weight = share.reshape(-1, *[1] * (values.ndim - 1))
    return values * weight + values[::-1] * (1 - weight)
