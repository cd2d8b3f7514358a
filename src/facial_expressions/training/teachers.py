"""Networks that teach another one while it trains: finished runs and exported model files.

Each answers on the very pictures that the pupil sees, before they are mixed; the answers are
averaged. A teacher's output teaches the head of the pupil that has the same label set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from facial_expressions.architectures import list_architectures
from facial_expressions.data.folds import content_folds
from facial_expressions.errors import ModelError
from facial_expressions.inference.classifier import ExpressionClassifier
from facial_expressions.inference.model_store import list_models
from facial_expressions.inference.probabilities import softmax
from facial_expressions.inference.runtime import file_sha256
from facial_expressions.labels import FERPLUS, LabelSet
from facial_expressions.preprocessing import Preprocessing, to_batch
from facial_expressions.training.finished_run import FinishedRun, read_finished_run
from facial_expressions.training.first_weights import open_first_weights
from facial_expressions.training.network import build_network, preprocessing_of
from facial_expressions.training.picture_answers import PictureAnswers
from facial_expressions.training.recipe import NetworkRecipe, Recipe
from facial_expressions.training.teaching import Lesson, Pupil, Teacher

__all__ = ["Teachers", "open_teachers"]


class _Member(Protocol):
    """One teacher."""

    @property
    def label_sets(self) -> tuple[LabelSet, ...]:
        """Label set of each output."""

    @property
    def size(self) -> int:
        """Side of its crops in pixels."""

    def answer(self, crops: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return each output's probabilities for grey crops of 0 to 255."""

    def describe(self) -> dict[str, object]:
        """Return what identifies the teacher, as plain values."""


class _ForeignFileMember:
    """A model file of a network that is not ours: its default head teaches."""

    def __init__(self, classifier: ExpressionClassifier) -> None:
        self._classifier = classifier
        self.label_sets = (classifier.labels,)
        self.size = classifier.metadata.preprocessing.size

    def answer(self, crops: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        return [self._classifier.predict_proba(np.rint(crops).astype(np.uint8))]

    def describe(self) -> dict[str, object]:
        return _describe_file(self._classifier)


class _FileMember:
    """A model file of a registered architecture, computed in the precision of the training.

    So all its heads teach, and where a processor has bfloat16 an answer takes a third of the time.
    """

    def __init__(self, classifier: ExpressionClassifier, recipe: Recipe) -> None:
        self._classifier = classifier
        metadata = classifier.metadata
        scaling = metadata.preprocessing
        network = NetworkRecipe(metadata.architecture, scaling.size, scaling.mean, scaling.std)
        self.label_sets = tuple(head.labels for head in metadata.heads)
        votes = replace(recipe.optimization, ferplus_weight=float(FERPLUS in self.label_sets))
        own = replace(recipe, network=network, optimization=votes)
        self._model = build_network(own, len(self.label_sets[0]))
        open_first_weights(classifier.path).copy_to(self._model, own, self.label_sets[0])
        self._preprocessing = preprocessing_of(own)
        self.size = scaling.size

    def answer(self, crops: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        return _answers(self._model, crops, self._preprocessing)

    def describe(self) -> dict[str, object]:
        return _describe_file(self._classifier)


class _RunMember:
    """A finished run's network."""

    def __init__(self, run: FinishedRun) -> None:
        self._model = run.build()
        self._preprocessing = preprocessing_of(run.recipe)
        self.run = run
        self.label_sets = tuple(run.heads.values())
        self.size = self._preprocessing.size

    def answer(self, crops: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        return _answers(self._model, crops, self._preprocessing)

    def describe(self) -> dict[str, object]:
        return self.run.describe()


class Teachers:
    """Several networks, as one teacher; made by ``open_teachers``."""

    computes = True

    def __init__(
        self,
        members: Sequence[_Member],
        label_sets: Sequence[LabelSet],
        may_teach: NDArray[np.bool_],
    ) -> None:
        self._members = members
        self._may_teach = may_teach  # (members, rows of the training split)
        self._outputs = [  # for each head which output of each member teaches it
            [_index(member.label_sets, labels) for member in members] for labels in label_sets
        ]

    @property
    def taught(self) -> tuple[bool, ...]:
        """For each head of the pupil whether a member teaches it."""
        return tuple(any(one is not None for one in outputs) for outputs in self._outputs)

    @property
    def identity(self) -> Mapping[str, object]:
        """What the members are."""
        return {"teachers": [member.describe() for member in self._members]}

    def answer(self, lesson: Lesson) -> tuple[NDArray[np.float32], ...]:
        """Return for each taught head the mean of the members that may teach each picture."""
        crops = lesson.crops()
        sums: dict[int, NDArray[np.float32]] = {}
        counts = np.zeros((len(self._outputs), len(crops)), np.float32)
        for index, member in enumerate(self._members):
            mine = self._may_teach[index, lesson.rows]
            if not mine.any():
                continue
            answers = member.answer(crops[mine])
            for head, outputs in enumerate(self._outputs):
                output = outputs[index]
                if output is not None:
                    shape = (len(crops), answers[output].shape[1])
                    total = sums.setdefault(head, np.zeros(shape, np.float32))
                    total[mine] += answers[output]
                    counts[head, mine] += 1
        return tuple(sums[head] / counts[head, :, None] for head in sorted(sums))


def open_teachers(paths: Sequence[Path], pupil: Pupil) -> Teacher:
    """Open the networks that teach another one.

    Args:
        paths: Folders of finished runs, model files that end in ``.onnx``, and names of shipped
            models.
        pupil: What is to learn from them.

    Raises:
        ModelError: A teacher is damaged or unfinished, takes crops of another size, has no label
            set in common with the pupil, or ``out_of_fold`` is asked for and a teacher has seen all
            pictures or a picture has no teacher that has not seen it.
    """
    members = [_open(path, pupil) for path in paths]
    may_teach = np.ones((len(members), len(pupil.images)), np.bool_)
    if pupil.recipe.distillation.out_of_fold:
        for row, member in enumerate(members):
            may_teach[row] = _unseen(member, pupil)
    teachers = Teachers(members, pupil.label_sets, may_teach)
    for head, labels in enumerate(pupil.label_sets):
        able = [_index(member.label_sets, labels) is not None for member in members]
        left = int((~may_teach[able].any(axis=0)).sum())
        if teachers.taught[head] and left:
            raise ModelError(
                f"each picture needs a teacher of {labels.name!r} that was trained without it; "
                f"received none for {left:,} of {len(pupil.images):,} pictures; give a run for "
                "every data.fold, or set distillation.out_of_fold=false"
            )
    if pupil.recipe.distillation.per_picture:
        return PictureAnswers(teachers, pupil.images)
    return teachers


def _open(path: Path, pupil: Pupil) -> _Member:
    is_file = path.suffix == ".onnx" or str(path) in {model.name for model in list_models()}
    member = _open_file(path, pupil.recipe) if is_file else _RunMember(read_finished_run(path))
    wanted = pupil.recipe.network.size
    if member.size != wanted:
        raise ModelError(
            f"teacher {path.name} takes crops of another size; received {member.size} pixels, "
            f"the recipe has {wanted}; choose a teacher of that size"
        )
    if all(_index(member.label_sets, labels) is None for labels in pupil.label_sets):
        names = [[one.name for one in sets] for sets in (member.label_sets, pupil.label_sets)]
        raise ModelError(
            f"teacher {path.name} has other label sets; received {names[0]}, the network learns "
            f"{names[1]}; choose a teacher of the same label set"
        )
    return member


def _open_file(path: Path, recipe: Recipe) -> _Member:
    classifier = ExpressionClassifier.load(path if path.suffix else str(path))
    if classifier.metadata.architecture in list_architectures():
        return _FileMember(classifier, recipe)
    return _ForeignFileMember(classifier)


def _describe_file(classifier: ExpressionClassifier) -> dict[str, object]:
    return {"name": classifier.path.name, "sha256": file_sha256(classifier.path)}


def _answers(
    model: keras.Model, crops: NDArray[np.float32], preprocessing: Preprocessing
) -> list[NDArray[np.float32]]:
    """Return each head's probabilities."""
    outputs = model.predict_on_batch(to_batch(crops, preprocessing))
    heads = outputs if isinstance(outputs, list) else [outputs]
    return [softmax(keras.ops.convert_to_numpy(one)).astype(np.float32) for one in heads]


def _unseen(member: _Member, pupil: Pupil) -> NDArray[np.bool_]:
    """Mark the pupil's pictures that a teacher was not trained on."""
    folds, fold, digest = 1, 0, ""
    if isinstance(member, _RunMember):
        data, digest = member.run.recipe.data, member.run.data_digest
        folds, fold = data.folds, data.fold
    if folds == 1 or digest != pupil.data_digest:
        raise ModelError(
            "an out-of-fold teacher is a run on the same data with one part left out; received "
            f"{member.describe()}; train it with data.folds and data.fold on this data, or set "
            "distillation.out_of_fold=false"
        )
    return np.asarray(content_folds(pupil.images, folds) == fold)


def _index(label_sets: Sequence[LabelSet], wanted: LabelSet) -> int | None:
    return next((i for i, one in enumerate(label_sets) if one == wanted), None)
