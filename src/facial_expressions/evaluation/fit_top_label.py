"""Fitting a map of confidences: for each answer the line by which it is right as often as it says.

The map itself, and why there is one for each class, is in ``calibration.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facial_expressions.calibration import TopLabelMap, log_odds
from facial_expressions.evaluation.logits import checked_logits, minimum_of
from facial_expressions.inference.probabilities import softmax

_TIE: Final = 20.0
"""Weight of the prior that holds a class's line to that of all answers, in images."""

_LEAST_SLOPE: Final = 0.1
_ROUNDS: Final = 10


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
        ValueError: Shapes do not fit, a logit is not finite, or an id is outside the label set.

    Examples:
        >>> too_sure = fit_top_label_map([[0.0, 4.0]] * 4000, [1] * 3000 + [0] * 1000)
        >>> odds = too_sure.apply([[0.0, 4.0]])[0, 1]
        >>> round(float(np.exp(odds)), 1)  # three of four are right
        3.0
    """
    z, truth = checked_logits(logits, y_true, for_what="a map of confidences")
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


@dataclass(frozen=True, slots=True)
class HalvesGain:
    """What a map gains on images that it was not fitted on.

    Attributes:
        nll: By how much the mean negative log-likelihood falls, nats.
        nll_spread: Standard deviation of it over the halves.
    """

    nll: float
    nll_spread: float

    @property
    def is_clear(self) -> bool:
        """Whether the likelihood gains more than twice its spread."""
        return self.nll > 2 * self.nll_spread


def gain_on_halves(logits: ArrayLike, y_true: ArrayLike) -> HalvesGain:
    """Fit the map on one half of the images and measure it on the other; ten times, both ways.

    Args:
        logits: ``(N, K)``, after the temperature.
        y_true: Label ids, ``(N,)``, or shares of votes, ``(N, K)``.

    Raises:
        ValueError: As for ``fit_top_label_map``.

    Examples:
        >>> honest = np.log([[0.2, 0.8]] * 1000)
        >>> gain_on_halves(honest, [1] * 800 + [0] * 200).is_clear
        False
    """
    z, truth = checked_logits(logits, y_true, for_what="a gain")
    found = []
    for seed in range(_ROUNDS):
        order = np.random.default_rng(seed).permutation(len(truth))
        halves = order[::2], order[1::2]
        for fit, judge in (halves, halves[::-1]):
            mapped = fit_top_label_map(z[fit], truth[fit]).apply(z[judge])
            before, after = (_nll(truth[judge], softmax(rows)) for rows in (z[judge], mapped))
            found.append(before - after)
    return HalvesGain(float(np.mean(found)), float(np.std(found)))


def _nll(truth: NDArray[np.float64], probabilities: NDArray[np.float64]) -> float:
    return float(-(truth * np.log(np.maximum(probabilities, 1e-15))).sum(axis=1).mean())


def _fit_line(
    odds: NDArray[np.float64],
    right: NDArray[np.float64],
    *,
    towards: NDArray[np.float64],
    tie: float,
) -> NDArray[np.float64]:
    """Return slope and offset: logistic regression with a normal prior."""
    features = np.stack([odds, np.ones_like(odds)], axis=1)
    scale = 1 / (len(odds) + tie)  # the loss stays near 1 however many images there are

    def loss(line: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return the NLL with the prior, and its gradient."""
        said, off = features @ line, line - towards
        # -log of what is said of being right, and of not being so
        nll = (right * np.logaddexp(0, -said) + (1 - right) * np.logaddexp(0, said)).sum()
        nll += tie / 2 * (off**2).sum()
        # 1 / (1 + exp(-said)), which overflows nowhere
        gradient = features.T @ (np.exp(-np.logaddexp(0, -said)) - right) + tie * off
        return nll * scale, gradient * scale

    slope, offset = minimum_of(loss, towards)
    return np.array([max(slope, _LEAST_SLOPE), offset])
