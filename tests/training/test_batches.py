"""Training batches: every picture once an epoch, the same again for the same seed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from facial_expressions.data.dataset import Dataset
from facial_expressions.preprocessing import Preprocessing
from facial_expressions.training.batches import TrainingBatches, class_weights, one_hot
from facial_expressions.training.recipe import AugmentationRecipe, Recipe


def _batches(dataset: Dataset, recipe: Recipe) -> TrainingBatches:
    still = AugmentationRecipe(**{one.name: 0.0 for one in dataclasses.fields(AugmentationRecipe)})
    recipe = dataclasses.replace(recipe, augmentation=still)
    scaling = Preprocessing(mean=0.0, std=1 / 255)  # so that input equals grey level
    return TrainingBatches(dataset.train, n_classes=7, recipe=recipe, preprocessing=scaling)


def test_an_epoch_holds_every_picture_once_with_its_own_label(
    dataset: Dataset, recipe: Recipe
) -> None:
    batches = _batches(dataset, recipe)
    assert len(batches) == 5  # 70 pictures in steps of 16
    loaded = [batches.load(0, step) for step in range(len(batches))]
    assert [len(batch.inputs) for batch in loaded] == [16, 16, 16, 16, 6]
    seen = {}
    for batch in loaded:
        for crop, target in zip(batch.inputs, batch.targets, strict=True):
            seen[crop.round().astype(np.uint8).tobytes()] = int(target.argmax())
    expected = zip(dataset.train.images, dataset.train.labels, strict=True)
    assert seen == {image.tobytes(): int(label) for image, label in expected}


def test_order_is_the_epochs_own_and_any_step_can_be_asked_for(
    dataset: Dataset, recipe: Recipe
) -> None:
    forward, random_access = _batches(dataset, recipe), _batches(dataset, recipe)
    first = [forward.load(0, step).inputs for step in range(5)]
    second = [forward.load(1, step).inputs for step in range(5)]
    assert not np.array_equal(first[0], second[0])
    np.testing.assert_array_equal(random_access.load(1, 3).inputs, second[3])
    np.testing.assert_array_equal(random_access.load(0, 2).inputs, first[2])


def test_balanced_weights_make_every_class_weigh_the_same() -> None:
    labels = np.array([0] * 6 + [1] * 3 + [2])
    weights = class_weights(labels, 3)
    np.testing.assert_allclose(weights, [10 / 18, 10 / 9, 10 / 3])
    assert [weights[k] * (labels == k).sum() for k in range(3)] == pytest.approx([10 / 3] * 3)


def test_one_hot_rows_have_their_one_at_the_label() -> None:
    np.testing.assert_array_equal(one_hot(np.array([2, 0]), 3), [[0, 0, 1], [1, 0, 0]])
