"""The FER+ head: it learns the votes beside the labels, resumes, and shows in history and files."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from facial_expressions.data.dataset import Dataset
from facial_expressions.data.ferplus import labels_from_votes, strict_majority, vote_shares
from facial_expressions.errors import CheckpointError, DatasetError, RecipeError
from facial_expressions.labels import FER2013, FERPLUS
from facial_expressions.training.material import Material
from facial_expressions.training.network import build_network
from facial_expressions.training.recipe import Recipe
from facial_expressions.training.run_folder import RunFolder
from facial_expressions.training.train import TrainingProgress, train
from tests.training.still import STILL

pytestmark = [pytest.mark.train, pytest.mark.slow, pytest.mark.timeout(600)]

Votes = dict[str, NDArray[np.uint8]]


@pytest.fixture
def recipe(recipe: Recipe) -> Recipe:
    optimization = dataclasses.replace(recipe.optimization, ferplus_weight=0.5)
    return dataclasses.replace(recipe, optimization=optimization)


def _weights(run: RunFolder, recipe: Recipe) -> list[NDArray[np.float32]]:
    network = build_network(recipe, {"fer2013": FER2013, "ferplus": FERPLUS})
    network.load_weights(run.weights)
    return [np.asarray(weight) for weight in network.get_weights()]


def test_both_heads_learn_and_history_and_files_say_so(
    dataset: Dataset, votes: Votes, recipe: Recipe, tmp_path: Path
) -> None:
    longer = dataclasses.replace(recipe.optimization, epochs=30, learning_rate=0.03)
    # Changed images would take this small network twice the epochs.
    recipe = dataclasses.replace(recipe, optimization=longer, augmentation=STILL)
    run = train(recipe, dataset, tmp_path / "run", votes=votes)
    last = run.read_history()[-1]
    assert last["val_accuracy"] > 0.5  # chance is 1 in 7
    assert last["val_ferplus"] > 0.5
    with np.load(run.validation) as file:
        labels, logits = file["ferplus_labels"], file["ferplus_logits"]
    np.testing.assert_array_equal(labels, strict_majority(votes["validation"], FERPLUS))
    assert logits.shape == (21, 8)
    known = labels >= 0
    assert known.sum() == 19  # two of 21 have no majority
    right = logits[known].argmax(axis=1) == labels[known]
    assert right.mean() == pytest.approx(last["val_ferplus"])


def test_a_resumed_run_equals_an_uninterrupted_one_to_the_bit(
    dataset: Dataset, votes: Votes, recipe: Recipe, tmp_path: Path
) -> None:
    whole = train(recipe, dataset, tmp_path / "whole", votes=votes)

    def stop(progress: TrainingProgress) -> None:
        if progress.epoch == 2 and progress.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, dataset, tmp_path / "stopped", votes=votes, on_progress=stop)
    other = {**votes, "train": votes["train"][::-1]}
    with pytest.raises(CheckpointError, match=r"votes is '\w+' there, '\w+' here"):
        train(recipe, dataset, tmp_path / "stopped", votes=other)
    resumed = train(recipe, dataset, tmp_path / "stopped", votes=votes)
    for first, second in zip(_weights(whole, recipe), _weights(resumed, recipe), strict=True):
        np.testing.assert_array_equal(first, second)
    assert [row["val_ferplus"] for row in whole.read_history()] == [
        row["val_ferplus"] for row in resumed.read_history()
    ]


def test_votes_take_their_share_of_the_labels(
    dataset: Dataset, votes: Votes, recipe: Recipe
) -> None:
    data = dataclasses.replace(recipe.data, votes_in_labels=0.25)
    batches = Material(dataclasses.replace(recipe, data=data), dataset, votes).batches()
    plain = np.eye(7, dtype=np.float32)[dataset.train.labels]
    said = labels_from_votes(vote_shares(votes["train"], FERPLUS), plain)
    rows = np.random.default_rng([5, 0, 0]).permutation(70)[:14]
    labels, ferplus = batches.load(0, 0).targets
    np.testing.assert_allclose(labels, 0.75 * plain[rows] + 0.25 * said[rows], atol=1e-6)
    np.testing.assert_array_equal(ferplus, vote_shares(votes["train"], FERPLUS)[rows])


def test_votes_in_labels_without_the_head_are_refused(
    dataset: Dataset, votes: Votes, recipe: Recipe
) -> None:
    data = dataclasses.replace(recipe.data, votes_in_labels=0.25)
    alone = dataclasses.replace(recipe.optimization, ferplus_weight=0.0)
    recipe = dataclasses.replace(recipe, data=data, optimization=alone)
    with pytest.raises(
        RecipeError, match=r"0.25 needs a FER\+ head, and optimization.ferplus_weight is 0"
    ):
        Material(recipe, dataset, votes)


def test_missing_votes_are_refused(dataset: Dataset, recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"not None\. Give fer2013new.csv \(--ferplus\)"):
        train(recipe, dataset, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_votes_for_another_number_of_images_are_refused(
    dataset: Dataset, votes: Votes, recipe: Recipe, tmp_path: Path
) -> None:
    short = {**votes, "train": votes["train"][:-1]}
    with pytest.raises(DatasetError, match=r"'train': 70.*not \{'train': 69"):
        train(recipe, dataset, tmp_path / "run", votes=short)


def test_the_head_shares_the_features_and_leaves_the_first_head_as_it_was(recipe: Recipe) -> None:
    alone = dataclasses.replace(recipe.optimization, ferplus_weight=0.0)
    single = build_network(dataclasses.replace(recipe, optimization=alone), {"fer2013": FER2013})
    double = build_network(recipe, {"fer2013": FER2013, "ferplus": FERPLUS})
    assert [tuple(output.shape) for output in double.outputs] == [(None, 7), (None, 8)]
    assert double.get_layer("ferplus_logits").input is double.layers[-2].input
    inputs = np.random.default_rng(1).normal(size=(3, 48, 48, 1)).astype(np.float32)
    first = keras.ops.convert_to_numpy(double.predict_on_batch(inputs)[0])
    np.testing.assert_allclose(first, single.predict_on_batch(inputs), atol=1e-6)


def test_without_the_head_history_and_files_do_not_mention_it(
    dataset: Dataset, votes: Votes, recipe: Recipe, tmp_path: Path
) -> None:
    one = dataclasses.replace(recipe.optimization, ferplus_weight=0.0, epochs=1)
    recipe = dataclasses.replace(recipe, optimization=one)
    run = train(recipe, dataset, tmp_path / "run", votes=votes)
    assert "ferplus" not in run.history.read_text()
    with np.load(run.validation) as file:
        assert "ferplus_logits" not in file
