"""Teachers' answers that belong to a picture, whatever is done to it in training.

Each picture is answered once, before training, as the mean over the test-time views. A network that
learns from it on changed pictures learns what many views of a whole picture show together, and
training goes on as fast as without teachers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from facial_expressions.inference.views import TEST_TIME_VIEWS, View, apply_view
from facial_expressions.training.teaching import Lesson, Teacher

__all__ = ["PictureAnswers"]

_AT_ONCE = 128


class PictureAnswers:
    """A teacher that has answered every picture beforehand.

    Args:
        teacher: Who answers.
        images: The training pictures, ``uint8 (N, S, S)``.
    """

    computes = False

    def __init__(self, teacher: Teacher, images: NDArray[np.uint8]) -> None:
        self.taught = teacher.taught
        self._identity = teacher.identity
        parts = [_answer(teacher, images, start) for start in range(0, len(images), _AT_ONCE)]
        self._heads = [np.concatenate(head) for head in zip(*parts, strict=True)]

    @property
    def identity(self) -> Mapping[str, object]:
        """What the teachers are."""
        return self._identity

    def answer(self, lesson: Lesson) -> tuple[NDArray[np.float32], ...]:
        """Return for each taught head the probabilities, ``float32 (N, K)``."""
        return tuple(head[lesson.rows] for head in self._heads)


def _answer(teacher: Teacher, images: NDArray[np.uint8], start: int) -> list[NDArray[np.float32]]:
    """Return for each taught head the mean over views for the pictures from ``start`` on."""
    some = images[start : start + _AT_ONCE]
    rows = np.arange(start, start + len(some))
    answers = []
    for view in TEST_TIME_VIEWS:
        answers.append(teacher.answer(Lesson(0, start, rows, partial(_crops, some, view))))
    return [np.mean(head, axis=0, dtype=np.float32) for head in zip(*answers, strict=True)]


def _crops(images: NDArray[np.uint8], view: View) -> NDArray[np.float32]:
    return apply_view(images, view).astype(np.float32)
