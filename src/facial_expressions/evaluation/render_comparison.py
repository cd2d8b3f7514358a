"""Renders a comparison of reports as text, as Markdown and as one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final, Literal

from facial_expressions.evaluation.comparison import (
    FIGURES,
    LEVEL,
    Comparison,
    StoredReport,
    compare_reports,
)
from facial_expressions.evaluation.html_parts import card, page, scroll, table_head, table_row
from facial_expressions.evaluation.tables import display_name

__all__ = ["render_comparison_html", "render_comparison_markdown", "render_comparison_text"]

_PAIR_COLUMNS: Final = (
    "Pair", "Difference, points", "Only the first right", "Only the second right", "McNemar p",
    "Adjusted p", "Verdict",
)  # fmt: skip
_LOWER_IS_BETTER: Final = ("nll", "brier", "ece")
_TITLES: Final = {"macro_f1": "Macro F1", "weighted_f1": "Weighted F1", "nll": "NLL", "ece": "ECE"}
_EXPLANATION: Final = (
    "Every two reports on the same pictures are compared picture by picture by McNemar's exact "
    f"test. A difference counts as more than chance when its p value is below {LEVEL} after "
    "Holm's adjustment for the number of tests."
)


@dataclass(frozen=True, slots=True)
class _Row:
    """One figure of all reports; ``best`` says which end of the scale is better, if any."""

    title: str
    values: tuple[float | None, ...]
    best: Literal["high", "low", ""] = "high"

    def cells(self) -> list[tuple[str, bool]]:
        """Return each value as text, and whether it is the best of the row."""
        known = [value for value in self.values if value is not None]
        if not self.best or len(set(known)) < 2:
            chosen = None
        else:
            chosen = max(known) if self.best == "high" else min(known)
        return [
            ("-", False) if value is None else (_number(value), value == chosen)
            for value in self.values
        ]


def render_comparison_text(reports: Sequence[StoredReport]) -> str:
    """Return the figures of reports side by side, then one sentence per pair.

    Args:
        reports: Two or more; differences are to the first.

    Raises:
        ValueError: There are fewer than two.
    """
    comparisons = compare_reports(reports)
    width = max(len(report.name) for report in reports)
    lines = ["  ".join([" " * width, f"{'pictures':>8}", *(f"{key:>17}" for key in FIGURES)])]
    for report, comparison in zip(reports, [None, *comparisons[: len(reports) - 1]], strict=True):
        differences = comparison.differences if comparison else {}
        cells = (_cell(report.figures[key], differences.get(key)) for key in FIGURES)
        lines.append(
            "  ".join([f"{report.name:{width}}", f"{report.figures['n']:8,}", *cells]).rstrip()
        )
    return "\n".join([*lines, "", *map(_sentence, comparisons)]) + "\n"


def render_comparison_markdown(reports: Sequence[StoredReport]) -> str:
    """Return the comparison as Markdown: every figure, best in bold, then the pairs.

    Args:
        reports: Two or more.

    Raises:
        ValueError: There are fewer than two.
    """
    figures = [
        [_plain(row.title), *(f"**{text}**" if best else text for text, best in row.cells())]
        for row in _rows(reports)
    ]
    pairs = [list(map(_plain, cells)) for cells in _pair_rows(compare_reports(reports))]
    names = [_plain(report.name) for report in reports]
    blocks = [
        "# Comparison",
        _table(["Figure", *names], figures),
        "## Pairs",
        _EXPLANATION,
        _table(_PAIR_COLUMNS, pairs),
    ]
    return "\n\n".join(blocks) + "\n"


def render_comparison_html(reports: Sequence[StoredReport]) -> str:
    """Return the comparison as one HTML page that needs no other file.

    Args:
        reports: Two or more.

    Raises:
        ValueError: There are fewer than two.
    """
    body = "".join(
        table_row([escape(row.title), *(_marked(*cell) for cell in row.cells())], raw=True)
        for row in _rows(reports)
    )
    head = table_head(["Figure", *(report.name for report in reports)])
    figures = f"<table>\n{head}<tbody>\n{body}</tbody>\n</table>\n"
    rows = "".join(map(table_row, _pair_rows(compare_reports(reports))))
    pairs = f"<table>\n{table_head(_PAIR_COLUMNS)}<tbody>\n{rows}</tbody>\n</table>\n"
    title = "Comparison of " + ", ".join(report.name for report in reports)
    return page(
        title,
        f"<header>\n<h1>{escape(title)}</h1>\n</header>\n"
        + card("Figures", scroll("Figures", figures))
        + card("Pairs", f'<p class="muted">{_EXPLANATION}</p>\n{scroll("Pairs", pairs)}'),
    )


def _rows(reports: Sequence[StoredReport]) -> list[_Row]:
    """Return the figures that at least one report has."""
    found = [report.figures for report in reports]

    def row(title: str, *path: str, best: Literal["high", "low", ""] = "high") -> _Row:
        return _Row(title, tuple(_at(figures, path) for figures in found), best)

    subsets = _keys(found, "subsets")
    classes = _keys(found, "per_class")
    rows = [
        row("Pictures", "n", best=""),
        *(
            row(_title(key), key, best="low" if key in _LOWER_IS_BETTER else "high")
            for key in FIGURES
        ),
        *(row(f"Accuracy, {display_name(key)}", "subsets", key, "accuracy") for key in subsets),
        row("Corrupted accuracy", "robustness", "mean_accuracy"),
        row("Corrupted, share of clean", "robustness", "relative_accuracy"),
        row("Loss when the box lies off", "robustness", "box_loss", best="low"),
        *(row(f"F1, {display_name(key)}", "per_class", key, "f1") for key in classes),
        row("Milliseconds for one crop", "latency_ms", "per_crop", best=""),
    ]
    return [row for row in rows if any(value is not None for value in row.values)]


def _keys(found: Sequence[dict[str, Any]], name: str) -> list[str]:
    """Return the keys of a part of the reports, each once."""
    return list(dict.fromkeys(key for figures in found for key in figures.get(name) or {}))


def _at(figures: dict[str, Any], path: Sequence[str]) -> float | None:
    value: Any = figures
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, int | float) else None


def _title(key: str) -> str:
    return _TITLES.get(key, display_name(key))


def _pair_rows(comparisons: Sequence[Comparison]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for one in comparisons:
        cells = ("-", "-", "-", "-", "no paired test: other pictures, or no predictions.csv")
        if one.test is not None and one.p_adjusted is not None:
            cells = (
                f"{one.test.only_first:,}",
                f"{one.test.only_second:,}",
                f"{one.test.p_value:.2g}",
                f"{one.p_adjusted:.2g}",
                _verdict(one),
            )
        points = f"{100 * one.differences['accuracy']:+.2f}"
        rows.append((f"{one.first} and {one.second}", points, *cells))
    return rows


def _sentence(comparison: Comparison) -> str:
    names, test = f"{comparison.second} against {comparison.first}", comparison.test
    if test is None or comparison.p_adjusted is None:
        return (
            f"{names}: no paired test, for the pictures or labels are "
            "not the same or a predictions.csv is missing"
        )
    adjusted = ""
    if comparison.p_adjusted != test.p_value:
        adjusted = f" (adjusted {comparison.p_adjusted:.2g})"
    return (
        f"{names}: right where the other is wrong in "
        f"{test.only_second:,} pictures, wrong where it is right in {test.only_first:,}; "
        f"McNemar p = {test.p_value:.2g}{adjusted}, {_verdict(comparison)}"
    )


def _verdict(comparison: Comparison) -> str:
    return "more than chance" if comparison.is_more_than_chance else "within chance"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def _cell(value: float | None, difference: float | None) -> str:
    text = "-" if value is None else f"{value:.4f}"
    return f"{text + (f' ({difference:+.4f})' if difference is not None else ''):>17}"


def _marked(text: str, is_best: bool) -> str:
    return f"<strong>{text}</strong>" if is_best else text


def _plain(text: str) -> str:
    """Keep text from ending a table cell or starting markup."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
