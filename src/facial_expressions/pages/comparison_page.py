"""A comparison of reports as text, as Markdown and as one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from facial_expressions.evaluation.comparison import (
    FIGURES,
    LEVEL,
    Comparison,
    StoredReport,
    compare_reports,
)
from facial_expressions.pages.tables import Table, display_name
from facial_expressions.pages.templating import render

_PAIR_COLUMNS: Final = (
    "Pair", "Difference, points", "Only the first right", "Only the second right", "McNemar p",
    "Adjusted p", "Verdict",
)  # fmt: skip
_LOWER_IS_BETTER: Final = ("nll", "brier", "ece", "box_loss")
_NEITHER_IS_BETTER: Final = ("n", "per_crop")
_TITLES: Final = {"macro_f1": "Macro F1", "weighted_f1": "Weighted F1", "nll": "NLL", "ece": "ECE"}


Cells = list[tuple[str, bool]]
"""A figure of each report as text, and whether it is the best."""


def comparison_text(reports: Sequence[StoredReport]) -> str:
    """Return the figures of reports side by side, then one sentence per pair.

    Args:
        reports: Two or more; differences are to the first.

    Raises:
        ValueError: There are fewer than two.
    """
    comparisons = compare_reports(reports)
    width = max(len(report.name) for report in reports)
    lines = ["  ".join([" " * width, f"{'images':>8}", *(f"{key:>17}" for key in FIGURES)])]
    for report, comparison in zip(reports, [None, *comparisons[: len(reports) - 1]], strict=True):
        differences = comparison.differences if comparison else {}
        cells = [f"{report.name:{width}}", f"{report.figures['n']:8,}"]
        for key in FIGURES:
            value, change = report.figures[key], differences.get(key)
            text = "-" if value is None else f"{value:.4f}"
            cells.append(f"{text if change is None else f'{text} ({change:+.4f})':>17}")
        lines.append("  ".join(cells).rstrip())
    return "\n".join([*lines, "", *map(_sentence, comparisons)]) + "\n"


def comparison_page(reports: Sequence[StoredReport], suffix: str) -> str:
    """Return every figure of reports side by side, the best in bold, then the pairs.

    Args:
        reports: Two or more.
        suffix: ``.md`` for Markdown, ``.html`` for one page that needs no other file.

    Raises:
        ValueError: There are fewer than two.
        MissingExtraError: Jinja2 is not installed.
    """
    pairs = Table(_PAIR_COLUMNS, [_pair_row(one) for one in compare_reports(reports)])
    names, rows = [report.name for report in reports], _figure_rows(reports)
    return render(f"comparison{suffix}", names=names, rows=rows, pairs=pairs, level=LEVEL)


def _figure_rows(reports: Sequence[StoredReport]) -> list[tuple[str, Cells]]:
    """Return the figures that at least one report has."""
    found = [report.figures for report in reports]
    paths = [
        ("Images", "n"),
        *((_TITLES.get(key, display_name(key)), key) for key in FIGURES),
        *(
            (f"Accuracy, {display_name(key)}", "subsets", key, "accuracy")
            for key in _keys(found, "subsets")
        ),
        ("Corrupted accuracy", "robustness", "mean_accuracy"),
        ("Corrupted, share of clean", "robustness", "relative_accuracy"),
        ("Loss when the face box is slightly off", "robustness", "box_loss"),
        *(
            (f"F1, {display_name(key)}", "per_class", key, "f1")
            for key in _keys(found, "per_class")
        ),
        ("Milliseconds for one crop", "latency_ms", "per_crop"),
    ]
    rows = [(title, path, [_at(figures, path) for figures in found]) for title, *path in paths]
    return [
        (title, _marked(values, path[-1]))
        for title, path, values in rows
        if any(value is not None for value in values)
    ]


def _marked(values: Sequence[float | None], key: str) -> Cells:
    """Return values as text, each with whether it is the best; none is where all are alike."""
    known = [value for value in values if value is not None]
    best: float | None = None
    if len(set(known)) > 1 and key not in _NEITHER_IS_BETTER:
        best = min(known) if key in _LOWER_IS_BETTER else max(known)
    return [("-", False) if value is None else (_number(value), value == best) for value in values]


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def _keys(found: Sequence[dict[str, Any]], name: str) -> list[str]:
    """Return the keys of a part of the reports, each once."""
    parts = [figures.get(name) for figures in found]
    return list(dict.fromkeys(key for part in parts if isinstance(part, dict) for key in part))


def _at(figures: dict[str, Any], path: Sequence[str]) -> float | None:
    value: Any = figures
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, int | float) else None


def _pair_row(one: Comparison) -> tuple[str, ...]:
    points = f"{100 * one.differences['accuracy']:+.2f}"
    cells = ("-", "-", "-", "-", "no paired test: other images, or no predictions.csv")
    if one.test is not None and one.p_adjusted is not None:
        cells = (
            f"{one.test.only_first:,}",
            f"{one.test.only_second:,}",
            f"{one.test.p_value:.2g}",
            f"{one.p_adjusted:.2g}",
            _verdict(one),
        )
    return (f"{one.first} and {one.second}", points, *cells)


def _sentence(comparison: Comparison) -> str:
    names, test = f"{comparison.second} against {comparison.first}", comparison.test
    if test is None or comparison.p_adjusted is None:
        return (
            f"{names}: no paired test, for the images or labels are "
            "not the same or a predictions.csv is missing"
        )
    adjusted = ""
    if comparison.p_adjusted != test.p_value:
        adjusted = f" (adjusted {comparison.p_adjusted:.2g})"
    return (
        f"{names}: right where the other is wrong in "
        f"{test.only_second:,} images, wrong where it is right in {test.only_first:,}; "
        f"McNemar p = {test.p_value:.2g}{adjusted}, {_verdict(comparison)}"
    )


def _verdict(comparison: Comparison) -> str:
    return "more than chance" if comparison.is_more_than_chance else "within chance"
