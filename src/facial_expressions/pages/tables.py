"""Tables of a report as rows of text: what its forms as text, Markdown and page share.

The classification report has the original layout: Class, Precision, Recall, F1-Score and Support,
then the rows Accuracy, Macro Avg and Weighted Avg.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from facial_expressions.evaluation.figures import Headline, ProbabilityFigures
from facial_expressions.evaluation.report import Report
from facial_expressions.evaluation.robustness import SEVERITIES

N_AVERAGES: Final = 3
"""Rows of averages at the end of the classification report."""

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under the names of their columns.

    Attributes:
        columns: Names.
        rows: As many cells each as there are columns; the first says what the row is of.
        sides: For the first columns ``l`` (left) or ``r`` (right); the others are right.
    """

    columns: Row
    rows: Sequence[Row]
    sides: str = "l"


def lines(table: Table) -> list[str]:
    """Line up the columns of a table; the first line holds their names."""
    rows = [table.columns, *table.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = ["<" if side == "l" else ">" for side in table.sides.ljust(len(widths), "r")]
    cells = [
        [f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)]
        for row in rows
    ]
    return ["  ".join(row).rstrip() for row in cells]


def title_of(report: Report) -> str:
    """Return one line, as ``mine on fer2013, protocol kaggle, split test, 9 images``."""
    origin = report.provenance
    parts = [f"{origin.model or 'classifier'} on {origin.dataset or 'images'}"]
    parts += [f"protocol {origin.protocol}"] if origin.protocol else []
    parts += [f"split {report.split}"] if report.split else []
    return ", ".join([*parts, f"{report.headline.n:,} images"])


def display_name(name: str) -> str:
    """Return a label or subset name for people, as ``No train duplicate``."""
    return name.replace("_", " ").capitalize()


def interval_text(headline: Headline) -> str:
    """Return the 95% interval of an accuracy: ``0.6400 to 0.6620``."""
    low, high = headline.accuracy_ci95
    return f"{low:.4f} to {high:.4f}"


def classification_table(report: Report) -> Table:
    """Return one row per class, then Accuracy, Macro Avg and Weighted Avg, with two decimals."""
    names = [*map(display_name, report.labels), "Macro Avg", "Weighted Avg"]
    scores = (*report.scores.per_class, report.scores.macro, report.scores.weighted)
    rows = [
        (name, f"{s.precision:.2f}", f"{s.recall:.2f}", f"{s.f1:.2f}", f"{s.support:,}")
        for name, s in zip(names, scores, strict=True)
    ]
    rows.insert(
        len(report.labels), ("Accuracy", "", "", f"{report.accuracy:.2f}", f"{report.headline.n:,}")
    )
    return Table(("Class", "Precision", "Recall", "F1-Score", "Support"), rows)


def figure_table(report: Report) -> Table:
    """Return the figures of the whole set: name, value and how to read it."""
    balanced, weighted = report.scores.balanced_accuracy, report.scores.weighted.f1
    rows: list[Row] = [
        ("Accuracy", _four(report.accuracy), f"95% interval {interval_text(report.headline)}"),
        ("Balanced accuracy", _four(balanced), "mean recall of the classes"),
        ("Macro F1", _four(report.headline.macro_f1), "mean F1 of the classes"),
        ("Weighted F1", _four(weighted), "F1 weighted by support"),
    ]
    if report.probabilities is not None:
        rows += _probability_rows(report.probabilities)
    if (robustness := report.robustness) is not None:
        share = f"mean of the corruption table; {robustness.relative_accuracy:.3f} of the clean"
        rows += [
            ("Corrupted accuracy", _four(robustness.mean_accuracy), share),
            ("Box jitter", f"{0 - robustness.box_loss:+.4f}", "mean change, face box slightly off"),
        ]
    if report.n_unanswered:
        rows.append(("No face found", f"{report.n_unanswered:,}", "photos; they count as wrong"))
    return Table(("Figure", "Value", "Meaning"), rows, "lrl")


def _probability_rows(figures: ProbabilityFigures) -> list[Row]:
    """Return the figures of the probabilities, each with what it was before calibration."""
    raw, certain = figures.uncalibrated, figures.uncertain
    before, own = [""] * 3, ""
    if raw is not None:
        before = [f"; {_four(value)} before" for value in (raw.ece, raw.nll, raw.brier)]
        own = " the file's own calibration"
    rows: list[Row] = [
        ("ECE", _four(figures.ece), f"expected calibration error, 15 bins{before[0]}{own}"),
        ("NLL", _four(figures.nll), f"negative log-likelihood, nats{before[1]}"),
        ("Brier", _four(figures.brier), f"summed over classes, 0 to 2{before[2]}"),
    ]
    if certain.threshold > 0:
        reached = f"share with confidence of {certain.threshold:.3g} or more"
        right = f"{_four(certain.accuracy)} of them right"
        rows.append(("Certain answers", _four(certain.coverage), f"{reached}; {right}"))
    return rows


def people_title(report: Report) -> str:
    """Return the heading of ``people_table``, with the head that answered where it is known."""
    head = report.provenance.head
    return "What people see" + (f", answered by the head {head!r}" if head else "")


def people_table(report: Report) -> Table:
    """Return the same answers against majority, votes and FER-2013's label, and the criterion.

    A report that was not measured with votes has no rows.
    """
    columns = ("Truth", "Images", "Accuracy", "Balanced", "NLL", "Brier", "ECE", "KL")
    votes, labels, figures = report.votes, report.against_labels, report.probabilities
    if votes is None or labels is None or figures is None:
        return Table(columns, ())
    errors, vote_errors = ((one.nll, one.brier, one.ece) for one in (figures, votes))
    balanced = report.scores.balanced_accuracy
    lines = (
        ("Strict majority", f"{report.headline.n:,}", report.accuracy, balanced, *errors),
        ("Shares of votes", f"{votes.n:,}", None, None, *vote_errors, votes.kl),
        ("FER-2013's label", f"{labels.n:,}", labels.accuracy, labels.balanced_accuracy),
        ("Mean of the four", "", report.people_criterion),
    )
    rows = []
    for name, n, *values in lines:
        cells = ["" if value is None else _four(value) for value in values]
        rows.append((name, n, *cells, *[""] * (6 - len(cells))))
    return Table(columns, rows)


def robustness_table(report: Report) -> Table:
    """Return one row per corruption: name, amounts, accuracy at each severity and their mean."""
    rows = [
        (
            display_name(kind.name),
            f"{kind.levels[0]:g} to {kind.levels[-1]:g}" + f" {kind.unit}".replace(" %", "%", 1),
            *(f"{share:.3f}" for share in (*shares, sum(shares) / len(shares))),
        )
        for kind, shares in (report.robustness.accuracies if report.robustness else {}).items()
    ]
    return Table(("Corruption", "Amount", *map(str, SEVERITIES), "Mean"), rows, "ll")


def subset_table(report: Report) -> Table:
    """Return one row per subset."""
    rows = [
        (display_name(name), f"{s.n:,}", _four(s.accuracy), interval_text(s), _four(s.macro_f1))
        for name, s in report.subsets.items()
    ]
    return Table(("Subset", "Images", "Accuracy", "95% interval", "Macro F1"), rows)


def confusion_table(report: Report, *, corner: str = "Truth", is_normalized: bool = False) -> Table:
    """Return one row per true class: its name, then one cell per answer.

    Args:
        report: The report.
        corner: Name of the first column.
        is_normalized: Whether cells are shares of the class's images instead of counts.
    """
    rows = []
    for i, counts in enumerate(report.scores.confusion):
        support = max(report.scores.per_class[i].support, 1)
        cells = [f"{c / support:.2f}" if is_normalized else f"{c:,}" for c in counts]
        rows.append((display_name(report.labels.names[i]), *cells))
    return Table((corner, *map(display_name, report.labels)), rows)


def setting_table(report: Report) -> Table:
    """Return what made the report, name and value; unknown things are left out."""
    origin, latency = report.provenance, report.latency
    rows = {
        "Model": origin.model,
        "Model file, SHA-256": origin.model_digest,
        "Head": origin.head,
        "Data set": origin.dataset,
        "Data set, SHA-256": origin.dataset_digest,
        "Protocol": origin.protocol,
        "Split": report.split,
        "Split, SHA-256": report.split_digest,
        "Label set": f"{report.labels.name}, {len(report.labels)} classes",
        "Views per image": str(report.n_views),
        "Seed": str(report.seed),
        "Version": origin.version,
        "Commit": origin.commit,
    }
    if latency is not None:
        rows["One crop"] = f"{latency.per_crop:.2f} ms"
        rows[f"Batch of {latency.batch_size}"] = f"{latency.per_batch:.1f} ms"
    rows |= {display_name(name): value for name, value in report.run.items()}
    return Table(("Setting", "Value"), [row for row in rows.items() if row[1]], "ll")


def _four(value: float) -> str:
    return f"{value:.4f}"
