"""Calibration: what makes confidences honest, and the ``uncertain`` mark.

All is fitted on validation images and stored in the model file by ``export``: class biases, the
temperature, and for each answer the line by which it is right as often as it says (the map itself,
and why there is one for each class, is in ``calibration.py`` of the package). Temperature scaling
divides the logits by one number T, so it changes confidences but no answer (Guo et al. 2017,
arXiv:1706.04599). Log-probabilities are logits up to a constant per row, so probabilities do as
well. The loss is convex in 1/T, and so it is in the biases: SciPy finds the one minimum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facial_expressions.calibration import (
    Calibration,
    TopLabelMap,
    log_odds,
    log_probabilities,
    softmax,
)
from facial_expressions.evaluation.metrics import (
    CoveragePoint,
    coverage_curve,
    library,
    negative_log_likelihood,
)

MIN_TEMPERATURE: Final = 0.05
MAX_TEMPERATURE: Final = 20.0
"""Bounds of a fitted temperature; at a bound the labels do not pin it down."""

_TIE: Final = 20.0
"""Weight of the prior that holds a class's line to that of all answers, in images."""

_LEAST_SLOPE: Final = 0.1
_ROUNDS: Final = 10
_GRADIENT_IS_ZERO: Final = 1e-9

Floats = NDArray[np.float64]
Loss = Callable[[Floats], tuple[float, Floats]]
"""From weights to a value and its gradient."""


def fit_temperature(logits: ArrayLike, y_true: ArrayLike) -> float:
    """Return the temperature T for which softmax(logits / T) has the smallest mean NLL.

    Args:
        logits: ``(N, K)``; or ``log_probabilities`` of the network's output.
        y_true: Label ids, ``(N,)``; or the share of votes that each class got, ``(N, K)``.

    Returns:
        T, between 0.05 and 20: above 1 the network was too sure, below 1 too timid.

    Raises:
        ValueError: Shapes do not fit, or a logit is not finite.

    Examples:
        >>> round(fit_temperature([[4.0, 0.0]] * 4, [0, 0, 0, 1]), 3)  # 75% right: 4 / T = log 3
        3.641
    """
    z, truth = _checked_logits(logits, y_true)
    true_logit = (truth * z).sum(axis=1)

    def slope(inverse: float) -> float:
        """Derivative of the mean NLL by 1/T: mean logit under the softmax, less the true one."""
        return float(np.mean(np.sum(softmax(z * inverse) * z, axis=1) - true_logit))

    low, high = 1 / MAX_TEMPERATURE, 1 / MIN_TEMPERATURE
    if slope(low) >= 0:
        return MAX_TEMPERATURE
    if slope(high) <= 0:
        return MIN_TEMPERATURE
    return float(1 / library("scipy.optimize").brentq(slope, low, high, xtol=1e-14))


def fit_class_bias(logits: ArrayLike, y_true: ArrayLike, *, prior_std: float = 1.0) -> Floats:
    """Return what to add to each class's logit so that no class is answered too often.

    Bias-corrected temperature scaling (Alexandari et al. 2020, arXiv:1901.06852): the scale a and
    biases b for which softmax(a * logits + b) has the smallest mean NLL, with a normal prior on the
    biases, which keeps those of classes with few images small. What is returned is ``b / a``,
    less its mean: added to the logits before their temperature is fitted.

    Args:
        logits: Of validation images, ``(N, K)``.
        y_true: Their label ids, ``(N,)``.
        prior_std: Standard deviation of the prior, above 0.

    Returns:
        ``float64 (K,)``, with a mean of 0.

    Raises:
        ValueError: Shapes do not fit, or a logit is not finite.

    Examples:
        >>> logits = [[0.0, 0.0]] * 1000 + [[9.0, 0.0], [0.0, 9.0]] * 500
        >>> labels = [0] * 800 + [1] * 200 + [0, 1] * 500  # odds of 4 where the logits say 1
        >>> bias = fit_class_bias(logits, labels, prior_std=100)
        >>> scaled = bias * fit_temperature(np.add(logits, bias), labels) ** -1
        >>> round(float(np.exp(scaled[0] - scaled[1])), 2)
        4.0
    """
    z, target = _checked_logits(logits, y_true)
    n, k = z.shape
    penalty = np.concatenate([[0.0], np.full(k, 1 / (n * prior_std**2))])  # on a, then on b

    def loss(weights: Floats) -> tuple[float, Floats]:
        """Return the mean NLL with the prior, and its gradient."""
        p = softmax(weights[0] * z + weights[1:])
        nll = -(target * np.log(np.maximum(p, 1e-300))).sum(axis=1).mean()
        gradient = np.concatenate([[((p - target) * z).sum() / n], (p - target).mean(axis=0)])
        return nll + (penalty * weights**2).sum() / 2, gradient + penalty * weights

    weights = _minimum_of(loss, [1.0, *[0.0] * k])
    bias = weights[1:] / max(weights[0], 1 / MAX_TEMPERATURE)
    return np.asarray(bias - bias.mean(), np.float64)


def fit_top_label_map(logits: ArrayLike, y_true: ArrayLike) -> TopLabelMap:
    """Fit for each class the line by which its answers are right as often as they say.

    Logistic regression of "the answer is right" on its log-odds: first one line for all answers,
    then one for each class, held to the first by a normal prior, so that a class of few answers
    stays near it.

    Args:
        logits: Of validation images, ``(N, K)``, after the temperature.
        y_true: Their label ids, ``(N,)``; or the share of votes that each class got, ``(N, K)``: an
            answer is then as right as its share.

    Raises:
        ValueError: Shapes do not fit, or a logit is not finite.

    Examples:
        >>> too_sure = fit_top_label_map([[0.0, 4.0]] * 4000, [1] * 3000 + [0] * 1000)
        >>> odds = too_sure.apply([[0.0, 4.0]])[0, 1]
        >>> round(float(np.exp(odds)), 1)  # three of four are right
        3.0
    """
    z, truth = _checked_logits(logits, y_true)
    answers, (odds, _) = z.argmax(axis=1), log_odds(z)
    right = truth[np.arange(len(z)), answers]
    nothing = np.array([1.0, 0.0])
    shared = _fit_line(odds, right, towards=nothing, tie=1.0)
    lines = [
        _fit_line(odds[answers == k], right[answers == k], towards=shared, tie=_TIE)
        for k in range(z.shape[1])
    ]
    slopes, offsets = (tuple(float(value) for value in column) for column in np.transpose(lines))
    return TopLabelMap(slopes, offsets)


def pays_on_halves(logits: ArrayLike, y_true: ArrayLike) -> bool:
    """Say whether a map pays on images that it was not fitted on.

    It is fitted on one half of the images and measured on the other, ten times, both ways: the mean
    negative log-likelihood has to fall by more than twice the spread over the halves. Arguments and
    errors are those of ``fit_top_label_map``.

    Examples:
        >>> honest = np.log([[0.2, 0.8]] * 1000)
        >>> pays_on_halves(honest, [1] * 800 + [0] * 200)
        False
    """
    z, truth = _checked_logits(logits, y_true)
    found = []
    for seed in range(_ROUNDS):
        order = np.random.default_rng(seed).permutation(len(truth))
        halves = order[::2], order[1::2]
        for fit, judge in (halves, halves[::-1]):
            mapped = fit_top_label_map(z[fit], truth[fit]).apply(z[judge])
            before, after = (
                negative_log_likelihood(truth[judge], softmax(rows)) for rows in (z[judge], mapped)
            )
            found.append(before - after)
    return bool(np.mean(found) > 2 * np.std(found))


def without_calibration(probabilities: NDArray[np.float32], calibration: Calibration) -> Floats:
    """Return the probabilities before temperature and map of confidences; class biases stay.

    Examples:
        >>> before = without_calibration(np.float32([[0.8, 0.2]]), Calibration(temperature=0.5))
        >>> before.round(4).tolist()
        [[0.6667, 0.3333]]
    """
    logits = log_probabilities(probabilities)
    scaled = calibration.top_label.undo(logits) if calibration.top_label else logits
    return softmax(scaled * calibration.temperature)


def choose_operating_point(
    y_true: ArrayLike, probabilities: ArrayLike, *, target_accuracy: float
) -> CoveragePoint:
    """Return the threshold with the largest coverage whose certain answers reach an accuracy.

    It lies halfway between the least confident certain answer and the next one below, so that
    rounding flips neither; it is 0 when all answers may count as certain.

    Args:
        y_true: Label ids of validation images, ``(N,)``.
        probabilities: Their calibrated probabilities, ``(N, K)``.
        target_accuracy: Accuracy that the certain answers must reach, 0 to 1.

    Raises:
        ValueError: No threshold reaches the target.

    Examples:
        >>> rows = [[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]]
        >>> choose_operating_point([0, 0, 1], rows, target_accuracy=0.95).threshold
        0.7
    """
    curve = coverage_curve(y_true, probabilities)
    reaching = [point for point in curve if point.accuracy >= target_accuracy]
    if not reaching:
        best = max(point.accuracy for point in curve)
        raise ValueError(
            f"target_accuracy {target_accuracy}: no threshold reaches it; the best gives "
            f"{best:.4f}. Choose a lower target"
        )
    chosen = reaching[-1]  # the curve runs from low to high coverage
    below = max((one.threshold for one in curve if one.threshold < chosen.threshold), default=0.0)
    return replace(chosen, threshold=(chosen.threshold + below) / 2 if below else 0.0)


def _checked_logits(logits: ArrayLike, y_true: ArrayLike) -> tuple[Floats, Floats]:
    """Return logits and the share of the truth that each class has; a label's is 1."""
    z, truth = np.asarray(logits, dtype=np.float64), np.asarray(y_true)
    fits = z.ndim == 2 and len(z) > 0 and truth.shape in ((len(z),), z.shape)
    if not fits or not np.all(np.isfinite(z)) or not np.all(np.isfinite(truth)):
        raise ValueError(
            f"calibration: shapes {z.shape} and {truth.shape} instead of finite logits (N, K) and "
            "N labels or rows of shares. Where there are no logits, pass log_probabilities(...)"
        )
    return z, truth.astype(np.float64) if truth.ndim == 2 else np.eye(z.shape[1])[truth]


def _minimum_of(loss: Loss, start: ArrayLike) -> Floats:
    """Return where a convex function, given with its gradient, is smallest."""
    minimize, exact = library("scipy.optimize").minimize, {"gtol": _GRADIENT_IS_ZERO}
    found = minimize(loss, start, jac=True, options=exact)
    return np.asarray(found.x, np.float64)


def _fit_line(odds: Floats, right: Floats, *, towards: Floats, tie: float) -> Floats:
    """Return slope and offset: logistic regression with a normal prior."""
    features = np.stack([odds, np.ones_like(odds)], axis=1)
    scale = 1 / (len(odds) + tie)  # the loss stays near 1 however many images there are

    def loss(line: Floats) -> tuple[float, Floats]:
        """Return the NLL with the prior, and its gradient."""
        said, off = features @ line, line - towards
        # -log of what is said of being right, and of not being so
        nll = (right * np.logaddexp(0, -said) + (1 - right) * np.logaddexp(0, said)).sum()
        nll += tie / 2 * (off**2).sum()
        # 1 / (1 + exp(-said)), which overflows nowhere
        gradient = features.T @ (np.exp(-np.logaddexp(0, -said)) - right) + tie * off
        return nll * scale, gradient * scale

    slope, offset = _minimum_of(loss, towards)
    return np.array([max(slope, _LEAST_SLOPE), offset])
