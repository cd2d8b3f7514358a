"""The plan of an epoch: order, sampling by class, and numbers of the views."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facial_expressions.training.epoch_plan import plan_epoch

LABELS = np.repeat([0, 1, 2], [64, 16, 4])


def test_without_balance_the_order_is_the_permutation_of_the_first_release() -> None:
    plan = plan_epoch(LABELS, seed=3, epoch=4)
    np.testing.assert_array_equal(plan.rows, np.random.default_rng([3, 4, 0]).permutation(84))
    assert not plan.times.any()


@pytest.mark.parametrize(
    ("balance", "expected"),
    [
        (1.0, [28, 28, 28]),
        (0.5, [48, 24, 12]),  # as the square roots 8, 4 and 2
    ],
)
def test_shares_go_by_count_to_the_power_of_what_is_left(
    balance: float, expected: list[int]
) -> None:
    plan = plan_epoch(LABELS, seed=1, epoch=0, balance=balance)
    shown = np.bincount(LABELS[plan.rows])
    assert np.abs(shown - expected).max() <= 1
    assert shown.sum() == 84


@given(seed=st.integers(0, 1000), balance=st.floats(0.01, 1.0))
def test_no_picture_differs_by_one_or_more_from_its_expected_number(
    seed: int, balance: float
) -> None:
    plan = plan_epoch(LABELS, seed=seed, epoch=0, balance=balance)
    weights = np.array([64, 16, 4])[LABELS] ** (-balance)
    expected = 84 * weights / weights.sum()
    shown = np.bincount(plan.rows, minlength=84)
    assert len(plan.rows) == 84
    assert np.abs(shown - expected).max() < 1 + 1e-6


def test_over_epochs_every_picture_has_its_turn() -> None:
    plans = [plan_epoch(LABELS, seed=1, epoch=epoch, balance=1.0) for epoch in range(40)]
    shown = np.bincount(np.concatenate([plan.rows for plan in plans]), minlength=84)
    assert shown.min() > 0
    assert not np.array_equal(plans[0].rows, plans[1].rows)


def test_a_picture_counts_how_often_it_was_shown_before() -> None:
    plan = plan_epoch(LABELS, seed=1, epoch=0, balance=1.0)
    for row in (80, 81, 82, 83):  # seven times each
        np.testing.assert_array_equal(plan.times[plan.rows == row], np.arange(7))


def test_views_of_one_row_have_different_numbers_throughout_the_epoch() -> None:
    plan = plan_epoch(LABELS, seed=1, epoch=0, balance=1.0)
    steps = [plan.step(step, batch_size=10, views=2) for step in range(9)]
    assert [len(rows) for rows, _ in steps] == [20] * 8 + [8]
    rows, numbers = steps[0]
    np.testing.assert_array_equal(rows[:10], rows[10:])
    np.testing.assert_array_equal(numbers[:10] + 1, numbers[10:])
    pairs = {pair for one in steps for pair in zip(*map(np.ndarray.tolist, one), strict=True)}
    assert len(pairs) == 2 * 84
