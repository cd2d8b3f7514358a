"""A report as plain text for the terminal."""

from __future__ import annotations

from facial_expressions.evaluation.report import Report
from facial_expressions.pages.tables import (
    N_AVERAGES,
    Table,
    classification_table,
    confusion_table,
    figure_table,
    people_table,
    people_title,
    robustness_table,
    subset_table,
    title_of,
)


def report_text(report: Report) -> str:
    """Return figures, classification report, confusion matrix, subsets and corruption table.

    Returns:
        Lines of at most about 100 columns, ending in a line feed.
    """
    confusion = confusion_table(report)
    head, *classes = _lines(classification_table(report))
    rule = "-" * max(map(len, (head, *classes)))
    classes[-N_AVERAGES:-N_AVERAGES] = [rule]
    blocks = [
        [title_of(report)],
        _lines(figure_table(report))[1:],
        [head, rule, *classes],
        [
            "Confusion matrix: rows are the truth, columns the answer",
            *_lines(Table(("", *confusion.columns[1:]), confusion.rows)),
        ],
        [people_title(report), *_lines(people_table(report))] if report.votes else [],
        _lines(subset_table(report)) if report.subsets else [],
    ]
    if report.robustness is not None:
        table = _lines(robustness_table(report))
        blocks.append(["Accuracy on corrupted images, by severity", *table])
    if (latency := report.latency) is not None:
        blocks.append(
            [
                f"Time of the classifier: {latency.per_crop:.2f} ms for one crop, "
                f"{latency.per_batch:.1f} ms for {latency.batch_size}"
            ]
        )
    blocks.append([f"Note: {note}" for note in report.notes])
    return "\n\n".join("\n".join(lines) for lines in blocks if lines) + "\n"


def _lines(table: Table) -> list[str]:
    """Line up the columns; the first line holds their names."""
    rows = [table.columns, *table.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = ["<" if side == "l" else ">" for side in table.sides.ljust(len(widths), "r")]
    return [
        "  ".join(
            f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
