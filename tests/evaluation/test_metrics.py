"""Metrics of answers equal scikit-learn's and SciPy's, or numbers worked out by hand."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics  # noqa: TID253 - the reference that ours are compared with
from hypothesis import given, settings
from hypothesis import strategies as st

from facial_expressions.errors import MissingExtraError
from facial_expressions.evaluation.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    classification_scores,
    confusion_matrix,
    mcnemar_test,
    wilson_interval,
)
from tests.evaluation.fakes import random_case

CASES: dict[str, tuple[list[int], list[int], int]] = {
    "random": (*(a.tolist() for a in random_case(400, 7, 1)[::2]), 7),
    "one picture": ([2], [2], 3),
    "one class only": ([1, 1, 1], [1, 0, 1], 7),
    "nothing right": ([0, 1, 2], [1, 2, 0], 3),
    "class without pictures": ([0, 0, 1], [0, 2, 1], 4),
    "class never answered": ([0, 1, 2, 2], [0, 0, 0, 0], 3),
}


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def case(request: pytest.FixtureRequest) -> tuple[list[int], list[int], int]:
    value: tuple[list[int], list[int], int] = request.param
    return value


def test_accuracy_is_scikit_learns(case: tuple[list[int], list[int], int]) -> None:
    truth, answers, _ = case
    expected = sklearn.metrics.accuracy_score(truth, answers)
    assert accuracy_score(truth, answers) == pytest.approx(expected)


@pytest.mark.filterwarnings("ignore:.*y_pred contains classes not in y_true")
@pytest.mark.filterwarnings("ignore:A single label was found")
def test_balanced_accuracy_is_scikit_learns(case: tuple[list[int], list[int], int]) -> None:
    truth, answers, n_classes = case
    expected = sklearn.metrics.balanced_accuracy_score(truth, answers)
    received = balanced_accuracy_score(truth, answers, n_classes=n_classes)
    assert received == pytest.approx(expected)


def test_confusion_matrix_counts_truth_by_row(case: tuple[list[int], list[int], int]) -> None:
    truth, answers, n_classes = case
    counts = confusion_matrix(truth, answers, n_classes=n_classes)
    by_hand = [
        [
            sum(t == i and a == j for t, a in zip(truth, answers, strict=True))
            for j in range(n_classes)
        ]
        for i in range(n_classes)
    ]
    assert counts.tolist() == by_hand


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
    for average, name in ((scores.macro, "macro avg"), (scores.weighted, "weighted avg")):
        assert average.precision == pytest.approx(report[name]["precision"])
        assert average.recall == pytest.approx(report[name]["recall"])
        assert average.f1 == pytest.approx(report[name]["f1-score"])


def test_no_answer_is_wrong_and_harms_no_other_class_precision() -> None:
    scores = classification_scores([0, 0, 1], [0, -1, 1], n_classes=2)
    assert [row.recall for row in scores.per_class] == [0.5, 1.0]
    assert [row.precision for row in scores.per_class] == [1.0, 1.0]
    assert confusion_matrix([0, 0, 1], [0, -1, 1], n_classes=2).tolist() == [[1, 0], [0, 1]]
    assert balanced_accuracy_score([0, 0, 1], [0, -1, 1], n_classes=2) == 0.75


@pytest.mark.parametrize(
    ("n_right", "n"), [(0, 1), (1, 1), (0, 50), (50, 50), (7, 9), (3291, 7178)]
)
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_interval_is_scipys_wilson(n_right: int, n: int, confidence: float) -> None:
    expected = scipy.stats.binomtest(n_right, n).proportion_ci(confidence, method="wilson")
    received = wilson_interval(n_right, n, confidence=confidence)
    assert received == pytest.approx((expected.low, expected.high))


@settings(deadline=None, max_examples=50)
@given(n=st.integers(1, 5000), share=st.floats(0, 1))
def test_interval_holds_the_share_and_stays_in_0_to_1(n: int, share: float) -> None:
    n_right = round(share * n)
    low, high = wilson_interval(n_right, n)
    assert 0 <= low <= n_right / n + 1e-12
    assert n_right / n - 1e-12 <= high <= 1


@settings(deadline=None, max_examples=50)
@given(only_first=st.integers(0, 60), only_second=st.integers(0, 60), both=st.integers(0, 5))
def test_mcnemar_is_scipys_exact_binomial_test(
    only_first: int, only_second: int, both: int
) -> None:
    first = [True] * only_first + [False] * only_second + [True] * both + [False]
    second = [False] * only_first + [True] * only_second + [True] * both + [False]
    result = mcnemar_test(first, second)
    n = only_first + only_second
    expected = 1.0 if n == 0 else scipy.stats.binomtest(only_first, n, 0.5).pvalue
    assert (result.only_first, result.only_second) == (only_first, only_second)
    assert result.p_value == pytest.approx(expected)


def test_mcnemar_stays_exact_for_thousands_of_pictures() -> None:
    first = [True] * 2000 + [False] * 2200
    result = mcnemar_test(first, [not right for right in first])
    assert result.p_value == pytest.approx(scipy.stats.binomtest(2000, 4200, 0.5).pvalue)


@pytest.mark.parametrize(
    ("truth", "answers"), [([], []), ([0, 1], [0]), ([[0]], [[0]]), ([0, 9], [0, 1]), ([-1], [0])]
)
def test_what_does_not_fit_is_refused(truth: Sequence[Any], answers: Sequence[Any]) -> None:
    with pytest.raises(ValueError, match="received"):
        classification_scores(truth, answers, n_classes=3)


@pytest.mark.parametrize(("n_right", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_impossible_counts_have_no_interval(n_right: int, n: int) -> None:
    with pytest.raises(ValueError, match="received"):
        wilson_interval(n_right, n)


def test_paired_test_needs_the_same_pictures() -> None:
    with pytest.raises(ValueError, match="received shapes"):
        mcnemar_test([True], [True, False])


def test_missing_scikit_learn_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without_sklearn(name: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real_import(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_sklearn)
    with pytest.raises(MissingExtraError, match=r"facial-expressions\[evaluate\]"):
        confusion_matrix([0], [0], n_classes=2)


def test_array_scores_do_not_change_their_input() -> None:
    truth, _, answers = random_case(50, 3, 4)
    before = truth.copy(), answers.copy()
    classification_scores(truth, answers, n_classes=3)
    assert np.array_equal(truth, before[0])
    assert np.array_equal(answers, before[1])
