"""A comparison of reports as text, Markdown and page."""

from __future__ import annotations

from pathlib import Path

from facial_expressions.evaluation.comparison import read_report
from facial_expressions.pages.comparison_page import comparison_page, comparison_text
from tests.evaluation.fakes import PAIR, predictions_of, store_report
from tests.pages.page_checker import look_at

RIGHT, WRONG = [0.75, 0.25], [0.25, 0.75]


def test_the_text_says_what_is_chance(tmp_path: Path) -> None:
    first = store_report(tmp_path / "a", predictions_of(PAIR, [0] * 9, [WRONG] * 9))
    second = store_report(tmp_path / "b", predictions_of(PAIR, [0] * 9, [RIGHT] * 9))
    third = store_report(tmp_path / "c", predictions_of(PAIR, [0] * 9, [RIGHT] + [WRONG] * 8))
    text = comparison_text([read_report(path) for path in (first, second, third)])
    _, better, chance = (text.split("against")[i].splitlines()[0] for i in range(3))
    assert "more than chance" in better
    assert "within chance" in chance
    assert "1.0000 (+1.0000)" in text


def test_markdown_has_the_best_of_each_row_in_bold_and_every_pair(tmp_path: Path) -> None:
    first = store_report(tmp_path / "a", predictions_of(PAIR, [0] * 4, [WRONG] * 4))
    second = store_report(tmp_path / "b", predictions_of(PAIR, [0] * 4, [RIGHT] * 4))
    text = comparison_page([read_report(first), read_report(second)], ".md")
    assert "| Figure | m (a) | m (b) |" in text
    assert "| Images | 4 | 4 |" in text
    assert "| Accuracy | 0.0000 | **1.0000** |" in text
    assert "| ECE | 0.7500 | **0.2500** |" in text
    assert "| F1, No | 0.0000 | **1.0000** |" in text
    assert "| m (a) and m (b) | +100.00 | 0 | 4 | 0.12 | 0.12 | within chance |" in text
    assert "Corrupted" not in text


def test_page_is_whole_and_holds_no_markup_of_a_name(tmp_path: Path) -> None:
    reports = [
        read_report(store_report(tmp_path / name, predictions_of(PAIR, [0, 1], [RIGHT, right])))
        for name, right in (("<b>a", RIGHT), ("b", WRONG))
    ]
    page = comparison_page(reports, ".html")
    checker = look_at(page)
    assert "b" not in checker.tags
    assert "m (<b>a)" in checker.texts
    assert "<td>0.5000</td><td><strong>1.0000</strong></td>" in page


def test_the_text_says_that_p_was_adjusted(tmp_path: Path) -> None:
    """Right in 0, 9 and 8 of 9: p of the last with the first is 2/256, adjusted to twice that."""
    reports = [
        read_report(
            store_report(
                tmp_path / str(n), predictions_of(PAIR, [0] * 9, [RIGHT] * n + [WRONG] * (9 - n))
            )
        )
        for n in (0, 9, 8)
    ]
    text = comparison_text(reports)
    assert "McNemar p = 0.0039 (adjusted 0.012), more than chance" in text
    assert "McNemar p = 0.0078 (adjusted 0.016), more than chance" in text


def test_the_text_says_why_nothing_was_tested(tmp_path: Path) -> None:
    predictions = predictions_of(PAIR, [0, 1], [RIGHT, WRONG])
    reports = [
        read_report(store_report(tmp_path / name, predictions, with_rows=name == "a"))
        for name in ("a", "b")
    ]
    assert "no paired test" in comparison_text(reports)
    assert "no paired test" in comparison_page(reports, ".md")
