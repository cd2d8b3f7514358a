"""Compares reports: figures side by side, and whether a difference is more than chance.

Every two reports on the same images are compared image by image through their
``predictions.csv``, by the exact McNemar test: "better" needs a small p value, not only a larger
number. With more than two reports there are several tests, and p values are adjusted for that by
Holm's method.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np

from facial_expressions.errors import DatasetError, first_line, parsed
from facial_expressions.evaluation.metrics import McNemarResult, holm_adjusted, mcnemar_test
from facial_expressions.evaluation.predictions import Predictions, read_predictions

FIGURES: Final = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "nll", "brier", "ece")
"""Figures that every report has."""

_KINDS: Final[dict[str, Any]] = dict.fromkeys(FIGURES, float | int | None) | {
    "accuracy": float | int, "n": int, "split_digest": str
}  # fmt: skip

_NOT_TESTED: Final = (
    "no paired test, for the images or labels are not the same or a predictions.csv is missing"
)

LEVEL: Final = 0.05
"""An adjusted p value below this counts as more than chance."""


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


def read_report(path: Path) -> StoredReport:
    """Read a report from its folder or its ``report.json``.

    Raises:
        DatasetError: There is no report, or it is damaged.
    """
    file = path / "report.json" if path.is_dir() else path
    try:
        figures = parsed(json.loads, file.read_text(encoding="utf-8"))
        name = f"{figures['model']} ({file.parent.name})"
        missing = [
            key for key, kind in _KINDS.items() if not isinstance(figures.get(key, _KINDS), kind)
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{path}: not a report: {first_line(error)}. Give a folder written by 'evaluate --out'"
        ) from error
    if missing:
        raise DatasetError(
            f"{path}: not a report of this version: it lacks {missing}. Run 'facial-expressions "
            "evaluate' again"
        )
    predictions = file.parent / "predictions.csv"
    return StoredReport(
        name, figures, read_predictions(predictions) if predictions.exists() else None
    )


def comparison_text(reports: Sequence[StoredReport]) -> str:
    """Return the figures of reports side by side, then one sentence per pair.

    Differences are to the first one.
    """
    width = max(len(report.name) for report in reports)
    lines = ["  ".join([" " * width, f"{'images':>8}", *(f"{key:>17}" for key in FIGURES)])]
    for report in reports:
        cells = [f"{report.name:{width}}", f"{report.figures['n']:8,}"]
        for key in FIGURES:
            value, other = report.figures[key], reports[0].figures[key]
            text = "-" if value is None else f"{value:.4f}"
            if report is not reports[0] and value is not None and other is not None:
                text += f" ({value - other:+.4f})"
            cells.append(f"{text:>17}")
        lines.append("  ".join(cells).rstrip())
    pairs = list(combinations(reports, 2))
    tests = [paired_test(*pair) for pair in pairs]
    adjusted = iter(holm_adjusted([test.p_value for test in tests if test is not None]))
    lines.append("")
    for (one, other), test in zip(pairs, tests, strict=True):
        said = _NOT_TESTED if test is None else _sentence(test, next(adjusted))
        lines.append(f"{other.name} against {one.name}: {said}")
    return "\n".join(lines) + "\n"


def _sentence(test: McNemarResult, p: float) -> str:
    adjusted = "" if p == test.p_value else f" (adjusted {p:.2g})"
    verdict = "more than chance" if p < LEVEL else "within chance"
    return (
        f"right where the other is wrong in {test.only_second:,} images, wrong where it is right "
        f"in {test.only_first:,}; McNemar p = {test.p_value:.2g}{adjusted}, {verdict}"
    )


def paired_test(report: StoredReport, other: StoredReport) -> McNemarResult | None:
    """Test on the images both were asked, matched by name; None unless these are the same."""
    first, second = report.predictions, other.predictions
    if first is None or second is None:
        return None
    rows = {source: i for i, source in enumerate(first.sources)}
    if len(rows) != len(first) or set(second.sources) != set(rows):
        return None
    order = [rows[source] for source in second.sources]
    truth, other_truth = (np.take(one.labels.names, one.truth) for one in (first, second))
    same_truth = np.array_equal(truth[order], other_truth)
    return mcnemar_test(first.right[order], second.right) if same_truth else None
