"""Calibration: class biases, the temperature that makes confidences honest, the ``uncertain`` mark.

All are fitted on validation images and stored in the model file by ``export``. Temperature
scaling divides the logits by one number T, so it changes confidences but no answer (Guo et al.
2017, arXiv:1706.04599). Log-probabilities are logits up to a constant per row, so probabilities do
as well. The loss is convex in 1/T, and so it is in the biases: SciPy finds the one minimum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facial_expressions.calibration import Calibration
from facial_expressions.evaluation.logits import checked_logits, minimum_of, scipy_optimize
from facial_expressions.evaluation.probability_metrics import coverage_curve
from facial_expressions.inference.probabilities import log_probabilities, softmax

MIN_TEMPERATURE: Final = 0.05
MAX_TEMPERATURE: Final = 20.0
"""Bounds of a fitted temperature; at a bound the labels do not pin it down."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold of ``uncertain`` and what it gave on the images it was chosen on.

    Attributes:
        uncertain_below: Confidence under which an answer counts as uncertain, 0 to 1.
        coverage: Share of certain answers.
        accuracy: Share of right answers among the certain ones.
    """

    uncertain_below: float
    coverage: float
    accuracy: float


def fit_temperature(logits: ArrayLike, y_true: ArrayLike) -> float:
    """Return the temperature T for which softmax(logits / T) has the smallest mean NLL.

    Args:
        logits: ``(N, K)``; or ``log_probabilities`` of the network's output.
        y_true: Label ids, ``(N,)``; or the share of votes that each class got, ``(N, K)``.

    Returns:
        T, between 0.05 and 20: above 1 the network was too sure, below 1 too timid.

    Raises:
        ValueError: Shapes do not fit, a logit is not finite, or an id is outside the label set.

    Examples:
        >>> round(fit_temperature([[4.0, 0.0]] * 4, [0, 0, 0, 1]), 3)  # 75% right: 4 / T = log 3
        3.641
    """
    z, truth = checked_logits(logits, y_true, for_what="a temperature")
    true_logit = (truth * z).sum(axis=1)

    def slope(inverse: float) -> float:
        """Derivative of the mean NLL by 1/T: mean logit under the softmax, less the true one."""
        return float(np.mean(np.sum(softmax(z * inverse) * z, axis=1) - true_logit))

    low, high = 1 / MAX_TEMPERATURE, 1 / MIN_TEMPERATURE
    if slope(low) >= 0:
        return MAX_TEMPERATURE
    if slope(high) <= 0:
        return MIN_TEMPERATURE
    return float(1 / scipy_optimize().brentq(slope, low, high, xtol=1e-14))


def fit_class_bias(
    logits: ArrayLike, y_true: ArrayLike, *, prior_std: float = 1.0
) -> NDArray[np.float64]:
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
        ValueError: Shapes do not fit, a logit is not finite, or an id is outside the label set.

    Examples:
        >>> logits = [[0.0, 0.0]] * 1000 + [[9.0, 0.0], [0.0, 9.0]] * 500
        >>> labels = [0] * 800 + [1] * 200 + [0, 1] * 500  # odds of 4 where the logits say 1
        >>> bias = fit_class_bias(logits, labels, prior_std=100)
        >>> scaled = bias * fit_temperature(np.add(logits, bias), labels) ** -1
        >>> round(float(np.exp(scaled[0] - scaled[1])), 2)
        4.0
    """
    z, target = checked_logits(logits, y_true, for_what="a bias of each class")
    n, k = z.shape
    penalty = np.concatenate([[0.0], np.full(k, 1 / (n * prior_std**2))])  # on a, then on b

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return the mean NLL with the prior, and its gradient."""
        p = softmax(weights[0] * z + weights[1:])
        nll = -(target * np.log(np.maximum(p, 1e-300))).sum(axis=1).mean()
        gradient = np.concatenate([[((p - target) * z).sum() / n], (p - target).mean(axis=0)])
        return nll + (penalty * weights**2).sum() / 2, gradient + penalty * weights

    weights = minimum_of(loss, [1.0, *[0.0] * k])
    bias = weights[1:] / max(weights[0], 1 / MAX_TEMPERATURE)
    return np.asarray(bias - bias.mean(), np.float64)


def without_calibration(
    probabilities: NDArray[np.float32], calibration: Calibration
) -> NDArray[np.float64]:
    """Return the probabilities before temperature and map of confidences; class biases stay.

    Args:
        probabilities: ``(N, K)``, after the calibration.
        calibration: What was done to their logits.

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
) -> OperatingPoint:
    """Return the threshold with the largest coverage whose certain answers reach an accuracy.

    It lies halfway between the least confident certain answer and the next one below, so that
    rounding flips neither; it is 0 when all answers may count as certain.

    Args:
        y_true: Label ids of validation images, ``(N,)``.
        probabilities: Their calibrated probabilities, ``(N, K)``.
        target_accuracy: Accuracy that the certain answers must reach, 0 to 1.

    Raises:
        ValueError: The target is outside 0 to 1, or no threshold reaches it.

    Examples:
        >>> rows = [[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]]
        >>> choose_operating_point([0, 0, 1], rows, target_accuracy=0.95).uncertain_below
        0.7
    """
    if not 0 <= target_accuracy <= 1:
        raise ValueError(f"a target accuracy lies in 0 to 1; received {target_accuracy}")
    curve = coverage_curve(y_true, probabilities)
    reaching = [point for point in curve if point.accuracy >= target_accuracy]
    if not reaching:
        best = max(point.accuracy for point in curve)
        raise ValueError(
            f"no confidence threshold reaches an accuracy of {target_accuracy}; the best one gives "
            f"{best:.4f}; choose a lower target"
        )
    chosen = curve.index(reaching[-1])  # the curve runs from low to high coverage
    below = curve[chosen + 1].threshold if chosen + 1 < len(curve) else 0.0
    threshold = (curve[chosen].threshold + below) / 2 if below else 0.0
    return OperatingPoint(threshold, curve[chosen].coverage, curve[chosen].accuracy)
