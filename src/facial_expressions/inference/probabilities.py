"""Logits to probabilities and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


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
