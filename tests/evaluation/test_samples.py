"""Which images are shown, and what the occlusion map says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facial_expressions.evaluation.samples import (
    activation_map,
    choose_mistakes,
    choose_samples,
    occlusion_map,
)
from tests.evaluation.fakes import PAIR, BrightnessClassifier, predictions_of

NAN = float("nan")
TRUTH = [0, 0, 0, 1, 1, 1]
ROWS = [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6], [0.2, 0.8], [NAN, NAN]]
IMAGES = np.arange(6, dtype=np.uint8)[:, None, None] * np.ones((1, 8, 8), np.uint8)


def test_one_right_and_one_wrong_image_per_class() -> None:
    """Of class ``yes`` no answer is wrong: the last image has none, so it is not shown."""
    samples = choose_samples(predictions_of(PAIR, TRUTH, ROWS), IMAGES)
    assert [(s.truth, s.prediction, s.is_right) for s in samples] == [
        ("no", "no", True),
        ("no", "yes", False),
        ("yes", "yes", True),
    ]


def test_a_sample_shows_its_own_image_and_confidence() -> None:
    wrong = choose_samples(predictions_of(PAIR, TRUTH, ROWS), IMAGES)[1]
    assert int(wrong.image[0, 0]) == 2
    assert round(wrong.confidence, 6) == 0.7
    assert wrong.heat is None


def test_the_seed_decides_which() -> None:
    predictions = predictions_of(PAIR, [0] * 40, [[0.9, 0.1]] * 40)
    images = np.arange(40, dtype=np.uint8)[:, None, None] * np.ones((1, 8, 8), np.uint8)
    chosen = [
        int(choose_samples(predictions, images, seed=seed)[0].image[0, 0]) for seed in range(20)
    ]
    again = [
        int(choose_samples(predictions, images, seed=seed)[0].image[0, 0]) for seed in range(20)
    ]
    assert chosen == again
    assert len(set(chosen)) > 5


def test_the_map_is_hot_where_covering_harms() -> None:
    """``yes`` rests on the bright right half; covering the left changes nothing."""
    image = np.zeros((48, 48), np.uint8)
    image[:, 24:] = 255
    heat = occlusion_map(BrightnessClassifier(), image, 1)
    assert heat.shape == (48, 48)
    assert heat.max() == 1
    assert heat[:, :8].max() == 0
    assert heat[10:38, 36:46].min() > 0.5


def test_the_map_of_a_plain_image_is_cold() -> None:
    heat = occlusion_map(BrightnessClassifier(), np.full((12, 12), 80, np.uint8), 1)
    assert heat.max() == 0


def test_an_exact_map_is_hot_where_a_class_stands_out() -> None:
    """Both classes have 2 at the right, which the softmax does not see; ``yes`` leads left."""
    maps = np.array([[[0.0, 2.0]], [[4.0, 2.0]]], np.float32)
    heat = activation_map(maps, 1, side=4)
    assert heat.shape == (4, 4)
    assert heat[:, 0].tolist() == [1, 1, 1, 1]
    assert heat[:, 3].max() == 0


def test_samples_have_the_exact_map_of_a_classifier_that_explains() -> None:
    class Explaining(BrightnessClassifier):
        explains = True

        def explain(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
            corner = np.zeros((2, 2, 2), np.float32)
            corner[:, 0, 0] = (-1, 1)
            return np.repeat(corner[None], len(crops), axis=0)

    predictions = predictions_of(PAIR, [1], [[0.2, 0.8]])
    image = np.full((1, 8, 8), 200, np.uint8)
    (sample,) = choose_samples(predictions, image, classifier=Explaining())
    assert sample.heat is not None
    assert sample.heat[0, 0] == 1
    assert sample.heat[6:, 6:].max() == 0


def test_the_surest_mistakes_come_first() -> None:
    """Wrong are rows 2 (0.7 for yes), 3 (0.8 for no) and 4 (0.9 for no); 0 is right, 5 is none."""
    rows = [[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.8, 0.2], [0.9, 0.1], [NAN, NAN]]
    mistakes = choose_mistakes(predictions_of(PAIR, TRUTH, rows), IMAGES)
    assert [(one.truth, one.prediction, int(one.image[0, 0])) for one in mistakes] == [
        ("no", "yes", 2),
        ("yes", "no", 4),
        ("yes", "no", 3),
    ]
    first_only = choose_mistakes(predictions_of(PAIR, TRUTH, rows), IMAGES, per_class=1)
    assert [int(one.image[0, 0]) for one in first_only] == [2, 4]
