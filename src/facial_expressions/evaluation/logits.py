"""What every fit on logits shares: their check, and SciPy's search for a minimum."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facial_expressions.errors import needs_extra
from facial_expressions.evaluation.metrics import check_ids

_GRADIENT_IS_ZERO = 1e-9

Loss = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]
"""From weights to a value and its gradient."""


def checked_logits(
    logits: ArrayLike, y_true: ArrayLike, *, for_what: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return logits and the share of the truth that each class has, after checking both.

    Args:
        logits: ``(N, K)``.
        y_true: Label ids, ``(N,)``; or the share of votes that each class got, ``(N, K)``.
        for_what: What is fitted on them, for the message.

    Returns:
        Logits and shares, ``float64 (N, K)``; a label's share is 1.

    Raises:
        ValueError: Shapes do not fit, a logit or share is not finite, or an id is outside the label
            set.
    """
    z, truth = np.asarray(logits, dtype=np.float64), np.asarray(y_true)
    fits = z.ndim == 2 and len(z) > 0 and truth.shape in ((len(z),), z.shape)
    if not fits or not np.all(np.isfinite(z)) or not np.all(np.isfinite(truth)):
        raise ValueError(
            f"{for_what} is fitted on finite logits (N, K) and N labels or rows of shares; "
            f"received shapes {z.shape} and {truth.shape}; pass log_probabilities(...) when there "
            "are no logits"
        )
    if truth.ndim == 2:
        return z, truth.astype(np.float64)
    check_ids("labels", truth.astype(np.int64), lowest=0, n_classes=z.shape[1])
    return z, np.eye(z.shape[1])[truth.astype(np.int64)]


def minimum_of(loss: Loss, start: ArrayLike) -> NDArray[np.float64]:
    """Return where a convex function is smallest.

    Args:
        loss: The function, with its gradient.
        start: Where the search begins.

    Raises:
        MissingExtraError: SciPy is not installed.

    Examples:
        >>> minimum_of(lambda x: (float((x[0] - 3) ** 2), 2 * (x - 3)), [0.0]).round(6).tolist()
        [3.0]
    """
    found = scipy_optimize().minimize(loss, start, jac=True, options={"gtol": _GRADIENT_IS_ZERO})
    return np.asarray(found.x, np.float64)


def scipy_optimize() -> ModuleType:
    """Import ``scipy.optimize``.

    Raises:
        MissingExtraError: It is not installed.
    """
    with needs_extra("evaluate"):
        import scipy.optimize
    return scipy.optimize  # type: ignore[no-any-return]
