"""Losses against values worked out by hand, and what rows without votes do: nothing."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest

from facial_expressions.labels import FER2013
from facial_expressions.training.network import (
    Distillation,
    VotesCrossEntropy,
    first_columns_accuracy,
    heads_of,
)
from facial_expressions.training.recipe import Recipe

LOGITS = np.log(np.array([[0.7, 0.2, 0.1]], np.float32))


def _losses(**optimization: float | str) -> list[keras.losses.Loss]:
    recipe = Recipe.from_dict({"optimization": optimization})
    return [head.loss for head in heads_of(recipe, FER2013)]


def test_label_smoothing_spreads_its_share_over_all_classes() -> None:
    (loss,) = _losses(label_smoothing=0.3)
    expected = -(0.8 * math.log(0.7) + 0.1 * math.log(0.2) + 0.1 * math.log(0.1))
    assert float(loss(np.array([[1.0, 0, 0]]), LOGITS)) == pytest.approx(expected, rel=1e-5)


def test_the_seeds_loss_is_the_mean_binary_cross_entropy_of_the_softmax() -> None:
    (loss,) = _losses(loss="binary_cross_entropy")
    expected = -(math.log(0.7) + math.log(0.8) + math.log(0.9)) / 3
    assert float(loss(np.array([[1.0, 0, 0]]), LOGITS)) == pytest.approx(expected, rel=1e-5)


def test_votes_are_soft_targets_that_nothing_smooths() -> None:
    _, loss = _losses(label_smoothing=0.3, ferplus_weight=0.5)
    expected = -(0.75 * math.log(0.7) + 0.25 * math.log(0.1))
    assert float(loss(np.array([[0.75, 0, 0.25]]), LOGITS)) == pytest.approx(expected, rel=1e-5)


def test_a_row_without_votes_has_no_loss_under_label_smoothing() -> None:
    _, loss = _losses(label_smoothing=0.3, ferplus_weight=0.5)
    assert float(loss(np.zeros((1, 3), np.float32), LOGITS)) == 0


def test_a_row_without_votes_moves_no_weight() -> None:
    """TensorFlow's own cross-entropy has a loss of 0 there, and yet a gradient."""
    inputs = keras.layers.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    before = model.get_weights()
    _, loss = _losses(label_smoothing=0.3, ferplus_weight=0.5)
    model.compile(keras.optimizers.SGD(1.0), loss)
    rows = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    model.train_on_batch(rows, np.zeros((2, 3), np.float32))
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_distillation_mixes_the_hard_loss_with_the_divergence_at_its_temperature() -> None:
    loss = Distillation(VotesCrossEntropy(), weight=0.75, temperature=2.0)
    hard = -math.log(0.7)
    roots = np.sqrt([0.7, 0.2, 0.1])
    student = roots / roots.sum()  # logits divided by 2
    teacher = np.array([0.5, 0.5, 0.0])
    divergence = sum(q * math.log(q / p) for q, p in zip(teacher, student, strict=True) if q)
    targets = np.array([[1.0, 0, 0, *teacher]], np.float32)
    expected = 0.25 * hard + 0.75 * 4 * divergence
    assert float(loss(targets, LOGITS)) == pytest.approx(expected, rel=1e-5)


def test_a_network_that_answers_as_its_teacher_has_nothing_to_learn_from_it() -> None:
    loss = Distillation(VotesCrossEntropy(), weight=1.0, temperature=1.0)
    targets = np.array([[1.0, 0, 0, 0.7, 0.2, 0.1]], np.float32)
    assert float(loss(targets, LOGITS)) == pytest.approx(0, abs=1e-6)


def test_accuracy_looks_at_the_labels_and_not_at_the_teacher() -> None:
    metric = first_columns_accuracy()
    logits = np.array([[0.0, 1.0], [0.0, 1.0]], np.float32)
    metric.update_state(np.array([[0, 1, 0.9, 0.1], [1, 0, 0.1, 0.9]], np.float32), logits)
    assert float(metric.result()) == 0.5
