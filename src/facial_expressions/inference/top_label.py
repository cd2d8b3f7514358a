"""The map of confidences that a model file may have: for each answer a line of its log-odds.

One temperature serves all classes and all confidences. Where a network is too sure of ``fear`` and
not sure enough of ``happy``, no single number is honest of both (Gupta and Ramdas 2022,
arXiv:2107.08353). Here the log-odds of the answer, against all other classes together, go through
a line of the answer's own, as in Platt's scaling; the other classes keep their shares of what is
left. The line never takes the answer's place away, so no answer changes.

``evaluation/fit_top_label.py`` fits such maps; the model file applies its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facial_expressions.labels import LabelSet

__all__ = ["LEAD", "LEAST_REST", "TopLabelMap", "log_odds", "top_label_map_of"]

LEAD: Final = 1e-3
"""Least lead of an answer's logit over the next class's, after the map."""

LEAST_REST: Final = 1e-6
"""Least odds of all other classes against the answer that the map tells apart."""

_SLOPE, _OFFSET = "confidence_slope_", "confidence_offset_"


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

    def figures(self, labels: LabelSet) -> dict[str, float]:
        """Return the lines as figures of a model file, which ``top_label_map_of`` reads back."""
        parts = ((_SLOPE, self.slopes), (_OFFSET, self.offsets))
        return {
            f"{prefix}{name}": round(value, 6)
            for prefix, values in parts
            for name, value in zip(labels.names, values, strict=True)
        }


def top_label_map_of(figures: Mapping[str, float], labels: LabelSet) -> TopLabelMap | None:
    """Return the map that a model file says it applies; None when it has none.

    Args:
        figures: The file's figures.
        labels: Its label set.

    Examples:
        >>> top_label_map_of({"validation_accuracy": 0.7}, LabelSet("two", ("no", "yes"))) is None
        True
    """
    if any(f"{_SLOPE}{name}" not in figures for name in labels.names):
        return None
    return TopLabelMap(
        *(
            tuple(float(figures[f"{prefix}{name}"]) for name in labels.names)
            for prefix in (_SLOPE, _OFFSET)
        )
    )


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
