"""What ships answers each crop by itself: no batch, order or neighbour changes an answer."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from facial_expressions.inference.classifier import ExpressionClassifier, load_classifier
from facial_expressions.inference.model_store import list_models
from facial_expressions.labels import FER2013
from tests import builders

NAMES = [model.name for model in list_models()]
TOLERANCE = 1e-5
LABELS = [label for label in FER2013 for _ in range(6)]  # sorted by class, six faces each
FACES = np.stack([builders.draw_face(label, seed) for seed, label in enumerate(LABELS)])


@pytest.fixture(scope="module", params=NAMES)
def classifier(request: pytest.FixtureRequest) -> ExpressionClassifier:
    return load_classifier(request.param, threads=1)


def check_alike(rows: NDArray[np.float32], others: NDArray[np.float32]) -> None:
    """Probabilities equal but for the last digits, and the same answers."""
    assert np.abs(rows - others).max() < TOLERANCE
    assert np.array_equal(rows.argmax(axis=1), others.argmax(axis=1))


@pytest.mark.parametrize("batch_size", [1, 5, 42])
def test_answers_do_not_depend_on_the_batch_size(
    classifier: ExpressionClassifier, batch_size: int
) -> None:
    check_alike(
        classifier.predict_proba(FACES), classifier.predict_proba(FACES, batch_size=batch_size)
    )


def test_answers_do_not_depend_on_the_order(classifier: ExpressionClassifier) -> None:
    """Sorted by class and shuffled: batches of one class against batches of all."""
    order = np.random.default_rng(0).permutation(len(FACES))
    shuffled = classifier.predict_proba(FACES[order], batch_size=6)
    check_alike(classifier.predict_proba(FACES, batch_size=6)[order], shuffled)


def test_answers_do_not_depend_on_neighbours(classifier: ExpressionClassifier) -> None:
    """The same seven faces among black, white and noisy crops."""
    random = np.random.default_rng(1).integers(0, 256, (7, 48, 48), np.uint8)
    alone = classifier.predict_proba(FACES[::6])
    for neighbours in (np.zeros_like(random), np.full_like(random, 255), random):
        mixed = np.stack([FACES[::6], neighbours], axis=1).reshape(-1, 48, 48)
        check_alike(alone, classifier.predict_proba(mixed)[::2])
