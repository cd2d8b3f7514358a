"""Fitted maps of confidences against SciPy's minimiser and made cases."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import scipy.special

from facial_expressions.evaluation.calibration import (
    fit_temperature,
    fit_top_label_map,
    pays_on_halves,
)
from facial_expressions.evaluation.metrics import calibration_error
from tests.evaluation.fakes import random_case


def test_each_line_is_scipys_minimum() -> None:
    truth, rows, _ = random_case(500, 3, 7)
    logits = np.log(rows)
    odds = scipy.special.logit(rows.max(axis=1))
    answers, right = rows.argmax(axis=1), rows.argmax(axis=1) == truth

    def minimum(mask: np.ndarray, towards: np.ndarray, tie: float) -> np.ndarray:
        def loss(line: np.ndarray) -> float:
            signed = np.where(right[mask], 1, -1) * (line[0] * odds[mask] + line[1])
            nll = np.logaddexp(0, -signed).sum()
            return float(nll + tie / 2 * ((line - towards) ** 2).sum())

        return np.asarray(scipy.optimize.minimize(loss, towards, tol=1e-12).x)

    shared = minimum(np.ones(500, bool), np.array([1.0, 0.0]), 1.0)
    lines = np.array([minimum(answers == k, shared, 20.0) for k in range(3)])
    fitted = fit_top_label_map(logits, truth)
    np.testing.assert_allclose(fitted.slopes, lines[:, 0], atol=1e-4)
    np.testing.assert_allclose(fitted.offsets, lines[:, 1], atol=1e-4)


def two_classes(factors: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose odds are honest ones times a factor for each answer, after a temperature."""
    rng = np.random.default_rng(3)
    answers, odds = rng.integers(0, 2, 30_000), rng.uniform(0.2, 3, 30_000)
    right = rng.random(30_000) < scipy.special.expit(odds)
    truth = np.where(right, answers, 1 - answers)
    said = odds * np.take(factors, answers)
    logits = np.where(answers[:, None] == [0, 1], said[:, None], 0.0)
    return logits / fit_temperature(logits, truth), truth


def test_it_pays_only_where_classes_differ() -> None:
    assert pays_on_halves(*two_classes((2.0, 0.5)))
    assert not pays_on_halves(*two_classes((2.0, 2.0)))


def test_it_mends_what_one_temperature_cannot() -> None:
    """Class 0 is twice as sure as it should be, class 1 half as sure."""
    logits, truth = two_classes((2.0, 0.5))
    before = calibration_error(truth, scipy.special.softmax(logits, axis=1))
    mapped = fit_top_label_map(logits, truth).apply(logits)
    after = calibration_error(truth, scipy.special.softmax(mapped, axis=1))
    assert before > 0.05
    assert after < 0.02


def test_a_class_that_is_never_answered_gets_the_shared_line() -> None:
    truth, rows, _ = random_case(200, 3, 2)
    logits = np.concatenate([np.log(rows), np.full((200, 1), -99.0)], axis=1)
    fitted = fit_top_label_map(logits, truth)
    assert 0.05 < fitted.slopes[3] < 20
    assert np.isfinite(fitted.offsets[3])


def test_what_cannot_be_fitted_is_said() -> None:
    with pytest.raises(ValueError, match=r"shapes \(2,\) and \(2,\) instead"):
        fit_top_label_map([0.1, 0.2], [0, 1])
