"""What a run learns from, checked against its recipe: images, votes, teachers, first weights.

Teachers are finished runs and exported model files, whose answers are averaged. A teacher's head
teaches the student's head of its name and label set. They answer on the very images that the
student sees, or once for each image with the mean over the test-time views: a student that learns
from that on changed images learns what many views of a whole image show together, and training
continues as fast as without teachers.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from facial_expressions.calibration import softmax
from facial_expressions.data.dataset import Dataset, Floats, Images, Ints, duplicate_groups
from facial_expressions.data.ferplus import Votes, ferplus_votes
from facial_expressions.data.load import load_dataset
from facial_expressions.errors import DatasetError, ModelError, RecipeError
from facial_expressions.inference.classifier import views_of
from facial_expressions.labels import LabelSet
from facial_expressions.training.batches import TrainingBatches, add_answers
from facial_expressions.training.network import heads_of, predict_logits, preprocessing_of
from facial_expressions.training.recipe import Recipe
from facial_expressions.training.run_folder import describe_dataset
from facial_expressions.training.trained_networks import TrainedNetwork, open_network

_AT_ONCE: Final = 128


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


class Teachers:
    """Several networks that answer as one.

    They are computed in the precision of the training, model files too: so all heads of a file
    teach, and with bfloat16 an answer takes a third of the time.

    Args:
        sources: Folders of finished runs, model files, and names of shipped models.
        heads: Label set of each head of the student, by the head's name.
        size: Side of the student's crops in pixels.

    Raises:
        ModelError: A teacher is damaged or unfinished, takes crops of another size, or has no head
            in common with the student.

    Attributes:
        taught: Heads of the student that a network teaches, by their place among all.
    """

    def __init__(
        self, sources: Sequence[str | Path], heads: Mapping[str, LabelSet], *, size: int
    ) -> None:
        self._networks = [open_network(source) for source in sources]
        for network in self._networks:
            _check_fit(network, heads, size)
        self._models = [network.build() for network in self._networks]
        self._places = {head: place for place, head in enumerate(heads.items())}
        theirs = {head for network in self._networks for head in network.heads.items()}
        self.taught = {place for head, place in self._places.items() if head in theirs}

    def describe(self) -> list[dict[str, object]]:
        """Return what identifies each network, as plain values."""
        return [network.describe() for network in self._networks]

    def answer(self, crops: Floats) -> dict[int, Floats]:
        """Return for each taught head, by its place, the mean of the networks that teach it.

        From grey crops of 0 to 255, ``float32 (N, S, S)``, to probabilities, ``float32 (N, K)``.
        """
        answers = defaultdict(list)
        for network, model in zip(self._networks, self._models, strict=True):
            preprocessing = replace(network.preprocessing, channels=model.input_shape[-1])
            logits = predict_logits(model, crops, preprocessing)
            for head, rows in zip(network.heads.items(), logits, strict=True):
                if head in self._places:
                    answers[self._places[head]].append(softmax(rows).astype(np.float32))
        return {place: _mean(rows) for place, rows in answers.items()}

    def answer_each(self, images: Images) -> dict[int, Floats]:
        """Return the same for whole images, ``uint8``, as the mean over the test-time views."""
        parts = []
        for start in range(0, len(images), _AT_ONCE):
            some = images[start : start + _AT_ONCE]
            views = [self.answer(view.astype(np.float32)) for view in views_of(some)]
            parts.append({head: _mean([one[head] for one in views]) for head in self.taught})
        return {head: np.concatenate([part[head] for part in parts]) for head in self.taught}


def _check_fit(network: TrainedNetwork, heads: Mapping[str, LabelSet], size: int) -> None:
    received = network.preprocessing.size
    if received != size:
        raise ModelError(
            f"teacher {network.path.name}: takes crops of {received} pixels, the recipe has "
            f"{size}. Choose a teacher of that size"
        )
    if not network.heads.items() & heads.items():
        raise ModelError(
            f"teacher {network.path.name}: has the label sets {list(network.heads)}, the network "
            f"learns {list(heads)}. Choose a teacher of the same label set"
        )


def _mean(arrays: Sequence[Floats]) -> Floats:
    return np.asarray(np.mean(arrays, axis=0, dtype=np.float32))


class Material:
    """What a run learns from, checked and opened.

    Args:
        recipe: What the run is to learn by.
        dataset: The images.
        votes: FER+ votes on them; ignored where no head learns from them.
        earlier: First weights and teachers.

    Raises:
        DatasetError: There are no training or no validation images, or the FER+ votes that the
            recipe asks for are not given or are not for these images.
        RecipeError: The recipe asks for teachers and there are none, or the other way round, or it
            has votes in its labels and no FER+ head.
        ModelError: A run or model file is damaged, or does not fit the recipe or the data.

    Attributes:
        heads: Those of the recipe's network.
        facts: What the run's ``dataset.json`` says.
        start: Gives the first weights, if not None.
        teachers: Networks to learn from, if not None.
    """

    def __init__(
        self,
        recipe: Recipe,
        dataset: Dataset,
        votes: Votes | None = None,
        earlier: EarlierWork | None = None,
    ) -> None:
        if not len(dataset.train) or not len(dataset.validation):
            raise DatasetError(
                f"{dataset.name}: {len(dataset.train)} train and {len(dataset.validation)} "
                "validation images; training needs both. Choose another --protocol or data set"
            )
        if recipe.data.votes_in_labels and not recipe.optimization.ferplus_weight:
            raise RecipeError(
                f"data.votes_in_labels: {recipe.data.votes_in_labels:g} needs a FER+ head, and "
                "optimization.ferplus_weight is 0. Set both or neither"
            )
        self.recipe, self.dataset = recipe, dataset
        self.heads, self.facts = heads_of(recipe, dataset.labels), describe_dataset(dataset)
        self._votes: Votes = {}
        if any(head.needs_votes for head in self.heads):
            self._votes = _checked_votes(dataset, votes)
            content = b"".join(self._votes[name].tobytes() for name in sorted(self._votes))
            self.facts["ferplus_digest"] = hashlib.sha256(content).hexdigest()
        earlier = earlier or EarlierWork()
        self.start = None if earlier.start is None else open_network(earlier.start)
        weight, sources = recipe.distillation.weight, earlier.teachers
        if (weight > 0) != bool(sources):
            raise RecipeError(
                f"distillation.weight: {weight:g} with the teachers {[*map(str, sources)]}. Give "
                "teachers (--teacher) and a weight above 0, or neither"
            )
        label_sets = {head.name: head.labels for head in self.heads}
        size = recipe.network.size
        self.teachers = Teachers(sources, label_sets, size=size) if sources else None

    def batches(self) -> TrainingBatches:
        """Return the run's training batches; teachers that answer once for each image do so now."""
        split, teachers, distillation = self.dataset.train, self.teachers, self.recipe.distillation
        targets = [head.targets(split, self._votes) for head in self.heads]
        groups = duplicate_groups(split.images) if self.recipe.data.average_duplicates else ()
        for rows, one in itertools.product(groups, targets):
            one[rows] = one[rows].mean(axis=0)
        if teachers is not None and distillation.per_image:
            answers = teachers.answer_each(split.images)
            targets, teachers = add_answers(targets, answers, distillation.temperature), None
        weights, teacher = np.ones(len(split), np.float32), teachers.answer if teachers else None
        if self.recipe.optimization.class_weights == "balanced":
            weights = class_weights(split.labels, len(self.dataset.labels))[split.labels]
        preprocessing = preprocessing_of(self.recipe)
        return TrainingBatches(split, targets, weights, self.recipe, preprocessing, teacher)

    def truths(self) -> dict[str, Ints]:
        """Return by each head's name the label ids of the validation images, -1 for none."""
        split = self.dataset.validation
        return {head.name: head.truth(split, self._votes) for head in self.heads}

    def origins(self) -> dict[str, object]:
        """Return what decides the run beside recipe and data, as plain values."""
        parts = {"start": self.start, "teachers": self.teachers}
        return {name: part.describe() for name, part in parts.items() if part is not None}


def _checked_votes(dataset: Dataset, votes: Votes | None) -> Votes:
    wanted = {split.name: len(split) for split in (dataset.train, dataset.validation)}
    received = None if votes is None else {name: len(votes.get(name, ())) for name in wanted}
    if votes is None or received != wanted:
        raise DatasetError(
            f"FER+ votes: the recipe needs a row for each of {wanted} images, not {received}. "
            "Give fer2013new.csv (--ferplus), or set optimization.ferplus_weight=0"
        )
    return votes


def class_weights(labels: Ints, n_classes: int) -> Floats:
    """Return N / (K * count) for each class, so that all classes weigh the same; ``float32 (K,)``.

    Examples:
        >>> class_weights(np.array([0, 0, 0, 1]), 2)
        array([0.6666667, 2.       ], dtype=float32)
    """
    counts = np.bincount(labels, minlength=n_classes)
    return (len(labels) / (n_classes * np.maximum(counts, 1))).astype(np.float32)
