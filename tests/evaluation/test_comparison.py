"""Two reports side by side, and when a difference counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from facial_expressions.errors import DatasetError
from facial_expressions.evaluation.comparison import comparison_text, paired_test, read_report
from facial_expressions.evaluation.predictions import Predictions
from tests.evaluation.fakes import PAIR, predictions_of, store_report

RIGHT, WRONG = [0.75, 0.25], [0.25, 0.75]


def test_difference_and_paired_test_by_hand(tmp_path: Path) -> None:
    """Ten images: the second is right in 8, the first in 2, never both: p = 2 * 56 / 1024."""
    first = store_report(tmp_path / "a", predictions_of(PAIR, [0] * 10, [RIGHT] * 2 + [WRONG] * 8))
    second = store_report(tmp_path / "b", predictions_of(PAIR, [0] * 10, [WRONG] * 2 + [RIGHT] * 8))
    test = paired_test(read_report(first), read_report(second))
    assert test is not None
    assert (test.only_first, test.only_second) == (2, 8)
    assert test.p_value == pytest.approx(2 * (1 + 10 + 45) / 1024)


def test_images_are_matched_by_name(tmp_path: Path) -> None:
    first = store_report(tmp_path / "a", predictions_of(PAIR, [0, 0, 0], [RIGHT, WRONG, RIGHT]))
    turned = predictions_of(PAIR, [0, 0, 0], [RIGHT, WRONG, RIGHT])
    turned = Predictions(PAIR, ("2", "1", "0"), turned.truth, turned.probabilities)
    second = store_report(tmp_path / "b", turned)
    test = paired_test(read_report(first), read_report(second))
    assert test is not None
    assert (test.only_first, test.only_second) == (0, 0)


@pytest.mark.parametrize("kind", ["other images", "other truth", "no rows"])
def test_what_is_not_paired_is_not_tested(tmp_path: Path, kind: str) -> None:
    first = store_report(tmp_path / "a", predictions_of(PAIR, [0, 1], [RIGHT, WRONG]))
    truth = [0, 1, 1] if kind == "other images" else [0, 0] if kind == "other truth" else [0, 1]
    second = store_report(
        tmp_path / "b",
        predictions_of(PAIR, truth, [RIGHT] * len(truth)),
        with_rows=kind != "no rows",
    )
    assert paired_test(read_report(first), read_report(second)) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"model": "m"}'])
def test_what_is_no_report_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "report.json").write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match="report"):
        read_report(tmp_path)


def test_a_missing_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="not a report"):
        read_report(tmp_path)


def test_the_text_says_what_is_chance(tmp_path: Path) -> None:
    first = store_report(tmp_path / "a", predictions_of(PAIR, [0] * 9, [WRONG] * 9))
    second = store_report(tmp_path / "b", predictions_of(PAIR, [0] * 9, [RIGHT] * 9))
    third = store_report(tmp_path / "c", predictions_of(PAIR, [0] * 9, [RIGHT] + [WRONG] * 8))
    text = comparison_text([read_report(path) for path in (first, second, third)])
    _, better, chance = (text.split("against")[i].splitlines()[0] for i in range(3))
    assert "more than chance" in better
    assert "within chance" in chance
    assert "1.0000 (+1.0000)" in text


def test_every_two_are_compared_and_p_is_adjusted_for_three_tests(tmp_path: Path) -> None:
    """Right in 0, 9 and 8 of 9: p = 2/512, 2/256 and 1, adjusted to 3 times, twice and once."""
    reports = [
        read_report(
            store_report(
                tmp_path / str(n), predictions_of(PAIR, [0] * 9, [RIGHT] * n + [WRONG] * (9 - n))
            )
        )
        for n in (0, 9, 8)
    ]
    tested = comparison_text(reports).splitlines()[-3:]
    assert [line.partition(":")[0] for line in tested] == [
        "m (9) against m (0)", "m (8) against m (0)", "m (8) against m (9)",
    ]  # fmt: skip
    assert [line.partition("; ")[2] for line in tested] == [
        "McNemar p = 0.0039 (adjusted 0.012), more than chance",
        "McNemar p = 0.0078 (adjusted 0.016), more than chance",
        "McNemar p = 1, within chance",
    ]


def test_the_text_says_why_nothing_was_tested(tmp_path: Path) -> None:
    predictions = predictions_of(PAIR, [0, 1], [RIGHT, WRONG])
    reports = [
        read_report(store_report(tmp_path / name, predictions, with_rows=name == "a"))
        for name in ("a", "b")
    ]
    assert "no paired test" in comparison_text(reports)
