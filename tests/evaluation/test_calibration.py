"""Temperature and operating point against closed forms and SciPy's minimiser."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.optimize
import scipy.special
from numpy.typing import NDArray

from facial_expressions.calibration import log_probabilities
from facial_expressions.evaluation.calibration import (
    MAX_TEMPERATURE,
    MIN_TEMPERATURE,
    choose_operating_point,
    fit_class_bias,
    fit_temperature,
)
from facial_expressions.evaluation.metrics import (
    calibration_error,
    negative_log_likelihood,
)
from tests.evaluation.fakes import random_case


def test_two_equal_logits_have_a_closed_form() -> None:
    """With one margin m and a share s of right answers the best T is m / log(s / (1 - s))."""
    logits = np.tile([2.0, 0.0], (10, 1))
    truth = [0] * 9 + [1]
    assert fit_temperature(logits, truth) == pytest.approx(2 / math.log(9), rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_temperature_is_scipys_minimum(seed: int) -> None:
    truth, rows, _ = random_case(400, 7, seed)
    logits = 3 * np.log(rows)

    def loss(temperature: float) -> float:
        scaled = scipy.special.log_softmax(logits / temperature, axis=1)
        return float(-scaled[np.arange(len(truth)), truth].mean())

    best = scipy.optimize.minimize_scalar(loss, bounds=(0.05, 20), options={"xatol": 1e-8})
    assert fit_temperature(logits, truth) == pytest.approx(best.x, rel=1e-4)


def test_logits_and_their_probabilities_give_the_same_temperature() -> None:
    truth, rows, _ = random_case(200, 5, 9)
    logits = np.log(rows) * 2 + 7
    softmax = scipy.special.softmax(logits, axis=1)
    from_logits = fit_temperature(logits, truth)
    assert fit_temperature(log_probabilities(softmax), truth) == pytest.approx(from_logits)


def test_overconfident_probabilities_become_calibrated() -> None:
    """Labels drawn from the probabilities themselves, which are then sharpened threefold."""
    rng = np.random.default_rng(0)
    honest = scipy.special.softmax(rng.normal(size=(6000, 4)) * 1.5, axis=1)
    truth = (rng.random((6000, 1)) > honest.cumsum(axis=1)).sum(axis=1)
    sharp = scipy.special.softmax(np.log(honest) * 3, axis=1)
    temperature = fit_temperature(log_probabilities(sharp), truth)
    assert temperature == pytest.approx(3, rel=0.05)
    cooled = scipy.special.softmax(np.log(sharp) / temperature, axis=1)
    assert calibration_error(truth, cooled) < 0.02 < calibration_error(truth, sharp)
    assert negative_log_likelihood(truth, cooled) < negative_log_likelihood(truth, sharp)


def test_labels_that_are_always_right_meet_the_lower_bound() -> None:
    assert fit_temperature([[1.0, 0.0], [0.0, 1.0]], [0, 1]) == MIN_TEMPERATURE


def test_labels_that_are_always_wrong_meet_the_upper_bound() -> None:
    assert fit_temperature([[1.0, 0.0], [0.0, 1.0]], [1, 0]) == MAX_TEMPERATURE


@pytest.mark.parametrize("logits", [[[0.0, np.nan]], [[0.0, 1.0], [1.0, 0.0]], [0.0, 1.0]])
def test_logits_that_do_not_fit_are_refused(logits: list[list[float]]) -> None:
    with pytest.raises(ValueError, match=r"^[a-z ]+: shapes "):
        fit_temperature(logits, [0])


def test_operating_point_has_the_largest_coverage_that_reaches_the_target() -> None:
    """By confidence the answers are right, wrong, right, right, wrong: 1, 1/2, 2/3, 3/4, 3/5."""
    confidences = [0.95, 0.9, 0.85, 0.8, 0.75]
    rows = [[c, 1 - c] for c in confidences]
    point = choose_operating_point([0, 1, 0, 0, 1], rows, target_accuracy=0.7)
    assert point.threshold == pytest.approx(0.775)
    assert (point.coverage, point.accuracy) == (0.8, 0.75)


def test_answers_at_the_operating_point_are_certain() -> None:
    """The point's coverage is the share of answers that are not below the threshold."""
    truth, rows, _ = random_case(300, 7, 2)
    point = choose_operating_point(truth, rows, target_accuracy=0.8)
    certain = ~(rows.max(axis=1) < point.threshold)
    assert certain.mean() == pytest.approx(point.coverage)
    assert (rows.argmax(axis=1) == truth)[certain].mean() == pytest.approx(point.accuracy)


def test_all_answers_are_certain_when_all_together_reach_the_target() -> None:
    point = choose_operating_point([0, 0], [[0.6, 0.4], [0.9, 0.1]], target_accuracy=1)
    assert (point.threshold, point.coverage, point.accuracy) == (0, 1, 1)


def test_a_target_out_of_reach_says_what_is_within() -> None:
    with pytest.raises(ValueError, match=r"the best gives 0\.5000"):
        choose_operating_point([0, 1], [[0.6, 0.4], [0.6, 0.4]], target_accuracy=0.9)


@pytest.mark.parametrize(("seed", "prior_std"), [(0, 1.0), (1, 0.1)])
def test_a_class_bias_is_scipys_minimum(seed: int, prior_std: float) -> None:
    truth, rows, _ = random_case(400, 5, seed)
    logits = 2 * np.log(rows) + np.array([0.0, 1.0, -1.0, 0.5, 0.0])

    def loss(weights: NDArray[np.float64]) -> float:
        scaled = scipy.special.log_softmax(weights[0] * logits + weights[1:], axis=1)
        prior = (weights[1:] ** 2).sum() / (2 * prior_std**2 * len(truth))
        return float(-scaled[np.arange(len(truth)), truth].mean() + prior)

    best = scipy.optimize.minimize(loss, [1.0, *[0.0] * 5], options={"gtol": 1e-9}).x
    expected = best[1:] / best[0] - (best[1:] / best[0]).mean()
    actual = fit_class_bias(logits, truth, prior_std=prior_std)
    np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_a_class_bias_takes_out_what_was_added() -> None:
    """Labels drawn from honest probabilities; then one class's logit is raised by 1.5."""
    rng = np.random.default_rng(3)
    honest = rng.normal(size=(20_000, 3)) * 1.5
    shares = scipy.special.softmax(honest, axis=1)
    truth = (rng.random((20_000, 1)) > shares.cumsum(axis=1)).sum(axis=1)
    bias = fit_class_bias(honest + np.array([0.0, 1.5, 0.0]), truth)
    np.testing.assert_allclose(bias, [0.5, -1.0, 0.5], atol=0.05)


def test_a_class_that_never_occurs_keeps_a_bias_within_reason() -> None:
    logits = np.random.default_rng(4).normal(size=(50, 3))
    truth = (logits[:, :2] + np.random.default_rng(5).normal(size=(50, 2))).argmax(axis=1)
    bias = fit_class_bias(logits, truth)
    assert np.isfinite(bias).all()
    assert bias[2] == bias.min()
    assert bias[2] > -6
