"""The list of heads: what each learns, and that one more needs no other place."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facial_expressions.data.dataset import Dataset
from facial_expressions.labels import FER2013, FERPLUS, LabelSet
from facial_expressions.training import material
from facial_expressions.training import network as network_module
from facial_expressions.training.network import (
    TrainingHead,
    VotesCrossEntropy,
    heads_of,
    label_sets_of,
)
from facial_expressions.training.recipe import Recipe
from facial_expressions.training.train import train
from facial_expressions.training.trained_networks import FinishedRun

pytestmark = [pytest.mark.train]

Votes = dict[str, NDArray[np.uint8]]
MIRTH = LabelSet("mirth", ("serious", "merry"))


def _is_merry(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where(labels == FER2013.id_of("happy"), 1, 0)


def _with_mirth(recipe: Recipe, labels: LabelSet) -> tuple[TrainingHead, ...]:
    """Return a recipe's heads and one that tells happy faces from others."""
    mirth = TrainingHead(
        "mirth",
        MIRTH,
        VotesCrossEntropy(),
        0.5,
        targets=lambda split, votes: np.eye(2, dtype=np.float32)[_is_merry(split.labels)],
        truth=lambda split, votes: _is_merry(split.labels),
    )
    return (*heads_of(recipe, labels), mirth)


def test_a_recipe_has_the_labels_head_and_where_it_says_so_that_of_the_votes() -> None:
    recipe = Recipe.from_dict({"optimization": {"ferplus_weight": 0.25}})
    assert label_sets_of(Recipe(), FER2013) == {"fer2013": FER2013}
    assert list(label_sets_of(recipe, FER2013).values()) == [FER2013, FERPLUS]
    assert [(head.name, head.weight) for head in heads_of(recipe, FER2013)] == [
        ("fer2013", 1.0),
        ("ferplus", 0.25),
    ]


def test_truth_is_the_label_and_the_strict_majority_of_the_votes(
    dataset: Dataset, votes: Votes
) -> None:
    recipe = Recipe.from_dict({"optimization": {"ferplus_weight": 0.25}})
    first, second = (head.truth(dataset.validation, votes) for head in heads_of(recipe, FER2013))
    np.testing.assert_array_equal(first, dataset.validation.labels)
    names = [FERPLUS.names[label] if label >= 0 else None for label in second]
    expected = [FER2013.names[label] for label in dataset.validation.labels]
    assert [one for one in names if one] == [e for n, e in zip(names, expected, strict=True) if n]
    assert [i for i, one in enumerate(names) if one is None] == [9, 19]  # no face, say the votes


def test_one_more_head_is_learnt_measured_and_kept(
    dataset: Dataset, votes: Votes, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (network_module, material):
        monkeypatch.setattr(module, "heads_of", _with_mirth)
    optimization = dataclasses.replace(recipe.optimization, ferplus_weight=0.5)
    recipe = dataclasses.replace(recipe, optimization=optimization)
    run = train(recipe, dataset, tmp_path / "run", votes=votes)
    assert list(run.read_history()[-1])[-2:] == ["val_ferplus", "val_mirth"]
    columns = run.history.read_text().splitlines()[0].split(",")
    assert columns[-2:] == ["val_ferplus", "val_mirth"]
    with np.load(run.validation) as file:
        logits, labels = file["mirth_logits"], file["mirth_labels"]
    assert logits.shape == (21, 2)
    np.testing.assert_array_equal(labels, _is_merry(dataset.validation.labels))
    right = logits.argmax(axis=1) == labels
    assert right.mean() == pytest.approx(run.read_history()[-1]["val_mirth"])
    again = FinishedRun(run.path)
    assert list(again.heads.values()) == [FER2013, FERPLUS, MIRTH]
    assert [tuple(output.shape) for output in again.build().outputs] == [
        (None, 7), (None, 8), (None, 2),
    ]  # fmt: skip
