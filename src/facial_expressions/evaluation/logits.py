"""Logits, checked before anything is fitted on them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facial_expressions.evaluation.metrics import check_ids

__all__ = ["checked_logits"]


def checked_logits(
    logits: ArrayLike, y_true: ArrayLike, *, for_what: str
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return both as arrays after checking shapes and ranges.

    Args:
        logits: ``(N, K)``.
        y_true: Label ids, ``(N,)``.
        for_what: What is fitted on them, for the message.

    Raises:
        ValueError: Shapes do not fit, a logit is not finite, or an id is outside the label set.
    """
    z = np.asarray(logits, dtype=np.float64)
    truth = np.asarray(y_true, dtype=np.int64)
    if z.ndim != 2 or len(z) == 0 or truth.shape != (len(z),) or not np.all(np.isfinite(z)):
        raise ValueError(
            f"{for_what} is fitted on finite logits (N, K) and N labels; received shapes "
            f"{z.shape} and {truth.shape}; pass log_probabilities(...) when there are no logits"
        )
    check_ids("labels", truth, lowest=0, n_classes=z.shape[1])
    return z, truth
