"""Training batches: every picture once an epoch, the same again for the same seed."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from facial_expressions.data.dataset import Dataset
from facial_expressions.preprocessing import Preprocessing
from facial_expressions.training.batches import Batch, TrainingBatches, class_weights, one_hot
from facial_expressions.training.recipe import Recipe
from facial_expressions.training.teaching import Lesson
from tests.training.still import STILL

GREY = Preprocessing(mean=0.0, std=1 / 255)  # so that input equals grey level


@pytest.fixture
def recipe(recipe: Recipe) -> Recipe:
    """Five steps of 70 pictures, of which the last is not full."""
    uneven = dataclasses.replace(recipe.optimization, batch_size=16)
    return dataclasses.replace(recipe, optimization=uneven)


def _batches(dataset: Dataset, recipe: Recipe) -> TrainingBatches:
    recipe = dataclasses.replace(recipe, augmentation=STILL)
    targets = (one_hot(dataset.train.labels, 7),)
    return TrainingBatches(dataset.train, targets, recipe=recipe, preprocessing=GREY)


def test_an_epoch_gives_its_steps_in_order(dataset: Dataset, recipe: Recipe) -> None:
    """The batches that are made ahead are those that ``load`` gives."""
    batches, again = _batches(dataset, recipe), _batches(dataset, recipe)
    given = list(batches.epoch(2))
    assert len(given) == 5
    for step, batch in enumerate(given):
        np.testing.assert_array_equal(batch.inputs, again.load(2, step).inputs)
        np.testing.assert_array_equal(batch.targets[0], again.load(2, step).targets[0])


def test_the_next_batch_is_made_while_one_is_used(
    dataset: Dataset, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = _batches(dataset, recipe)
    second = threading.Event()
    load = batches.load

    def noted(epoch: int, step: int) -> Batch:
        if step == 1:
            second.set()
        return load(epoch, step)

    monkeypatch.setattr(batches, "load", noted)
    epoch = batches.epoch(0)
    next(epoch)
    assert second.wait(timeout=30), "nobody has asked for the second batch yet"


def test_an_error_in_a_batch_reaches_who_asked(
    dataset: Dataset, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = _batches(dataset, recipe)
    monkeypatch.setattr(batches, "size_of", lambda epoch: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        next(batches.epoch(0))


def _with(recipe: Recipe, **augmentation: float | tuple[int, ...]) -> Recipe:
    return dataclasses.replace(
        recipe,
        augmentation=dataclasses.replace(STILL, **augmentation),  # type: ignore[arg-type]
    )


def test_an_epoch_holds_every_picture_once_with_its_own_label(
    dataset: Dataset, recipe: Recipe
) -> None:
    batches = _batches(dataset, recipe)
    assert len(batches) == 5  # 70 pictures in steps of 16
    loaded = [batches.load(0, step) for step in range(len(batches))]
    assert [len(batch.inputs) for batch in loaded] == [16, 16, 16, 16, 6]
    seen = {}
    for batch in loaded:
        for crop, target in zip(batch.inputs, batch.targets[0], strict=True):
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


def test_mixup_mixes_pictures_and_targets_from_both_ends_by_the_same_share(
    dataset: Dataset, recipe: Recipe
) -> None:
    targets = (one_hot(dataset.train.labels, 7),)
    plain, mixed = (
        TrainingBatches(dataset.train, targets, recipe=one, preprocessing=GREY).load(2, 1)
        for one in (_with(recipe), _with(recipe, mixup=0.4))
    )
    order = np.random.default_rng([5, 2, 0]).permutation(70)[16:32]
    share = np.random.default_rng([5, 2, 4]).beta(0.4, 0.4, 70)[order]
    share = np.maximum(share, 1 - share)[:, None]
    expected = plain.targets[0] * share + plain.targets[0][::-1] * (1 - share)
    np.testing.assert_allclose(mixed.targets[0], expected, rtol=1e-5)
    share = share[:, None, None]
    expected = plain.inputs * share + plain.inputs[::-1] * (1 - share)
    np.testing.assert_allclose(mixed.inputs, expected, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(mixed.targets[0].sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("epochs", "sides"),
    [(6, [24, 24, 32, 32, 48, 48]), (7, [24, 24, 24, 32, 32, 48, 48]), (2, [24, 32])],
)
def test_each_size_has_an_equal_share_of_the_epochs(
    epochs: int, sides: list[int], dataset: Dataset, recipe: Recipe
) -> None:
    recipe = _with(recipe, sizes=(24, 32))
    optimization = dataclasses.replace(recipe.optimization, epochs=epochs)
    recipe = dataclasses.replace(recipe, optimization=optimization)
    targets = (one_hot(dataset.train.labels, 7),)
    batches = TrainingBatches(dataset.train, targets, recipe=recipe, preprocessing=GREY)
    assert [batches.size_of(epoch) for epoch in range(epochs)] == sides
    assert batches.load(0, 0).inputs.shape == (16, 24, 24, 1)


def test_copies_of_a_picture_share_the_mean_of_their_targets(
    dataset: Dataset, recipe: Recipe
) -> None:
    labels = dataset.train.labels.copy()
    images = dataset.train.images.copy()
    images[69] = images[0]  # labels 0 and 6
    split = dataclasses.replace(dataset.train, images=images)
    votes = np.zeros((70, 8), np.float32)
    votes[0, 3] = 1.0  # the copy has no votes
    data = dataclasses.replace(recipe.data, average_duplicates=True)
    one_step = dataclasses.replace(recipe.optimization, batch_size=70)
    recipe = dataclasses.replace(_with(recipe), data=data, optimization=one_step)
    targets = (one_hot(labels, 7), votes)
    batch = TrainingBatches(split, targets, recipe=recipe, preprocessing=GREY).load(0, 0)
    order = np.random.default_rng([5, 0, 0]).permutation(70)
    for row in (0, 69):
        (place,) = np.flatnonzero(order == row)
        np.testing.assert_array_equal(batch.targets[0][place], [0.5, 0, 0, 0, 0, 0, 0.5])
        np.testing.assert_array_equal(batch.targets[1][place], [0, 0, 0, 0.5, 0, 0, 0, 0])
    others = ~np.isin(order, [0, 69])
    np.testing.assert_array_equal(batch.targets[0][others], targets[0][order[others]])


def test_a_step_holds_each_of_its_pictures_in_as_many_views_as_asked_for(
    dataset: Dataset, recipe: Recipe
) -> None:
    optimization = dataclasses.replace(recipe.optimization, views=3)
    recipe = dataclasses.replace(_with(recipe, brightness=0.5), optimization=optimization)
    targets = (one_hot(dataset.train.labels, 7),)
    batches = TrainingBatches(dataset.train, targets, recipe=recipe, preprocessing=GREY)
    assert len(batches) == 5
    batch = batches.load(0, 4)  # the last six pictures
    assert len(batch.inputs) == len(batch.targets[0]) == len(batch.weights) == 18
    views = batch.inputs.reshape(3, 6, 48, 48)
    labels = batch.targets[0].argmax(axis=1).reshape(3, 6)
    assert (labels == labels[0]).all()
    brightness = views.mean(axis=(2, 3))
    assert np.abs(np.diff(brightness, axis=0)).min() > 1e-2, "each view has a change of its own"


def test_one_view_is_the_first_of_several(dataset: Dataset, recipe: Recipe) -> None:
    two = dataclasses.replace(recipe.optimization, views=2)
    targets = (one_hot(dataset.train.labels, 7),)
    one, several = (
        TrainingBatches(dataset.train, targets, recipe=which, preprocessing=GREY).load(1, 0)
        for which in (recipe, dataclasses.replace(recipe, optimization=two))
    )
    np.testing.assert_array_equal(several.inputs[:16], one.inputs)


def test_a_picture_drawn_twice_is_changed_in_two_ways(dataset: Dataset, recipe: Recipe) -> None:
    rows = np.array([0] * 60 + [69])  # one picture of the last class
    split = dataset.train.take(np.concatenate([np.arange(10), rows[-1:]]))
    data = dataclasses.replace(recipe.data, balance=1.0)
    recipe = dataclasses.replace(_with(recipe, brightness=0.5), data=data)
    targets = (one_hot(split.labels, 7),)
    batches = TrainingBatches(split, targets, recipe=recipe, preprocessing=GREY)
    batch = batches.load(0, 0)
    rare = batch.inputs[batch.targets[0].argmax(axis=1) == 6]
    assert len(rare) in (5, 6)  # half of 11
    assert len(np.unique(rare.mean(axis=(1, 2, 3)))) == len(rare)


class _Parrot:
    """A teacher that answers with what it is shown: mean grey and row number."""

    taught = (True,)
    computes = True

    def __init__(self) -> None:
        self.identity: dict[str, object] = {"teachers": []}
        self.seen: list[NDArray[np.float32]] = []

    def answer(self, lesson: Lesson) -> tuple[NDArray[np.float32], ...]:
        crops = lesson.crops()
        self.seen.append(crops)
        out = np.full((len(crops), 7), 0.1, np.float32)
        out[:, 0] = 0.4
        return (out,)


def test_a_teacher_sees_the_very_pictures_and_its_answers_follow_the_targets(
    dataset: Dataset, recipe: Recipe
) -> None:
    teacher = _Parrot()
    distillation = dataclasses.replace(recipe.distillation, weight=0.5, temperature=2.0)
    recipe = dataclasses.replace(recipe, distillation=distillation)
    batches = TrainingBatches(
        dataset.train,
        (one_hot(dataset.train.labels, 7),),
        recipe=recipe,
        preprocessing=GREY,
        teacher=teacher,
    )
    batch = batches.load(0, 0)
    np.testing.assert_allclose(teacher.seen[0][..., None], batch.inputs, atol=1e-3)
    assert batch.targets[0].shape == (16, 14)
    roots = np.sqrt([0.4, *[0.1] * 6])
    np.testing.assert_allclose(batch.targets[0][:, 7:], [roots / roots.sum()] * 16, rtol=1e-5)


def test_a_teacher_sees_full_size_and_unmixed_pictures(dataset: Dataset, recipe: Recipe) -> None:
    teacher = _Parrot()
    distillation = dataclasses.replace(recipe.distillation, weight=0.5)
    small = dataclasses.replace(_with(recipe, sizes=(24,), mixup=0.5), distillation=distillation)
    targets = (one_hot(dataset.train.labels, 7),)
    taught = TrainingBatches(
        dataset.train, targets, recipe=small, preprocessing=GREY, teacher=teacher
    )
    batch = taught.load(0, 0)
    assert batch.inputs.shape == (16, 24, 24, 1)
    order = np.random.default_rng([5, 0, 0]).permutation(70)[:16]
    np.testing.assert_allclose(teacher.seen[0], dataset.train.images[order], atol=1e-2)


def test_balanced_weights_make_every_class_weigh_the_same() -> None:
    labels = np.array([0] * 6 + [1] * 3 + [2])
    weights = class_weights(labels, 3)
    np.testing.assert_allclose(weights, [10 / 18, 10 / 9, 10 / 3])
    assert [weights[k] * (labels == k).sum() for k in range(3)] == pytest.approx([10 / 3] * 3)


def test_one_hot_rows_have_their_one_at_the_label() -> None:
    np.testing.assert_array_equal(one_hot(np.array([2, 0]), 3), [[0, 0, 1], [1, 0, 0]])
