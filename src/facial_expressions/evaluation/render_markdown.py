"""Renders a report as Markdown, for ``report.md`` and for pasting into a model card."""

from __future__ import annotations

from collections.abc import Sequence

from facial_expressions.evaluation.report import Report
from facial_expressions.evaluation.tables import (
    CLASSIFICATION_COLUMNS,
    ROBUSTNESS_COLUMNS,
    ROBUSTNESS_TEXT,
    SUBSET_COLUMNS,
    SUBSET_MEANINGS,
    classification_rows,
    confusion_rows,
    display_name,
    figure_rows,
    robustness_rows,
    setting_rows,
    subset_rows,
    title_of,
)

__all__ = ["render_markdown"]


def render_markdown(report: Report, *, plots: Sequence[tuple[str, str]] = ()) -> str:
    """Return the report as Markdown.

    Args:
        report: The report.
        plots: File name and description of each picture that lies beside the file.
    """
    blocks = [
        "# Evaluation report",
        f"{_escaped(title_of(report))}.",
        _table(("Figure", "Value", "Meaning"), figure_rows(report), "lrl"),
        "## Classification report",
        _table(CLASSIFICATION_COLUMNS, _bold_averages(classification_rows(report)), "lrrrr"),
        "## Confusion matrix",
        "Rows are the truth, columns the answer.",
        _matrix(report, normalized=False),
        "As a share of each true class:",
        _matrix(report, normalized=True),
        *_subsets(report),
        *_robustness(report),
        *(f"![{alt}]({name})" for name, alt in plots),
        "## How it was made",
        _table(("Setting", "Value"), setting_rows(report), "ll"),
        *_notes(report),
        *_command(report),
    ]
    return "\n\n".join(blocks) + "\n"


def _subsets(report: Report) -> list[str]:
    if not report.subsets:
        return []
    meanings = [
        f"- {display_name(name)}: {SUBSET_MEANINGS[name]}"
        for name in report.subsets
        if name in SUBSET_MEANINGS
    ]
    return ["## Subsets", _table(SUBSET_COLUMNS, subset_rows(report), "lrrrr"), "\n".join(meanings)]


def _robustness(report: Report) -> list[str]:
    if report.robustness is None:
        return []
    table = _table(ROBUSTNESS_COLUMNS, robustness_rows(report), "ll" + "r" * 6)
    return ["## Robustness", ROBUSTNESS_TEXT, table]


def _notes(report: Report) -> list[str]:
    return ["\n".join(f"- {_escaped(note)}" for note in report.notes)] if report.notes else []


def _command(report: Report) -> list[str]:
    command = report.provenance.command
    return [f"```bash\n{command}\n```"] if command else []


def _matrix(report: Report, *, normalized: bool) -> str:
    header = ("Truth", *map(display_name, report.labels))
    return _table(
        header, confusion_rows(report, normalized=normalized), "l" + "r" * len(report.labels)
    )


def _bold_averages(rows: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    return [*rows[:-3], *((f"**{row[0]}**", *row[1:]) for row in rows[-3:])]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], sides: str) -> str:
    rule = ["---:" if side == "r" else "---" for side in sides]
    lines = [[*map(_escaped, header)], rule, *([*map(_escaped, row)] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escaped(text: str) -> str:
    """Keep text from ending a table cell or starting markup."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
