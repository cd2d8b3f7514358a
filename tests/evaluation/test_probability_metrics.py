"""Metrics of probabilities against hand-worked numbers and independent code."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics  # noqa: TID253 - the reference that ours are compared with
from numpy.typing import NDArray

from facial_expressions.evaluation.metrics import (
    brier_error,
    calibration_error,
    coverage_curve,
    kl_divergence,
    negative_log_likelihood,
    reliability_bins,
)
from tests.evaluation.fakes import random_case

ROWS = [[0.9, 0.1, 0.0], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [0.3, 0.3, 0.4]]
TRUTH = [0, 2, 2, 0]


def test_nll_by_hand() -> None:
    expected = -(math.log(0.9) + math.log(0.3) + math.log(0.8) + math.log(0.3)) / 4
    assert negative_log_likelihood(TRUTH, ROWS) == pytest.approx(expected)


def test_nll_is_scikit_learns_log_loss() -> None:
    truth, rows, _ = random_case(300, 7, 5)
    expected = sklearn.metrics.log_loss(truth, rows, labels=list(range(7)))
    assert negative_log_likelihood(truth, rows) == pytest.approx(expected)


def test_nll_of_an_impossible_truth_is_large_but_finite() -> None:
    assert negative_log_likelihood([1], [[1.0, 0.0]]) == pytest.approx(-math.log(2.2e-16), rel=0.01)


def some_shares(n: int, n_classes: int, seed: int) -> NDArray[np.float64]:
    """Shares of ten votes each, some of them zero."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(10, rng.dirichlet(np.full(n_classes, 0.5), n)) / 10


def test_nll_against_shares_is_scikit_learns_log_loss_with_weights() -> None:
    """Each image stands there once for each class, with the share as its weight."""
    _, rows, _ = random_case(200, 7, 5)
    shares = some_shares(200, 7, 9)
    expected = sklearn.metrics.log_loss(
        np.tile(np.arange(7), 200), np.repeat(rows, 7, axis=0), sample_weight=shares.ravel()
    )
    assert negative_log_likelihood(shares, rows) == pytest.approx(expected)


def test_kl_is_scipys_relative_entropy() -> None:
    _, rows, _ = random_case(200, 7, 5)
    shares = some_shares(200, 7, 9)
    expected = scipy.stats.entropy(shares, rows, axis=1).mean()
    assert kl_divergence(shares, rows) == pytest.approx(expected)
    assert kl_divergence(shares, shares) == 0


def test_brier_against_shares_is_scikit_learns_squared_error() -> None:
    _, rows, _ = random_case(200, 7, 5)
    shares = some_shares(200, 7, 9)
    expected = 7 * sklearn.metrics.mean_squared_error(shares, rows)
    assert brier_error(shares, rows) == pytest.approx(expected)


def test_an_answer_is_as_right_as_the_share_it_got() -> None:
    """Confidences .9 and .6 with shares .7 and .4: gaps of .2 each; then the bins of it."""
    shares, rows = [[0.7, 0.3], [0.6, 0.4]], [[0.9, 0.1], [0.4, 0.6]]
    assert calibration_error(shares, rows) == pytest.approx(0.2)
    assert [b.accuracy for b in reliability_bins(shares, rows) if b.count] == [0.4, 0.7]


def test_ids_and_shares_that_are_all_or_nothing_are_the_same() -> None:
    truth, rows, _ = random_case(100, 7, 3)
    for metric in (negative_log_likelihood, brier_error, calibration_error):
        assert metric(truth, rows) == metric(np.eye(7)[truth], rows)


def test_brier_by_hand() -> None:
    expected = (
        (0.1**2 + 0.1**2)
        + (0.2**2 + 0.5**2 + 0.7**2)
        + (0.1**2 + 0.1**2 + 0.2**2)
        + (0.7**2 + 0.3**2 + 0.4**2)
    ) / 4
    assert brier_error(TRUTH, ROWS) == pytest.approx(expected)


def test_two_class_brier_is_twice_scikit_learns() -> None:
    truth, rows, _ = random_case(200, 2, 6)
    expected = 2 * sklearn.metrics.brier_score_loss(truth, rows[:, 1])
    assert brier_error(truth, rows) == pytest.approx(expected)


def test_brier_runs_from_0_to_2() -> None:
    assert brier_error([0], [[1.0, 0.0]]) == 0
    assert brier_error([1], [[1.0, 0.0]]) == 2


def test_ece_by_hand() -> None:
    """In four bins of their own 0.4 and 0.5, both wrong, 0.8 and 0.9, both right."""
    expected = (abs(0 - 0.4) + abs(0 - 0.5) + abs(1 - 0.8) + abs(1 - 0.9)) / 4
    assert calibration_error(TRUTH, ROWS) == pytest.approx(expected)


def test_ece_is_that_of_a_loop_over_bins() -> None:
    truth, rows, answers = random_case(500, 7, 7)
    confidence, right = rows.max(axis=1), answers == truth
    expected = 0.0
    for i in range(15):
        inside = (confidence > i / 15) & (confidence <= (i + 1) / 15)
        if inside.any():
            gap = abs(right[inside].mean() - confidence[inside].mean())
            expected += inside.sum() / len(truth) * gap
    assert calibration_error(truth, rows) == pytest.approx(expected)


def test_a_confidence_on_an_edge_belongs_to_the_bin_below() -> None:
    bins = reliability_bins([0, 0], [[0.6, 0.4], [1.0, 0.0]])
    assert [row.upper for row in bins if row.count] == [0.6, 1]


def test_bins_hold_every_answer_once() -> None:
    truth, rows, _ = random_case(321, 8, 8)
    bins = reliability_bins(truth, rows)
    assert sum(row.count for row in bins) == 321
    assert (bins[0].lower, bins[-1].upper) == (0, 1)
    assert all(row.lower < row.confidence <= row.upper for row in bins if row.count)


def test_coverage_curve_by_hand() -> None:
    points = coverage_curve(TRUTH, ROWS)
    assert [point.threshold for point in points] == pytest.approx([0.9, 0.8, 0.5, 0.4])
    assert [point.coverage for point in points] == [0.25, 0.5, 0.75, 1.0]
    assert [point.accuracy for point in points] == pytest.approx([1, 1, 2 / 3, 0.5])


def test_equal_confidences_share_a_point_of_the_curve() -> None:
    points = coverage_curve([0, 1, 0], [[0.7, 0.3], [0.7, 0.3], [0.6, 0.4]])
    assert [point.coverage for point in points] == pytest.approx([2 / 3, 1])
    assert [point.accuracy for point in points] == pytest.approx([1 / 2, 2 / 3])


def test_float32_rows_are_brought_to_a_sum_of_1() -> None:
    rows = np.full((1, 3), 1 / 3, np.float32)
    assert reliability_bins([0], rows)[5].confidence == 0
    assert reliability_bins([0], rows)[4].confidence == pytest.approx(1 / 3, abs=1e-15)
