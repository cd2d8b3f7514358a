"""Metrics of answers equal scikit-learn's, or numbers worked out by hand."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from fractions import Fraction
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
import sklearn.metrics  # noqa: TID253 - the reference that ours are compared with
from hypothesis import given, settings
from hypothesis import strategies as st

from facial_expressions.errors import MissingExtraError
from facial_expressions.evaluation.calibration import fit_class_bias
from facial_expressions.evaluation.metrics import (
    classification_scores,
    mcnemar_test,
    wilson_interval,
)
from facial_expressions.labels import LabelSet
from tests.evaluation.fakes import predictions_of, random_case

CASES: dict[str, tuple[list[int], list[int], int]] = {
    "random": (*(a.tolist() for a in random_case(400, 7, 1)[::2]), 7),
    "one image": ([2], [2], 3),
    "one class only": ([1, 1, 1], [1, 0, 1], 7),
    "nothing right": ([0, 1, 2], [1, 2, 0], 3),
    "class without images": ([0, 0, 1], [0, 2, 1], 4),
    "class never answered": ([0, 1, 2, 2], [0, 0, 0, 0], 3),
}


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def case(request: pytest.FixtureRequest) -> tuple[list[int], list[int], int]:
    value: tuple[list[int], list[int], int] = request.param
    return value


def test_accuracy_is_scikit_learns(case: tuple[list[int], list[int], int]) -> None:
    truth, answers, n_classes = case
    labels = LabelSet("some", tuple("abcdefg"[:n_classes]))
    received = predictions_of(labels, truth, np.eye(n_classes)[answers].tolist()).accuracy
    assert received == pytest.approx(sklearn.metrics.accuracy_score(truth, answers))


@pytest.mark.filterwarnings("ignore:.*y_pred contains classes not in y_true")
@pytest.mark.filterwarnings("ignore:A single label was found")
def test_balanced_accuracy_is_scikit_learns(case: tuple[list[int], list[int], int]) -> None:
    truth, answers, n_classes = case
    expected = sklearn.metrics.balanced_accuracy_score(truth, answers)
    scores = classification_scores(truth, answers, n_classes=n_classes)
    assert scores.balanced_accuracy == pytest.approx(expected)


def test_confusion_matrix_counts_truth_by_row(case: tuple[list[int], list[int], int]) -> None:
    truth, answers, n_classes = case
    counts = classification_scores(truth, answers, n_classes=n_classes).confusion
    by_hand = [
        [
            sum(t == i and a == j for t, a in zip(truth, answers, strict=True))
            for j in range(n_classes)
        ]
        for i in range(n_classes)
    ]
    assert counts == tuple(map(tuple, by_hand))


def test_scores_are_those_of_scikit_learns_report(case: tuple[list[int], list[int], int]) -> None:
    truth, answers, n_classes = case
    report: Mapping[str, Any] = sklearn.metrics.classification_report(
        truth, answers, labels=list(range(n_classes)), output_dict=True, zero_division=0
    )
    scores = classification_scores(truth, answers, n_classes=n_classes)
    for i, row in enumerate(scores.per_class):
        expected = report[str(i)]
        assert row.precision == pytest.approx(expected["precision"])
        assert row.recall == pytest.approx(expected["recall"])
        assert row.f1 == pytest.approx(expected["f1-score"])
        assert row.support == expected["support"]
        assert isinstance(row.support, int), "counts stay whole in report.json"
    for average, name in ((scores.macro, "macro avg"), (scores.weighted, "weighted avg")):
        assert average.precision == pytest.approx(report[name]["precision"])
        assert average.recall == pytest.approx(report[name]["recall"])
        assert average.f1 == pytest.approx(report[name]["f1-score"])


def test_no_answer_is_wrong_and_harms_no_other_class_precision() -> None:
    scores = classification_scores([0, 0, 1], [0, -1, 1], n_classes=2)
    assert [row.recall for row in scores.per_class] == [0.5, 1.0]
    assert [row.precision for row in scores.per_class] == [1.0, 1.0]
    assert scores.confusion == ((1, 0), (0, 1))
    assert scores.balanced_accuracy == 0.75


@pytest.mark.parametrize(
    ("n_right", "n"), [(0, 1), (1, 1), (0, 50), (50, 50), (7, 9), (3291, 7178)]
)
def test_interval_ends_where_the_score_test_rejects(n_right: int, n: int) -> None:
    """Wilson's bounds are the shares p with n (n_right / n - p)^2 = z^2 p (1 - p)."""
    z2, share = NormalDist().inv_cdf(0.975) ** 2, n_right / n
    expected = np.sort(np.roots([n + z2, -(2 * n * share + z2), n * share**2]).real)
    received = wilson_interval(n_right, n)
    assert received == pytest.approx(tuple(expected), abs=1e-9)


@settings(max_examples=50)
@given(n=st.integers(1, 5000), share=st.floats(0, 1))
def test_interval_holds_the_share_and_stays_in_0_to_1(n: int, share: float) -> None:
    n_right = round(share * n)
    low, high = wilson_interval(n_right, n)
    assert 0 <= low <= n_right / n + 1e-12
    assert n_right / n - 1e-12 <= high <= 1


@settings(max_examples=50)
@given(only_first=st.integers(0, 60), only_second=st.integers(0, 60), both=st.integers(0, 5))
def test_mcnemar_counts_the_falls_of_coins(only_first: int, only_second: int, both: int) -> None:
    first = [True] * only_first + [False] * only_second + [True] * both + [False]
    second = [False] * only_first + [True] * only_second + [True] * both + [False]
    result = mcnemar_test(np.array(first), np.array(second))
    assert (result.only_first, result.only_second) == (only_first, only_second)
    assert result.p_value == pytest.approx(float(two_sided(only_first, only_second)))


def test_mcnemar_stays_exact_for_thousands_of_images() -> None:
    first = np.arange(4200) < 2000
    result = mcnemar_test(first, ~first)
    assert result.p_value == pytest.approx(float(two_sided(2000, 2200)))


def two_sided(a: int, b: int) -> Fraction:
    """Return the exact chance that ``a + b`` coins split at least as unevenly as ``a : b``."""
    fewer = sum(math.comb(a + b, k) for k in range(min(a, b) + 1))
    return min(Fraction(1), Fraction(2 * fewer, 2 ** (a + b)))


@pytest.mark.parametrize(
    ("module", "call"),
    [
        ("sklearn.metrics", lambda: classification_scores([0], [0], n_classes=2)),
        ("scipy.stats", lambda: wilson_interval(1, 2)),
        ("scipy.optimize", lambda: fit_class_bias([[0.0, 1.0]], [0])),
    ],
)
def test_a_missing_package_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, module: str, call: Callable[[], object]
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    package = module.partition(".")[0]
    with pytest.raises(MissingExtraError, match=rf"{package}.*\[evaluate\]"):
        call()


def test_array_scores_do_not_change_their_input() -> None:
    truth, _, answers = random_case(50, 3, 4)
    before = truth.copy(), answers.copy()
    classification_scores(truth, answers, n_classes=3)
    assert np.array_equal(truth, before[0])
    assert np.array_equal(answers, before[1])
