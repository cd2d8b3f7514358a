"""Smoothing: the closed form, whatever the frame rate; far fewer switches of a noisy label."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import exp

import numpy as np
import pytest
from numpy.typing import NDArray

from facial_expressions.media.analysis import analyze_video, smooth


def smoothed(
    values: Sequence[Sequence[float]] | NDArray[np.float64], times_s: Sequence[float], tau_s: float
) -> NDArray[np.float64]:
    """Smooth a series of rows; the first is as measured."""
    rows = [np.asarray(values[0], np.float64)]
    for value, (before_s, time_s) in zip(values[1:], pairwise(times_s), strict=True):
        rows.append(smooth(rows[-1], value, passed_s=time_s - before_s, tau_s=tau_s))
    return np.array(rows)


@pytest.mark.parametrize("rate", [5, 25, 120])
def test_step_answer_is_the_closed_form(rate: int) -> None:
    """A step from 0 to 1 comes through as 1 - exp(-t / tau)."""
    times = [index / rate for index in range(2 * rate + 1)]
    values = smoothed([[0.0]] + [[1.0]] * (2 * rate), times, 0.5)
    assert values[:, 0].tolist() == pytest.approx([1 - exp(-t / 0.5) for t in times], abs=1e-12)


def test_uneven_times_give_the_sum_of_weights() -> None:
    """Worked out by hand: each value weighs what is left of it after the later steps."""
    got = smoothed([[0.2], [0.9], [0.4], [0.7]], [0.0, 0.1, 0.5, 0.55], 0.3)[-1, 0]
    keep = [exp(-0.1 / 0.3), exp(-0.4 / 0.3), exp(-0.05 / 0.3)]
    expected = (
        0.2 * keep[0] * keep[1] * keep[2]
        + 0.9 * (1 - keep[0]) * keep[1] * keep[2]
        + 0.4 * (1 - keep[1]) * keep[2]
        + 0.7 * (1 - keep[2])
    )
    assert got == pytest.approx(expected)


def test_rows_keep_their_sum() -> None:
    rows = np.random.default_rng(0).dirichlet(np.ones(7), size=50)
    assert smoothed(rows, [index / 25 for index in range(50)], 0.4).sum(1) == pytest.approx(1)


def test_noisy_label_switches_at_least_five_times_less() -> None:
    """A steady face that leans to one of two expressions, 60 s at 25 frames a second."""
    random = np.random.default_rng(1)
    noisy = 0.55 + 0.15 * random.standard_normal((1500, 1))
    even = smoothed(noisy, [index / 25 for index in range(1500)], 0.5)
    before = np.count_nonzero(np.diff(noisy > 0.5, axis=0))
    after = np.count_nonzero(np.diff(even > 0.5, axis=0))
    assert before > 500
    assert after * 5 <= before


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_impossible_time_constant_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="smooth_s: must be 0 seconds or more"):
        analyze_video("clip.mp4", smooth_s=value)
