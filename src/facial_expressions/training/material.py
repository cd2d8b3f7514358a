"""What a run learns from, checked against its recipe: pictures, votes, teachers, first weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facial_expressions.data.dataset import Dataset
from facial_expressions.data.ferplus import labels_from_votes, soft_labels
from facial_expressions.data.folds import content_folds
from facial_expressions.errors import DatasetError, RecipeError
from facial_expressions.labels import FERPLUS
from facial_expressions.training.batches import TrainingBatches, one_hot
from facial_expressions.training.first_weights import FirstWeights, open_first_weights
from facial_expressions.training.network import preprocessing_of
from facial_expressions.training.recipe import Recipe
from facial_expressions.training.teacher_bank import TeacherBank
from facial_expressions.training.teachers import open_teachers
from facial_expressions.training.teaching import Pupil, Teacher

__all__ = ["EarlierWork", "Material", "Votes", "gather"]

Votes = Mapping[str, NDArray[np.uint8]]
"""For each split the FER+ votes on its pictures, as ``data.ferplus_votes`` returns them."""


@dataclass(frozen=True, slots=True)
class EarlierWork:
    """What a run takes from earlier ones.

    Attributes:
        start: Whose weights are the first ones: folder of a finished run, model file, or name of a
            shipped model; None draws them.
        teachers: Folders of finished runs and exported model files to learn from.
        bank: Folder with answers of teachers, instead of these themselves.
    """

    start: str | Path | None = None
    teachers: tuple[Path, ...] = ()
    bank: Path | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What a run learns from.

    Attributes:
        recipe: The recipe.
        dataset: The pictures; its training split is without the part that the recipe leaves out.
        digest: Digest of the data set, all parts of it.
        votes: FER+ votes on the pictures; None without a FER+ head.
        start: Gives the first weights.
        teacher: Gives further distributions to learn from.
    """

    recipe: Recipe
    dataset: Dataset
    digest: str
    votes: Votes | None = None
    start: FirstWeights | None = None
    teacher: Teacher | None = None

    @property
    def pupil(self) -> Pupil:
        """The run's network, as its teachers know it."""
        labels = self.dataset.labels
        return Pupil(
            recipe=self.recipe,
            label_sets=(labels,) if self.votes is None else (labels, FERPLUS),
            images=self.dataset.train.images,
            data_digest=self.digest,
        )

    @property
    def taught(self) -> tuple[bool, ...]:
        """For each head whether there is a teacher for it."""
        if self.teacher is None:
            return (False,) if self.votes is None else (False, False)
        return self.teacher.taught

    def batches(self) -> TrainingBatches:
        """Return the run's training batches."""
        split = self.dataset.train
        targets = [one_hot(split.labels, len(self.dataset.labels))]
        if self.votes is not None:
            shares = soft_labels(self.votes[split.name])
            targets.append(shares)
            if share := self.recipe.data.votes_in_labels:
                said = labels_from_votes(shares, targets[0])
                targets[0] = (1 - share) * targets[0] + share * said
        return TrainingBatches(
            split,
            tuple(targets),
            recipe=self.recipe,
            preprocessing=preprocessing_of(self.recipe),
            teacher=self.teacher,
        )

    def origins(self) -> dict[str, object]:
        """Return what decides the run beside recipe and data, as plain values."""
        parts: dict[str, object] = {}
        if self.votes is not None:
            parts["votes"] = _digest(self.votes)
        if self.start is not None:
            parts["start"] = self.start.describe()
        if self.teacher is not None:
            parts |= self.teacher.identity
        return parts


def gather(recipe: Recipe, dataset: Dataset, votes: Votes | None, earlier: EarlierWork) -> Material:
    """Check what a run is to learn from, and open it.

    Args:
        recipe: The recipe.
        dataset: Needs train and validation pictures.
        votes: FER+ votes; needed when the recipe has a ``ferplus_weight``, ignored otherwise.
        earlier: Weights and teachers of earlier runs.

    Raises:
        DatasetError: There are no training or no validation pictures, or the FER+ votes that the
            recipe asks for are not given or are not for these pictures.
        RecipeError: The recipe asks for teachers and there are none, or the other way round, or it
            has votes in its labels and no FER+ head.
        ModelError: A run, model file or bank is damaged, or does not fit the recipe or the data.
    """
    if not len(dataset.train) or not len(dataset.validation):
        raise DatasetError(
            f"training needs train and validation pictures; received {len(dataset.train)} and "
            f"{len(dataset.validation)} in {dataset.name!r}; choose another --protocol or data set"
        )
    if recipe.data.votes_in_labels and not recipe.optimization.ferplus_weight:
        raise RecipeError(
            "data.votes_in_labels takes the votes that a FER+ head learns; received "
            f"{recipe.data.votes_in_labels:g} with optimization.ferplus_weight=0; give both or "
            "neither"
        )
    material = Material(recipe, dataset, dataset.digest())
    if recipe.optimization.ferplus_weight > 0:
        material = replace(material, votes=_checked_votes(dataset, votes))
    material = _without_fold(material)
    if earlier.start is not None:
        material = replace(material, start=open_first_weights(earlier.start))
    teacher = _open_teacher(material.pupil, earlier)
    return replace(material, teacher=teacher)


def _checked_votes(dataset: Dataset, votes: Votes | None) -> Votes:
    wanted = {split.name: len(split) for split in (dataset.train, dataset.validation)}
    received = None if votes is None else {name: len(votes.get(name, ())) for name in wanted}
    if votes is None or received != wanted:
        raise DatasetError(
            f"the recipe learns FER+ votes too and needs a row of votes for each of {wanted} "
            f"pictures; received {received}; give fer2013new.csv (--ferplus), or set "
            "optimization.ferplus_weight=0"
        )
    return votes


def _without_fold(material: Material) -> Material:
    """Leave out the part of the training pictures that the recipe does not learn from."""
    data, train = material.recipe.data, material.dataset.train
    if data.folds == 1:
        return material
    kept = content_folds(train.images, data.folds) != data.fold
    votes = material.votes
    if votes is not None:
        votes = {**votes, train.name: votes[train.name][kept]}
    return replace(material, dataset=replace(material.dataset, train=train.take(kept)), votes=votes)


def _open_teacher(pupil: Pupil, earlier: EarlierWork) -> Teacher | None:
    given = [*earlier.teachers, *([earlier.bank] if earlier.bank else [])]
    weight = pupil.recipe.distillation.weight
    if (weight > 0) != bool(given):
        raise RecipeError(
            f"distillation.weight and the teachers do not go together; received {weight:g} and "
            f"{[str(path) for path in given]}; give teachers (--teacher or --bank) with a weight "
            "above 0, or neither"
        )
    if earlier.bank and earlier.teachers:
        raise RecipeError(
            f"a run learns from teachers or from a bank; received {len(earlier.teachers)} teachers "
            f"and the bank {earlier.bank}; give one of the two"
        )
    if earlier.bank:
        return TeacherBank(earlier.bank, pupil)
    return open_teachers(earlier.teachers, pupil) if given else None


def _digest(votes: Votes) -> str:
    """Return SHA-256 over the votes on all splits, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(votes):
        digest.update(np.ascontiguousarray(votes[name]).data)
    return digest.hexdigest()
