"""What every fit on logits shares: their check, and SciPy's search for a minimum."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facial_expressions.errors import MissingExtraError
from facial_expressions.evaluation.metrics import check_ids

__all__ = ["checked_logits", "minimum_of", "scipy_optimize"]

_GRADIENT_IS_ZERO = 1e-9

Loss = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]
"""From weights to a value and its gradient."""


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
    try:
        import scipy.optimize
    except ImportError as error:
        raise MissingExtraError.of("evaluate", "scipy") from error
    return scipy.optimize  # type: ignore[no-any-return]
