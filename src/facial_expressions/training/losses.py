"""Losses of ``(targets, logits)``, one for each head of a network, and the accuracy beside them."""

from __future__ import annotations

import keras
from keras import ops


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
