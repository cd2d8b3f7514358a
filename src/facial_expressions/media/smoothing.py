"""Smooth probabilities over time: a causal exponential filter with a time constant in seconds.

The filter is the first-order low-pass, ``ds/dt = (p - s) / tau``, with the measurement ``p`` held
since the last frame. Its exact solution over a step of ``dt`` seconds is

    ``s += (1 - exp(-dt / tau)) * (p - s)``

so the answer depends on times, not on the number of frames: variable frame rates need nothing
special. After ``tau`` seconds a change has come through to 63%, after ``3 tau`` to 95%. Only the
past is used. Smoothed rows still sum to 1.
"""

from __future__ import annotations

from math import exp, isfinite

import numpy as np
from numpy.typing import ArrayLike, NDArray


class ExponentialSmoother:
    """Smooths one series of vectors.

    Args:
        time_constant_s: ``tau`` in seconds; 0 smooths nothing.

    Raises:
        ValueError: The time constant is negative or not finite.

    Examples:
        >>> smoother = ExponentialSmoother(0.5)
        >>> smoother.update([1.0, 0.0], time_s=0.0)
        array([1., 0.])
        >>> smoother.update([0.0, 1.0], time_s=0.5).round(3)
        array([0.368, 0.632])
    """

    def __init__(self, time_constant_s: float) -> None:
        if not isfinite(time_constant_s) or time_constant_s < 0:
            raise ValueError(f"time_constant_s: must be 0 seconds or more, not {time_constant_s}")
        self._time_constant_s = time_constant_s
        self._value: NDArray[np.float64] | None = None
        self._time_s = 0.0

    def update(self, value: ArrayLike, *, time_s: float) -> NDArray[np.float64]:
        """Take the next vector and return the smoothed one.

        Args:
            value: The measurement ``(K,)``.
            time_s: Its time in seconds, no earlier than the one before.

        Returns:
            ``float64 (K,)``; the first is the measurement itself.
        """
        new = np.asarray(value, np.float64)
        if self._value is None or self._time_constant_s == 0:
            self._value = new
        else:
            passed_s = max(time_s - self._time_s, 0.0)
            self._value = self._value + (1 - exp(-passed_s / self._time_constant_s)) * (
                new - self._value
            )
        self._time_s = time_s
        return self._value
