"""Sample images of a report: one right and one wrong answer per class, the most confident mistakes.

The choice of the former is random with a seed, not by confidence: the best and the worst answers
would give a wrong idea. Each of them may have a heat map of where the network looked: the exact
class activation map of a classifier that has such maps, otherwise by occlusion: a grey patch is
moved over the image, and the map shows how much the probability of the answer falls (Zeiler and
Fergus 2014, arXiv:1311.2901). That needs no gradient, so it works with any classifier.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.evaluation.metrics import library
from facial_expressions.evaluation.predictions import Predictions
from facial_expressions.inference.contracts import Classifier, Explainer

_PATCH_FRACTION: Final = 0.25
_STRIDE_FRACTION: Final = 1 / 12


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One image with truth and answer.

    Attributes:
        image: Grey image, ``uint8 (S, S)``.
        truth: Name of the true expression.
        prediction: Name of the answer.
        confidence: Its probability, 0 to 1.
        heat: Where the network looked, ``float32 (S, S)``, 0 to 1; None when it was not asked.
    """

    image: NDArray[np.uint8]
    truth: str
    prediction: str
    confidence: float
    heat: NDArray[np.float32] | None = None

    @property
    def is_right(self) -> bool:
        """Whether the answer is the truth."""
        return self.prediction == self.truth


def choose_samples(
    predictions: Predictions,
    images: NDArray[np.uint8],
    *,
    seed: int = 0,
    classifier: Classifier | None = None,
) -> tuple[Sample, ...]:
    """Choose for each class a right and a wrong answer at random.

    Args:
        predictions: Truth and answers; images without an answer are not chosen.
        images: Their grey images, ``uint8 (N, S, S)``.
        seed: Which ones.
        classifier: Makes the heat maps; None makes none.

    Returns:
        Samples in the order of the label set, the right one of a class before the wrong one. A
        class without a right or wrong answer gives none of that kind.
    """
    samples = []
    for label_id, is_right in itertools.product(range(len(predictions.labels)), (True, False)):
        is_kind = (predictions.truth == label_id) & (predictions.right == is_right)
        fitting = np.flatnonzero(is_kind & predictions.answered)
        if len(fitting):
            row = int(np.random.default_rng([seed, label_id, is_right]).choice(fitting))
            sample = _sample(predictions, images, row)
            if classifier is not None:
                heat = _heat(classifier, sample.image, int(predictions.predicted[row]))
                sample = replace(sample, heat=heat)
            samples.append(sample)
    return tuple(samples)


def choose_mistakes(
    predictions: Predictions, images: NDArray[np.uint8], *, per_class: int = 4
) -> tuple[Sample, ...]:
    """Choose the wrong answers that were given with the most confidence.

    They show where labels are doubtful and where the network is sure and wrong.

    Args:
        predictions: Truth and answers; images without an answer are not chosen.
        images: Their grey images, ``uint8 (N, S, S)``.
        per_class: At most as many for each true class.

    Returns:
        Samples in the order of the label set, the most confident of a class first.
    """
    samples = []
    wrong = ~predictions.right & predictions.answered
    for label_id in range(len(predictions.labels)):
        rows = np.flatnonzero(wrong & (predictions.truth == label_id))
        order = np.argsort(-predictions.confidence[rows], kind="stable")[:per_class]
        samples += [_sample(predictions, images, int(row)) for row in rows[order]]
    return tuple(samples)


def _sample(predictions: Predictions, images: NDArray[np.uint8], row: int) -> Sample:
    names = predictions.labels.names
    truth, answer = names[predictions.truth[row]], names[predictions.predicted[row]]
    return Sample(images[row], truth, answer, float(predictions.confidence[row]))


def _heat(classifier: Classifier, image: NDArray[np.uint8], label_id: int) -> NDArray[np.float32]:
    """Return the exact map where the classifier has one."""
    if isinstance(classifier, Explainer) and classifier.explains:
        return activation_map(classifier.explain(image[None])[0], label_id, side=len(image))
    return occlusion_map(classifier, image, label_id)


def activation_map(maps: NDArray[np.float32], label_id: int, *, side: int) -> NDArray[np.float32]:
    """Return which parts of an image support one expression more than the others.

    Args:
        maps: Class activation maps of the image, ``float32 (K, H, W)``.
        label_id: The expression.
        side: Side of the image in pixels.

    Returns:
        ``float32 (S, S)``, 0 (no more than the others) to 1 (most).

    Examples:
        >>> maps = np.array([[[0.0, 4.0]], [[0.0, 0.0]]], np.float32)  # two classes, 1 by 2 places
        >>> activation_map(maps, 0, side=2).round(2).tolist()
        [[0.0, 1.0], [0.0, 1.0]]
    """
    # The softmax does not see what all classes share.
    places = np.maximum(maps[label_id] - maps.mean(axis=0), 0)
    size = (side, side)
    wide = np.asarray(Image.fromarray(places).resize(size, Image.Resampling.BILINEAR), np.float32)
    return _up_to_one(wide)


def occlusion_map(
    classifier: Classifier, image: NDArray[np.uint8], label_id: int
) -> NDArray[np.float32]:
    """Return where an image carries the evidence for one expression.

    Args:
        classifier: What is asked, once with about 144 covered copies of the image.
        image: Grey image, ``uint8 (S, S)``.
        label_id: The expression.

    Returns:
        ``float32 (S, S)``, 0 (covering it does no harm) to 1 (covering it harms most).
    """
    side = image.shape[0]
    patch = max(2, round(side * _PATCH_FRACTION))
    stride = max(1, round(side * _STRIDE_FRACTION))
    starts = np.arange(-patch // 2, side - patch // 2, stride)
    corners = [
        (max(top, 0), max(left, 0), top + patch, left + patch) for top in starts for left in starts
    ]
    covered = np.repeat(image[None], len(corners), axis=0)
    for copy, (top, left, bottom, right) in zip(covered, corners, strict=True):
        copy[top:bottom, left:right] = round(float(image.mean()))
    before = float(classifier.predict_proba(image[None])[0, label_id])
    falls = np.maximum(before - classifier.predict_proba(covered)[:, label_id], 0)
    total, hits = np.zeros((side, side)), np.zeros((side, side))
    for fall, (top, left, bottom, right) in zip(falls, corners, strict=True):
        total[top:bottom, left:right] += fall
        hits[top:bottom, left:right] += 1
    return _up_to_one(_smoothed(total / np.maximum(hits, 1), stride)).astype(np.float32)


def _smoothed(heat: NDArray[np.float64], radius: int) -> NDArray[np.float64]:
    """Round off the steps that the patch leaves, by a Hann window; borders are repeated."""
    window, smoothed = np.hanning(2 * radius + 3)[1:-1], library("scipy.ndimage").correlate1d
    for axis in (0, 1):
        heat = smoothed(heat, window / window.sum(), axis, mode="nearest")
    return heat


def _up_to_one(heat: NDArray[np.floating]) -> NDArray[np.floating]:
    highest = heat.max()
    return heat / highest if highest > 0 else heat
