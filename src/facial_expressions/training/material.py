"""What a run learns from, checked against its recipe: images, votes, teachers, first weights."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facial_expressions.data.dataset import Dataset, Split
from facial_expressions.data.duplicates import duplicate_groups
from facial_expressions.data.ferplus import ferplus_votes
from facial_expressions.data.load import load_dataset
from facial_expressions.errors import DatasetError, RecipeError
from facial_expressions.training.batches import TrainingBatches, add_answers
from facial_expressions.training.heads import TrainingHead, Votes, heads_of
from facial_expressions.training.network import preprocessing_of
from facial_expressions.training.recipe import Recipe
from facial_expressions.training.run_folder import describe_dataset
from facial_expressions.training.teachers import Teachers
from facial_expressions.training.trained_networks import TrainedNetwork, open_network


def load_training_data(
    recipe: Recipe,
    data: Path,
    *,
    ferplus: Path | None,
    competition: Path | None,
    allow_partial: bool,
) -> tuple[Dataset, Votes | None]:
    """Load what a recipe learns from: the data set, and the FER+ votes if it has such a head.

    With ``competition``, the competition file, images of the Kaggle layout get their votes too;
    ``allow_partial`` says whether images of FER-2013 may be missing.
    """
    dataset = load_dataset(
        data, protocol=recipe.data.protocol, seed=recipe.run.seed, allow_partial=allow_partial
    )
    if ferplus is None or recipe.optimization.ferplus_weight == 0:
        return dataset, None
    return dataset, ferplus_votes(dataset, ferplus, competition=competition)


@dataclass(frozen=True, slots=True)
class EarlierWork:
    """What a run takes from earlier ones.

    Attributes:
        start: Initial weights: folder of a finished run, model file, or name of a
            shipped model; None draws them.
        teachers: Folders of finished runs, model files and names of shipped models to learn from.
    """

    start: str | Path | None = None
    teachers: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What a run learns from.

    FER+ votes are empty when no head needs them; ``facts`` are what the run's ``dataset.json``
    says; ``start`` gives the first weights.
    """

    recipe: Recipe
    dataset: Dataset
    heads: tuple[TrainingHead, ...]
    votes: Votes
    facts: Mapping[str, Any]
    start: TrainedNetwork | None = None
    teachers: Teachers | None = None

    def batches(self) -> TrainingBatches:
        """Return the run's training batches; teachers that answer once for each image do so now."""
        split, teachers, distillation = self.dataset.train, self.teachers, self.recipe.distillation
        targets = [head.targets(split, self.votes) for head in self.heads]
        groups = duplicate_groups(split.images) if self.recipe.data.average_duplicates else ()
        for rows, one in itertools.product(groups, targets):
            one[rows] = one[rows].mean(axis=0)
        if teachers is not None and distillation.per_image:
            answers = teachers.answer_each(split.images)
            targets, teachers = add_answers(targets, answers, distillation.temperature), None
        weights, teacher = self._weights(split), teachers.answer if teachers else None
        preprocessing = preprocessing_of(self.recipe)
        return TrainingBatches(split, targets, weights, self.recipe, preprocessing, teacher)

    def truths(self) -> dict[str, NDArray[np.int64]]:
        """Return by each head's name the label ids of the validation images, -1 for none."""
        split = self.dataset.validation
        return {head.name: head.truth(split, self.votes) for head in self.heads}

    def _weights(self, split: Split) -> NDArray[np.float32]:
        """Return the weight of each image in the loss."""
        if self.recipe.optimization.class_weights == "none":
            return np.ones(len(split), np.float32)
        return class_weights(split.labels, len(self.dataset.labels))[split.labels]

    def origins(self) -> dict[str, object]:
        """Return what decides the run beside recipe and data, as plain values."""
        parts = {"start": self.start, "teachers": self.teachers}
        return {name: part.describe() for name, part in parts.items() if part is not None}


def gather(
    recipe: Recipe, dataset: Dataset, votes: Votes | None = None, earlier: EarlierWork | None = None
) -> Material:
    """Check what a run is to learn from, and open it; votes that no head learns are ignored.

    Raises:
        DatasetError: There are no training or no validation images, or the FER+ votes that the
            recipe asks for are not given or are not for these images.
        RecipeError: The recipe asks for teachers and there are none, or the other way round, or it
            has votes in its labels and no FER+ head.
        ModelError: A run or model file is damaged, or does not fit the recipe or the data.
    """
    if not len(dataset.train) or not len(dataset.validation):
        raise DatasetError(
            f"{dataset.name}: {len(dataset.train)} train and {len(dataset.validation)} validation "
            "images; training needs both. Choose another --protocol or data set"
        )
    if recipe.data.votes_in_labels and not recipe.optimization.ferplus_weight:
        raise RecipeError(
            f"data.votes_in_labels: {recipe.data.votes_in_labels:g} needs a FER+ head, and "
            "optimization.ferplus_weight is 0. Set both or neither"
        )
    heads, facts = heads_of(recipe, dataset.labels), describe_dataset(dataset)
    used: Votes = {}
    if any(head.needs_votes for head in heads):
        used = _checked_votes(dataset, votes)
        content = b"".join(used[name].tobytes() for name in sorted(used))
        facts["ferplus_digest"] = hashlib.sha256(content).hexdigest()
    earlier = earlier or EarlierWork()
    return Material(
        recipe,
        dataset,
        heads,
        used,
        facts,
        start=None if earlier.start is None else open_network(earlier.start),
        teachers=_open_teachers(recipe, heads, earlier.teachers),
    )


def _checked_votes(dataset: Dataset, votes: Votes | None) -> Votes:
    wanted = {split.name: len(split) for split in (dataset.train, dataset.validation)}
    received = None if votes is None else {name: len(votes.get(name, ())) for name in wanted}
    if votes is None or received != wanted:
        raise DatasetError(
            f"FER+ votes: the recipe needs a row for each of {wanted} images, not {received}. "
            "Give fer2013new.csv (--ferplus), or set optimization.ferplus_weight=0"
        )
    return votes


def _open_teachers(
    recipe: Recipe, heads: tuple[TrainingHead, ...], sources: tuple[Path, ...]
) -> Teachers | None:
    weight = recipe.distillation.weight
    if (weight > 0) != bool(sources):
        raise RecipeError(
            f"distillation.weight: {weight:g} with the teachers "
            f"{[str(path) for path in sources]}. Give teachers (--teacher) and a weight above 0, "
            "or neither"
        )
    if not sources:
        return None
    label_sets = {head.name: head.labels for head in heads}
    return Teachers(sources, label_sets, size=recipe.network.size)


def class_weights(labels: NDArray[np.int64], n_classes: int) -> NDArray[np.float32]:
    """Return N / (K * count) for each class, so that all classes weigh the same; ``float32 (K,)``.

    Examples:
        >>> class_weights(np.array([0, 0, 0, 1]), 2)
        array([0.6666667, 2.       ], dtype=float32)
    """
    counts = np.bincount(labels, minlength=n_classes)
    return (len(labels) / (n_classes * np.maximum(counts, 1))).astype(np.float32)
