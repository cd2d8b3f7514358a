"""Smoothing: the closed form, whatever the frame rate; far fewer switches of a noisy label."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest

from facial_expressions.media.smoothing import ExponentialSmoother


@pytest.mark.parametrize("rate", [5, 25, 120])
def test_step_answer_is_the_closed_form(rate: int) -> None:
    """A step from 0 to 1 comes through as 1 - exp(-t / tau)."""
    smoother = ExponentialSmoother(0.5)
    smoother.update([0.0], time_s=-1 / rate)
    values = [smoother.update([1.0], time_s=index / rate)[0] for index in range(2 * rate)]
    expected = [1 - exp(-(index + 1) / rate / 0.5) for index in range(2 * rate)]
    assert values == pytest.approx(expected, abs=1e-12)


def test_uneven_times_give_the_sum_of_weights() -> None:
    """Worked out by hand: each value weighs what is left of it after the later steps."""
    times, values = [0.0, 0.1, 0.5, 0.55], [0.2, 0.9, 0.4, 0.7]
    smoother = ExponentialSmoother(0.3)
    got = [smoother.update([v], time_s=t)[0] for t, v in zip(times, values, strict=True)][-1]
    keep = [exp(-0.1 / 0.3), exp(-0.4 / 0.3), exp(-0.05 / 0.3)]
    expected = (
        0.2 * keep[0] * keep[1] * keep[2]
        + 0.9 * (1 - keep[0]) * keep[1] * keep[2]
        + 0.4 * (1 - keep[1]) * keep[2]
        + 0.7 * (1 - keep[2])
    )
    assert got == pytest.approx(expected)


def test_zero_smooths_nothing_and_rows_keep_their_sum() -> None:
    rows = np.random.default_rng(0).dirichlet(np.ones(7), size=50)
    plain, smooth = ExponentialSmoother(0), ExponentialSmoother(0.4)
    for index, row in enumerate(rows):
        assert plain.update(row, time_s=index / 25).tolist() == row.tolist()
        assert smooth.update(row, time_s=index / 25).sum() == pytest.approx(1)


def test_noisy_label_switches_at_least_five_times_less() -> None:
    """A steady face that leans to one of two expressions, 60 s at 25 frames a second."""
    random = np.random.default_rng(1)
    noisy = 0.55 + 0.15 * random.standard_normal(1500)
    smoother = ExponentialSmoother(0.5)
    smooth = [smoother.update([p], time_s=index / 25)[0] for index, p in enumerate(noisy)]
    before = np.count_nonzero(np.diff(noisy > 0.5))
    after = np.count_nonzero(np.diff(np.array(smooth) > 0.5))
    assert before > 500
    assert after * 5 <= before


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_impossible_time_constant_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="time_constant_s: must be"):
        ExponentialSmoother(value)
