"""Maps of confidences against numbers by hand and SciPy's minimiser."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from facial_expressions.evaluation.calibration import fit_temperature, log_probabilities
from facial_expressions.evaluation.probability_metrics import calibration_error
from facial_expressions.evaluation.top_label import (
    LEAD,
    TopLabelMap,
    fit_top_label_map,
    gain_on_halves,
    top_label_map_of,
)
from facial_expressions.labels import LabelSet
from tests.evaluation.fakes import random_case

TRIO = TopLabelMap((0.5, 1.0, 2.0), (0.0, 0.0, -0.25))


def test_the_answers_odds_go_through_its_classs_line() -> None:
    """0.8, 0.6 and 0.5 have odds of 4, 1.5 and 1: these become 2, 1.5 and exp(-0.25)."""
    rows = [[0.8, 0.15, 0.05], [0.1, 0.6, 0.3], [0.2, 0.3, 0.5]]
    mapped = scipy.special.softmax(TRIO.apply(np.log(rows)), axis=1)
    low = np.exp(-0.25) / (1 + np.exp(-0.25))
    expected = [
        [2 / 3, 1 / 3 * 0.75, 1 / 3 * 0.25],
        [0.1, 0.6, 0.3],
        [(1 - low) * 0.4, (1 - low) * 0.6, low],
    ]
    np.testing.assert_allclose(mapped, expected, atol=1e-12)


def test_an_answer_stays_ahead_of_the_next_class() -> None:
    timid = TopLabelMap((1.0, 1.0), (-9.0, -9.0))
    mapped = timid.apply([[0.3, 0.0], [5.0, 7.0]])
    np.testing.assert_allclose(mapped, [[LEAD, 0.0], [5.0, 5.0 + LEAD]], atol=1e-12)


@given(arrays(np.float64, (5, 3), elements=st.floats(-30, 30, allow_subnormal=False)))
def test_no_answer_changes(logits: np.ndarray) -> None:
    mapped = TRIO.apply(logits)
    assert np.array_equal(mapped.argmax(axis=1), logits.argmax(axis=1))
    assert np.isfinite(mapped).all()


def test_it_can_be_undone() -> None:
    _, rows, _ = random_case(300, 3, 1)
    gentle = TopLabelMap((0.9, 1.0, 1.2), (0.05, 0.0, 0.1))
    back = gentle.undo(gentle.apply(np.log(rows)))
    led = np.sort(rows, axis=1)
    clear = led[:, -1] > 1.3 * led[:, -2]  # others may have had to be kept in the lead
    assert clear.sum() > 100
    np.testing.assert_allclose(scipy.special.softmax(back, axis=1)[clear], rows[clear], atol=1e-9)


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
    assert gain_on_halves(*two_classes((2.0, 0.5))).is_clear
    assert not gain_on_halves(*two_classes((2.0, 2.0))).is_clear


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


def test_a_model_files_figures_give_it_back() -> None:
    labels = LabelSet("trio", ("a", "b", "c"))
    figures = TRIO.figures(labels)
    assert figures["confidence_slope_c"] == 2
    assert figures["confidence_offset_c"] == -0.25
    assert top_label_map_of({**figures, "validation_accuracy": 0.5}, labels) == TRIO
    assert top_label_map_of(figures, LabelSet("other", ("a", "d"))) is None


def test_what_cannot_be_fitted_is_said() -> None:
    with pytest.raises(ValueError, match=r"received shapes \(2,\) and \(2,\)"):
        fit_top_label_map([0.1, 0.2], [0, 1])
    with pytest.raises(ValueError, match="label"):
        fit_top_label_map(log_probabilities([[0.1, 0.9]]), [2])
