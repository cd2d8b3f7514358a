"""What is done to logits, against numbers by hand: the map of confidences and all before it."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from facial_expressions.calibration import LEAD, Calibration, TopLabelMap
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


def test_biases_come_first_then_the_temperature_then_the_map() -> None:
    """Logits 3 and 1 become 4 and 0 by biases, 2 and 0 by the temperature; the map halves 2."""
    halved = TopLabelMap((0.5, 1.0), (0.0, 0.0))
    logits = Calibration((1.0, -1.0), 2.0, halved).apply([[3.0, 1.0]])
    np.testing.assert_allclose(logits, [[1.0, 0.0]], atol=1e-12)


def test_a_temperature_changes_no_answer() -> None:
    _, rows, answers = random_case(100, 7, 3)
    cooled = Calibration(temperature=4.2).apply(np.log(rows))
    assert np.array_equal(cooled.argmax(axis=1), answers)


def test_a_calibration_that_says_nothing_does_nothing() -> None:
    assert Calibration().apply([[3.0, 1.0]]).tolist() == [[3.0, 1.0]]


@pytest.mark.parametrize(
    ("temperature", "uncertain_below"),
    [(0.0, 0.5), (-1.0, 0.5), (np.inf, 0.5), (np.nan, 0.5), (1.0, -0.1), (1.0, 1.1), (1.0, np.nan)],
)
def test_numbers_that_no_calibration_has_are_refused(
    temperature: float, uncertain_below: float
) -> None:
    with pytest.raises(
        ValueError,
        match=f"temperature {temperature}, uncertain_below {uncertain_below}: out of range",
    ):
        Calibration(temperature=temperature, uncertain_below=uncertain_below)
