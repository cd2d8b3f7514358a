"""Compares reports: figures side by side, and whether a difference is more than chance.

Two reports on the same pictures are compared picture by picture through their ``predictions.csv``,
by the exact McNemar test: "better" needs a small p value, not only a larger number.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from facial_expressions.errors import DatasetError
from facial_expressions.evaluation.metrics import McNemarResult, mcnemar_test
from facial_expressions.evaluation.predictions import Predictions, read_predictions

__all__ = ["Comparison", "StoredReport", "compare_reports", "read_report", "render_comparison"]

FIGURES: Final = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "nll", "brier", "ece")


@dataclass(frozen=True, slots=True, eq=False)
class StoredReport:
    """A report as ``evaluate --out`` left it.

    Attributes:
        name: The model's name, with the folder's when that says more.
        figures: Content of ``report.json``.
        predictions: Content of ``predictions.csv``; None when the file is not there.
    """

    name: str
    figures: dict[str, Any]
    predictions: Predictions | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One report against the first.

    Attributes:
        name: Name of the report.
        differences: Its figures less those of the first.
        test: Paired test on the same pictures; None when the pictures differ or predictions are
            missing.
    """

    name: str
    differences: dict[str, float]
    test: McNemarResult | None


def read_report(path: Path) -> StoredReport:
    """Read a report from its folder or its ``report.json``.

    Raises:
        DatasetError: There is no report, or it is damaged.
    """
    file = path / "report.json" if path.is_dir() else path
    try:
        figures = json.loads(file.read_text(encoding="utf-8"))
        name = f"{figures['model']} ({file.parent.name})"
        missing = [key for key in (*FIGURES, "n", "split_digest") if key not in figures]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{path} holds no report; received: {error}; give a folder that 'evaluate --out' wrote"
        ) from error
    if missing:
        raise DatasetError(
            f"{path} is no report of this version: it lacks {missing}; received the keys "
            f"{sorted(figures)[:8]}; run 'facial-expressions evaluate' again"
        )
    predictions = file.parent / "predictions.csv"
    return StoredReport(
        name, figures, read_predictions(predictions) if predictions.exists() else None
    )


def compare_reports(reports: Sequence[StoredReport]) -> list[Comparison]:
    """Compare every report after the first with the first.

    Args:
        reports: Two or more.

    Raises:
        ValueError: There are fewer than two.
    """
    if len(reports) < 2:
        raise ValueError(f"a comparison needs two reports or more; received {len(reports)}")
    first, *others = reports
    return [
        Comparison(
            other.name,
            {
                key: other.figures[key] - first.figures[key]
                for key in FIGURES
                if other.figures[key] is not None and first.figures[key] is not None
            },
            _paired_test(first.predictions, other.predictions),
        )
        for other in others
    ]


def render_comparison(reports: Sequence[StoredReport]) -> str:
    """Return the figures of reports side by side, then one sentence per comparison.

    Args:
        reports: Two or more; all are compared with the first.

    Raises:
        ValueError: There are fewer than two.
    """
    comparisons = compare_reports(reports)
    width = max(len(report.name) for report in reports)
    header = "  ".join([" " * width, f"{'pictures':>8}", *(f"{key:>17}" for key in FIGURES)])
    lines = [header]
    for report, comparison in zip(reports, [None, *comparisons], strict=True):
        differences = comparison.differences if comparison else {}
        cells = (_cell(report.figures[key], differences.get(key)) for key in FIGURES)
        lines.append(
            "  ".join([f"{report.name:{width}}", f"{report.figures['n']:8,}", *cells]).rstrip()
        )
    sentences = [_sentence(reports[0].name, comparison) for comparison in comparisons]
    return "\n".join([*lines, "", *sentences]) + "\n"


def _paired_test(first: Predictions | None, second: Predictions | None) -> McNemarResult | None:
    """Test on the pictures both were asked, matched by name; None unless these are the same."""
    if first is None or second is None:
        return None
    rows = {source: i for i, source in enumerate(first.sources)}
    if len(rows) != len(first) or set(second.sources) != set(rows):
        return None
    order = [rows[source] for source in second.sources]
    same_truth = all(
        first.labels.names[first.truth[i]] == second.labels.names[truth]
        for i, truth in zip(order, second.truth, strict=True)
    )
    return mcnemar_test(first.right[order], second.right) if same_truth else None


def _cell(value: float | None, difference: float | None) -> str:
    text = "-" if value is None else f"{value:.4f}"
    return f"{text + (f' ({difference:+.4f})' if difference is not None else ''):>17}"


def _sentence(first: str, comparison: Comparison) -> str:
    test = comparison.test
    if test is None:
        return (
            f"{comparison.name} against {first}: no paired test, for the pictures or labels are "
            "not the same or a predictions.csv is missing"
        )
    verdict = "more than chance" if test.p_value < 0.05 else "within chance"
    return (
        f"{comparison.name} against {first}: right where the other is wrong in "
        f"{test.only_second:,} pictures, wrong where it is right in {test.only_first:,}; "
        f"McNemar p = {test.p_value:.2g}, {verdict}"
    )
