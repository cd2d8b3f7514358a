"""The heads of a network that is trained: what each learns, and what it is measured against.

``heads_of`` is the one place where a head is added: network, targets, losses, validation and the
run's files go through its list. The first head is the architecture's own output; a further one
learns from the same features. Losses are of ``(targets, logits)``, one for each head.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from facial_expressions.data.dataset import Split
from facial_expressions.data.ferplus import labels_from_votes, strict_majority, vote_shares
from facial_expressions.labels import FERPLUS, LabelSet
from facial_expressions.training.recipe import OptimizationRecipe, Recipe

Votes = Mapping[str, NDArray[np.uint8]]
"""For each split the FER+ votes on its images, as ``data.ferplus_votes`` returns them."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingHead:
    """One head.

    Attributes:
        name: Its name in histories, run folders and model files.
        labels: Its label set.
        loss: Loss of ``(targets, logits)``, without teachers.
        weight: Of that loss in the sum over heads, above 0.
        targets: Returns what it learns from the images of a split, given the votes: a distribution
            over the label set each, ``float32 (N, K)``; a row of zeros has no say.
        truth: Returns the label ids that its answers are measured against, ``int64 (N,)``; -1 where
            there is none.
        needs_votes: Whether it learns from FER+ votes.
    """

    name: str
    labels: LabelSet
    loss: keras.losses.Loss
    weight: float
    targets: Callable[[Split, Votes], NDArray[np.float32]]
    truth: Callable[[Split, Votes], NDArray[np.int64]]
    needs_votes: bool = False


def heads_of(recipe: Recipe, labels: LabelSet) -> tuple[TrainingHead, ...]:
    """Return the heads of a recipe's network, the architecture's own first.

    The FER+ head learns the votes as they are: they are soft already, so nothing smooths them, and
    an image without votes has an all-zero target, which has no say. The data set's label set gives
    the first head its name.

    Examples:
        >>> from facial_expressions.labels import FER2013
        >>> recipe = Recipe.from_dict({"optimization": {"ferplus_weight": 0.5}})
        >>> [head.name for head in heads_of(recipe, FER2013)]
        ['fer2013', 'ferplus']
    """
    share = recipe.data.votes_in_labels

    def label_targets(split: Split, votes: Votes) -> NDArray[np.float32]:
        plain = np.eye(len(labels), dtype=np.float32)[split.labels]
        if share == 0:
            return plain
        said = labels_from_votes(vote_shares(votes[split.name], FERPLUS), plain)
        return np.asarray((1 - share) * plain + share * said)

    loss = _label_loss(recipe.optimization)
    heads = [
        TrainingHead(
            labels.name,
            labels,
            loss,
            1.0,
            targets=label_targets,
            truth=lambda split, votes: split.labels,
        )
    ]
    if recipe.optimization.ferplus_weight > 0:
        heads.append(
            TrainingHead(
                FERPLUS.name,
                FERPLUS,
                VotesCrossEntropy(),
                recipe.optimization.ferplus_weight,
                targets=lambda split, votes: vote_shares(votes[split.name], FERPLUS),
                truth=lambda split, votes: strict_majority(votes[split.name], FERPLUS),
                needs_votes=True,
            )
        )
    return tuple(heads)


def label_sets_of(recipe: Recipe, labels: LabelSet) -> dict[str, LabelSet]:
    """Return the label set of each head of a recipe's network by the head's name, in order."""
    return {head.name: head.labels for head in heads_of(recipe, labels)}


def _label_loss(recipe: OptimizationRecipe) -> keras.losses.Loss:
    if recipe.loss == "binary_cross_entropy":
        return SoftmaxBinaryCrossEntropy()
    return keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=recipe.label_smoothing
    )


class SoftmaxBinaryCrossEntropy(keras.losses.Loss):
    """Binary cross-entropy over the softmax outputs, mean over classes.

    The original loss of 0.30 at 45% accuracy is of the size that this gives with seven outputs.
    Written out, because on TensorFlow Keras' own function takes the logits behind a softmax for
    those of a sigmoid.
    """

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Return the loss of each image, ``(N,)``, from distributions and logits ``(N, K)``."""
        p = ops.clip(ops.softmax(y_pred), 1e-7, 1 - 1e-7)
        return -ops.mean(y_true * ops.log(p) + (1 - y_true) * ops.log(1 - p), axis=-1)


class VotesCrossEntropy(keras.losses.Loss):
    """Cross-entropy with targets that need not sum to 1: a row of zeros has no say at all.

    Written out, because TensorFlow's own kernel takes every target for a distribution: for a row of
    zeros its loss is 0, as it should be, but its gradient pulls the logits together.
    """

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Return the loss of each image, ``(N,)``, from targets and logits ``(N, K)``."""
        return -ops.sum(y_true * ops.log_softmax(y_pred), axis=-1)


class Distillation(keras.losses.Loss):
    """``(1 - weight) * hard + weight * T**2 * KL(teacher || student)`` at temperature T.

    Hinton et al. 2015, arXiv:1503.02531. The targets are ``(N, 2 K)``: K columns for the loss
    ``hard``, then the teacher's K probabilities, already at temperature T.

    Args:
        hard: Loss of targets and logits ``(N, K)``.
        weight: Share of the teacher, 0 to 1.
        temperature: T, by which the student's logits are divided here.

    Examples:
        >>> loss = Distillation(VotesCrossEntropy(), weight=1.0, temperature=1.0)
        >>> logits = ops.zeros((1, 2))
        >>> float(loss(ops.convert_to_tensor([[1.0, 0.0, 0.5, 0.5]]), logits))  # they agree
        0.0
    """

    def __init__(self, hard: keras.losses.Loss, *, weight: float, temperature: float) -> None:
        super().__init__(name="distillation")
        self.hard, self.weight, self.temperature = hard, weight, temperature

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Return the loss of each image, ``(N,)``, from targets ``(N, 2 K)`` and logits."""
        n_classes = y_pred.shape[-1]
        teacher = y_true[..., n_classes:]
        student = ops.log_softmax(y_pred / self.temperature)
        apart = teacher * (ops.log(ops.maximum(teacher, 1e-12)) - student)
        soft = self.temperature**2 * ops.sum(apart, axis=-1)
        hard = self.hard.call(y_true[..., :n_classes], y_pred)
        return (1 - self.weight) * hard + self.weight * soft


def first_columns_accuracy() -> keras.metrics.Metric:
    """Return categorical accuracy where the targets' first columns are the labels."""

    def right(y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        labels = y_true[..., : y_pred.shape[-1]]
        return keras.metrics.categorical_accuracy(labels, y_pred)

    return keras.metrics.MeanMetricWrapper(right, name="accuracy")
