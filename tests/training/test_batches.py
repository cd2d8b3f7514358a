"""Training batches: every image once an epoch, the same again for the same seed."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from facial_expressions.data.dataset import Dataset
from facial_expressions.labels import FERPLUS
from facial_expressions.preprocessing import Preprocessing
from facial_expressions.training.batches import Answer, Batch, TrainingBatches
from facial_expressions.training.material import Material, class_weights
from facial_expressions.training.recipe import Recipe
from tests.training.still import STILL

GREY = Preprocessing(mean=0.0, std=1 / 255)  # so that input equals grey level


@pytest.fixture
def recipe(recipe: Recipe) -> Recipe:
    """Five steps of 70 images, of which the last is not full; nothing is changed by chance."""
    uneven = dataclasses.replace(recipe.optimization, batch_size=16)
    return dataclasses.replace(recipe, optimization=uneven, augmentation=STILL)


def _targets(dataset: Dataset) -> NDArray[np.float32]:
    return np.eye(7, dtype=np.float32)[dataset.train.labels]


def _batches(dataset: Dataset, recipe: Recipe, teacher: Answer | None = None) -> TrainingBatches:
    weights = np.ones(len(dataset.train), np.float32)
    return TrainingBatches(dataset.train, [_targets(dataset)], weights, recipe, GREY, teacher)


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


def test_an_epoch_holds_every_image_once_with_its_own_label(
    dataset: Dataset, recipe: Recipe
) -> None:
    batches = _batches(dataset, recipe)
    assert len(batches) == 5  # 70 images in steps of 16
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


def test_mixup_mixes_images_and_targets_from_both_ends_by_the_same_share(
    dataset: Dataset, recipe: Recipe
) -> None:
    plain = _batches(dataset, recipe).load(2, 1)
    mixed = _batches(dataset, _with(recipe, mixup=0.4)).load(2, 1)
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
    batches = _batches(dataset, recipe)
    assert [batches.size_of(epoch) for epoch in range(epochs)] == sides
    assert batches.load(0, 0).inputs.shape == (16, 24, 24, 1)


def test_copies_of_an_image_share_the_mean_of_their_targets(
    dataset: Dataset, votes: dict[str, NDArray[np.uint8]], recipe: Recipe
) -> None:
    images = dataset.train.images.copy()
    images[69] = images[0]  # labels 0 and 6; the copy has no votes
    with_copy = dataclasses.replace(
        dataset, train=dataclasses.replace(dataset.train, images=images)
    )
    data = dataclasses.replace(recipe.data, average_duplicates=True)
    one_step = dataclasses.replace(recipe.optimization, batch_size=70, ferplus_weight=0.5)
    recipe = dataclasses.replace(recipe, data=data, optimization=one_step)
    batch = Material(recipe, with_copy, votes).batches().load(0, 0)
    order = np.random.default_rng([5, 0, 0]).permutation(70)
    shares = np.zeros(8)
    shares[FERPLUS.id_of("angry")], shares[FERPLUS.id_of("neutral")] = 0.8, 0.2
    for row in (0, 69):
        (place,) = np.flatnonzero(order == row)
        np.testing.assert_array_equal(batch.targets[0][place], [0.5, 0, 0, 0, 0, 0, 0.5])
        np.testing.assert_allclose(batch.targets[1][place], shares / 2, atol=1e-7)
    others = ~np.isin(order, [0, 69])
    plain = _targets(dataset)[order]
    np.testing.assert_array_equal(batch.targets[0][others], plain[others])


class _Parrot:
    """A teacher that always answers the same, and keeps what it was shown."""

    def __init__(self) -> None:
        self.seen: list[NDArray[np.float32]] = []

    def answer(self, crops: NDArray[np.float32]) -> dict[int, NDArray[np.float32]]:
        self.seen.append(crops)
        out = np.full((len(crops), 7), 0.1, np.float32)
        out[:, 0] = 0.4
        return {0: out}


def test_a_teacher_sees_the_very_images_and_its_answers_follow_the_targets(
    dataset: Dataset, recipe: Recipe
) -> None:
    teacher = _Parrot()
    distillation = dataclasses.replace(recipe.distillation, weight=0.5, temperature=2.0)
    changed = dataclasses.replace(_with(recipe, brightness=0.5), distillation=distillation)
    batch = _batches(dataset, changed, teacher.answer).load(0, 0)
    np.testing.assert_allclose(teacher.seen[0][..., None], batch.inputs, atol=1e-3)
    assert batch.targets[0].shape == (16, 14)
    roots = np.sqrt([0.4, *[0.1] * 6])
    np.testing.assert_allclose(batch.targets[0][:, 7:], [roots / roots.sum()] * 16, rtol=1e-5)


def test_a_teacher_sees_full_size_and_unmixed_images(dataset: Dataset, recipe: Recipe) -> None:
    teacher = _Parrot()
    batch = _batches(dataset, _with(recipe, sizes=(24,), mixup=0.5), teacher.answer).load(0, 0)
    assert batch.inputs.shape == (16, 24, 24, 1)
    order = np.random.default_rng([5, 0, 0]).permutation(70)[:16]
    np.testing.assert_allclose(teacher.seen[0], dataset.train.images[order], atol=1e-2)


def test_balanced_weights_make_every_class_weigh_the_same() -> None:
    labels = np.array([0] * 6 + [1] * 3 + [2])
    weights = class_weights(labels, 3)
    np.testing.assert_allclose(weights, [10 / 18, 10 / 9, 10 / 3])
    assert [weights[k] * (labels == k).sum() for k in range(3)] == pytest.approx([10 / 3] * 3)
