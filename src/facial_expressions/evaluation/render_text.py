"""Renders a report as plain text for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from facial_expressions.evaluation.report import Report
from facial_expressions.evaluation.tables import (
    CLASSIFICATION_COLUMNS,
    ROBUSTNESS_COLUMNS,
    SUBSET_COLUMNS,
    classification_rows,
    confusion_rows,
    display_name,
    figure_rows,
    robustness_rows,
    subset_rows,
    title_of,
)

__all__ = ["render_text"]


def render_text(report: Report) -> str:
    """Return figures, classification report, confusion matrix, subsets and corruption table.

    Returns:
        Lines of at most about 100 columns, ending in a line feed.
    """
    blocks = [
        title_of(report),
        _table(figure_rows(report), aligned="<><"),
        _classification(report),
        "Confusion matrix: rows are the truth, columns the answer\n"
        + _table([("", *map(display_name, report.labels)), *confusion_rows(report)]),
    ]
    if report.subsets:
        blocks.append(_table([SUBSET_COLUMNS, *subset_rows(report)]))
    if report.robustness is not None:
        rows = [ROBUSTNESS_COLUMNS, *robustness_rows(report)]
        blocks.append("Accuracy on corrupted pictures, by severity\n" + _table(rows, aligned="<<"))
    if report.latency is not None:
        latency = report.latency
        blocks.append(
            f"Time of the classifier: {latency.per_crop:.2f} ms for one crop, "
            f"{latency.per_batch:.1f} ms for {latency.batch_size}"
        )
    if report.notes:
        blocks.append("\n".join(f"Note: {note}" for note in report.notes))
    return "\n\n".join(blocks) + "\n"


def _classification(report: Report) -> str:
    """Return the classification report with a rule above its three last rows."""
    lines = _table([CLASSIFICATION_COLUMNS, *classification_rows(report)]).splitlines()
    rule = "-" * max(map(len, lines))
    return "\n".join([lines[0], rule, *lines[1:-3], rule, *lines[-3:]])


def _table(rows: Sequence[Sequence[str]], *, aligned: str = "<") -> str:
    """Line up columns: the given alignments first, then right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = aligned.ljust(len(widths), ">")
    return "\n".join(
        "  ".join(
            f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)
        ).rstrip()
        for row in rows
    )
