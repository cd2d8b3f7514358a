"""From a network's logits to its probabilities and back: biases, temperature, map of confidences.

One temperature serves all classes and all confidences. Where a network is too sure of ``fear`` and
not sure enough of ``happy``, no single number is honest of both (Gupta and Ramdas 2022,
arXiv:2107.08353). So a head may have a map of confidences: the log-odds of the answer, against all
other classes together, go through a line of the answer's own, as in Platt's scaling; the other
classes keep their shares of what is left. The line never takes the answer's place away, so no
answer changes.

``evaluation`` fits these numbers on validation images; the model file applies its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEAD: Final = 1e-3
"""Least lead of an answer's logit over the next class's, after the map."""

LEAST_REST: Final = 1e-6
"""Least odds of all other classes against the answer that the map tells apart."""


@dataclass(frozen=True, slots=True)
class TopLabelMap:
    """A line for each class: ``odds' = slope * odds + offset``, odds as natural logarithms.

    Attributes:
        slopes: For each class, above 0; 1 changes nothing.
        offsets: For each class; 0 changes nothing.
    """

    slopes: tuple[float, ...]
    offsets: tuple[float, ...]

    def apply(self, logits: ArrayLike) -> NDArray[np.float64]:
        """Return the logits with the answer's one moved.

        Args:
            logits: ``(N, K)``, after the temperature; or log-probabilities.

        Returns:
            ``float64 (N, K)``, with the same answers.

        Examples:
            >>> half = TopLabelMap((0.5, 1.0), (0.0, 0.0))
            >>> half.apply([[2.0, 0.0], [0.0, 2.0]]).tolist()
            [[1.0, 0.0], [0.0, 2.0]]
        """
        z = np.array(logits, dtype=np.float64)
        rows, answers = np.arange(len(z)), z.argmax(axis=1)
        odds, gap = log_odds(z)
        slopes, offsets = np.array(self.slopes)[answers], np.array(self.offsets)[answers]
        z[rows, answers] += np.maximum((slopes - 1) * odds + offsets, gap + LEAD)
        return z

    def undo(self, logits: ArrayLike) -> NDArray[np.float64]:
        """Return the logits, up to a constant a row, that ``apply`` turned into these.

        Exact but for answers that ``apply`` had to keep in the lead.

        Args:
            logits: What ``apply`` returned, or log-probabilities.
        """
        z = np.array(logits, dtype=np.float64)
        rows, answers = np.arange(len(z)), z.argmax(axis=1)
        odds, gap = log_odds(z)
        slopes, offsets = np.array(self.slopes)[answers], np.array(self.offsets)[answers]
        z[rows, answers] += np.maximum((odds - offsets) / slopes - odds, gap)
        return z


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a model file does to the logits of one head, and when it calls an answer uncertain.

    Attributes:
        biases: Added to the logits, one for each class; empty adds nothing.
        temperature: Divisor of the logits after that, above 0.
        top_label: Map of confidences after that; None for none.
        uncertain_below: Confidence under which an answer counts as uncertain, 0 to 1.

    Raises:
        ValueError: The temperature or the threshold is out of range.
    """

    biases: tuple[float, ...] = ()
    temperature: float = 1.0
    top_label: TopLabelMap | None = None
    uncertain_below: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < np.inf or not 0 <= self.uncertain_below <= 1:
            raise ValueError(
                f"temperature {self.temperature}, uncertain_below {self.uncertain_below}: out of "
                "range. A temperature is above 0, uncertain_below is 0 to 1"
            )

    def apply(self, logits: ArrayLike) -> NDArray[np.float64]:
        """Return the logits whose softmax the file's probabilities are.

        Args:
            logits: Of the network, ``(N, K)``.

        Returns:
            ``float64 (N, K)``.

        Examples:
            >>> Calibration(biases=(1.0, 0.0), temperature=2.0).apply([[3.0, 2.0]]).tolist()
            [[2.0, 1.0]]
        """
        scaled = (np.asarray(logits, np.float64) + (self.biases or 0.0)) / self.temperature
        return self.top_label.apply(scaled) if self.top_label else scaled


def log_odds(z: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the answer's log-odds against the rest, and the next class's logit less its own.

    Args:
        z: Logits, ``(N, K)``.

    Returns:
        Two ``float64 (N,)``; the first is bounded by ``LEAST_REST``, the second 0 or less.

    Examples:
        >>> odds, gap = log_odds(np.log([[0.25, 0.75]]))
        >>> round(float(np.exp(odds[0])), 6), round(float(np.exp(-gap[0])), 6)
        (3.0, 3.0)
    """
    apart = np.sort(z - z.max(axis=1, keepdims=True), axis=1)  # the answer's is the last, 0
    rest = np.exp(apart[:, :-1]).sum(axis=1)
    return -np.log(np.maximum(rest, LEAST_REST)), apart[:, -2]


def softmax(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return softmax over the last axis.

    Args:
        logits: ``(N, K)``.

    Examples:
        >>> softmax(np.zeros((1, 4))).tolist()
        [[0.25, 0.25, 0.25, 0.25]]
    """
    z = np.asarray(logits, np.float64)
    exponentials = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), np.float64)


def log_probabilities(probabilities: ArrayLike) -> NDArray[np.float64]:
    """Return ``log p``, which serves as logits; a probability of 0 counts as 1e-30.

    Examples:
        >>> log_probabilities([[1.0, 0.0]]).round(2).tolist()
        [[0.0, -69.08]]
    """
    return np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), 1e-30))
