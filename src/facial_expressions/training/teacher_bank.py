"""A bank of teachers' answers: written once, replayed by any number of runs without the teachers.

::

    bank/
    ├── bank.json              what the answers are to, who gave them, SHA-256 of each file
    └── epoch-00000.npy        float16 (views, pictures, columns), in the order of the epoch

A run replays a bank only when it shows the same pictures in the same order with the same changes:
data, seed, sampling, views, size and augmentation must agree. Mixing and smaller pictures at first
(``mixup``, ``sizes``) come after the teachers and may differ.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.errors import ModelError
from facial_expressions.files import atomic_write, write_file
from facial_expressions.training.batches import TrainingBatches
from facial_expressions.training.identity import describe_differences
from facial_expressions.training.teaching import Lesson, Pupil, Teacher

__all__ = ["FORMAT", "TeacherBank", "write_bank"]

FORMAT: Final = "facial-expressions-teacher-bank/1"
_AFTER_TEACHERS: Final = ("mixup", "sizes")


def write_bank(
    folder: str | Path,
    teacher: Teacher,
    batches: TrainingBatches,
    pupil: Pupil,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a teacher's answers to every picture of every epoch; goes on where it was stopped.

    Args:
        folder: Where the bank goes; made if absent.
        teacher: Who answers.
        batches: The pupil's batches.
        pupil: Whom the answers are for; its recipe says how many epochs.
        on_progress: Called after every step with the steps done and the steps in all.

    Returns:
        The folder.

    Raises:
        ModelError: The folder holds another bank.
        CheckpointError: The folder cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    facts = _facts(pupil) | dict(teacher.identity) | {"heads": _taught_heads(teacher, pupil)}
    digests: list[str] = []
    if (folder / "bank.json").is_file():
        found = _read_facts(folder)
        digests = found.pop("epochs")
        _refuse_other(folder, found, json.loads(json.dumps(facts)))
    epochs = pupil.recipe.optimization.epochs
    for epoch in range(len(digests), epochs):
        parts = []
        for step in range(len(batches)):
            parts.append(_answer(teacher, batches.lesson(epoch, step), pupil))
            if on_progress is not None:
                on_progress(epoch * len(batches) + step + 1, epochs * len(batches))
        digests.append(_write_epoch(_epoch_file(folder, epoch), np.concatenate(parts, axis=1)))
        _write_facts(folder, facts | {"epochs": digests})
    return folder


class TeacherBank:
    """A bank, as a teacher.

    Args:
        folder: The bank.
        pupil: Who learns from it.

    Raises:
        ModelError: It is no bank, is damaged or not finished, or was made for other pictures; the
            message says what differs.
    """

    computes = False

    def __init__(self, folder: str | Path, pupil: Pupil) -> None:
        self._folder = Path(folder)
        facts = _read_facts(self._folder)
        self._digests: list[str] = facts.pop("epochs")
        self.taught = tuple(labels.name in facts["heads"] for labels in pupil.label_sets)
        self.identity: Mapping[str, object] = {
            "teachers": facts.pop("teachers", None),
            "bank": hashlib.sha256("".join(self._digests).encode()).hexdigest(),
        }
        self._columns = [
            len(labels)
            for labels, is_taught in zip(pupil.label_sets, self.taught, strict=True)
            if is_taught
        ]
        self._epoch = -1
        expected = _facts(pupil) | {"heads": facts["heads"]}
        _refuse_other(self._folder, facts, json.loads(json.dumps(expected)))
        wanted = pupil.recipe.optimization.epochs
        if len(self._digests) < wanted or not any(self.taught):
            raise ModelError(
                f"teacher bank {self._folder} is too short; received {len(self._digests)} epochs "
                f"for heads {facts['heads']}, the recipe has {wanted} epochs; write it with the "
                "verb 'bank' until it ends"
            )

    def answer(self, lesson: Lesson) -> tuple[NDArray[np.float32], ...]:
        """Return the stored probabilities for each taught head, ``float32 (N, K)``."""
        if lesson.epoch != self._epoch:
            self._answers = self._load(lesson.epoch)
            self._epoch = lesson.epoch
        n = len(lesson.rows) // len(self._answers)
        part = self._answers[:, lesson.start : lesson.start + n].astype(np.float32)
        part = part.reshape(-1, part.shape[-1])
        heads = np.split(part, np.cumsum(self._columns)[:-1], axis=1)
        return tuple(one / one.sum(axis=1, keepdims=True) for one in heads)

    def _load(self, epoch: int) -> NDArray[np.float16]:
        path = _epoch_file(self._folder, epoch)
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"
        if digest != self._digests[epoch]:
            raise ModelError(
                f"{path.name} of teacher bank {self._folder} is missing or changed; received "
                f"{digest}, expected SHA-256 {self._digests[epoch]}; write the bank again"
            )
        answers: NDArray[np.float16] = np.load(path, allow_pickle=False)
        return answers


def _taught_heads(teacher: Teacher, pupil: Pupil) -> list[str]:
    pairs = zip(pupil.label_sets, teacher.taught, strict=True)
    return [labels.name for labels, is_taught in pairs if is_taught]


def _facts(pupil: Pupil) -> dict[str, Any]:
    """Return everything that decides which pictures an epoch shows, and how they are changed."""
    recipe = pupil.recipe
    sections = recipe.to_dict()
    per_picture = recipe.distillation.per_picture
    changes = sections["augmentation"]
    optimization = recipe.optimization
    return {
        "format": FORMAT,
        "data": {
            "digest": pupil.data_digest,
            **{key: sections["data"][key] for key in ("folds", "fold", "balance")},
        },
        "seed": recipe.run.seed,
        "size": recipe.network.size,
        "views": optimization.views,
        "augmentation": {key: changes[key] for key in changes if key not in _AFTER_TEACHERS},
        "out_of_fold": recipe.distillation.out_of_fold,
        **({"per_picture": True} if per_picture else {}),  # older banks do not mention it
    }


def _answer(teacher: Teacher, lesson: Lesson, pupil: Pupil) -> NDArray[np.float16]:
    """Return the answers to one step, ``(views, pictures, columns)``."""
    answers = np.concatenate(teacher.answer(lesson), axis=1).astype(np.float16)
    return answers.reshape(pupil.recipe.optimization.views, -1, answers.shape[1])


def _epoch_file(folder: Path, epoch: int) -> Path:
    return folder / f"epoch-{epoch:05d}.npy"


def _write_epoch(path: Path, answers: NDArray[np.float16]) -> str:
    """Write the answers of one epoch and return the file's SHA-256."""
    with atomic_write(path) as file:
        np.save(file, answers, allow_pickle=False)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write_facts(folder: Path, facts: Mapping[str, object]) -> None:
    write_file(folder / "bank.json", json.dumps(facts, indent=1, sort_keys=True) + "\n")


def _read_facts(folder: Path) -> dict[str, Any]:
    path = folder / "bank.json"
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if facts["format"] == FORMAT and all(isinstance(one, str) for one in facts["epochs"]):
            return facts
        received = f"format {facts['format']!r}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        received = repr(error)
    raise ModelError(
        f"{folder} is no teacher bank; received {received}; write one with the verb 'bank'"
    )


def _refuse_other(folder: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    differences = describe_differences(found, expected)
    if differences:
        raise ModelError(
            f"teacher bank {folder} is of other pictures or teachers; received "
            f"{'; '.join(differences)}; write a bank with this recipe and data"
        )
