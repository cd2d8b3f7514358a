"""Tables of a report as rows of text: what the text, Markdown and HTML renderers share.

The classification report has the seed's layout: Class, Precision, Recall, F1-Score and Support,
then the rows Accuracy, Macro Avg and Weighted Avg.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from facial_expressions.evaluation.corruptions import SEVERITIES
from facial_expressions.evaluation.figures import Headline, ProbabilityFigures
from facial_expressions.evaluation.metrics import Averages
from facial_expressions.evaluation.report import Report

__all__ = [
    "CLASSIFICATION_COLUMNS",
    "ROBUSTNESS_COLUMNS",
    "ROBUSTNESS_TEXT",
    "SUBSET_COLUMNS",
    "SUBSET_MEANINGS",
    "TABLE_DECIMALS",
    "classification_rows",
    "confusion_rows",
    "display_name",
    "figure_rows",
    "interval_text",
    "robustness_rows",
    "setting_rows",
    "subset_rows",
    "title_of",
]

Row = tuple[str, ...]

CLASSIFICATION_COLUMNS: Final[Row] = ("Class", "Precision", "Recall", "F1-Score", "Support")
SUBSET_COLUMNS: Final[Row] = ("Subset", "Pictures", "Accuracy", "95 % interval", "Macro F1")
SUBSET_MEANINGS: Final = {
    "public": "PublicTest of the competition",
    "private": "PrivateTest of the competition",
    "no_train_duplicate": "without a byte-identical copy in the training pictures",
}
ROBUSTNESS_COLUMNS: Final[Row] = ("Corruption", "Amount", *map(str, SEVERITIES), "Mean")
ROBUSTNESS_TEXT: Final = (
    "Accuracy on corrupted pictures by severity, 1 mild to 5 strong; the first four imitate a "
    "detector's box that lies off."
)
TABLE_DECIMALS: Final = 2
"""As in the seed's report; ``report.json`` has six."""


def title_of(report: Report) -> str:
    """Return one line, as ``mine on fer2013, protocol kaggle, split test, 9 pictures``."""
    origin = report.provenance
    parts = [f"{origin.model or 'classifier'} on {origin.dataset or 'pictures'}"]
    parts += [f"protocol {origin.protocol}"] if origin.protocol else []
    parts += [f"split {report.split}"] if report.split else []
    return ", ".join([*parts, f"{report.n:,} pictures"])


def display_name(name: str) -> str:
    """Return a label or subset name for people, as ``No train duplicate``."""
    return name.replace("_", " ").capitalize()


def interval_text(headline: Headline) -> str:
    """Return the 95 % interval of an accuracy: ``0.6400 to 0.6620``."""
    low, high = headline.accuracy_ci95
    return f"{low:.4f} to {high:.4f}"


def classification_rows(report: Report) -> list[Row]:
    """Return one row per class, then Accuracy, Macro Avg and Weighted Avg."""
    total = f"{report.n:,}"
    rows = [
        (display_name(label), *_decimals((s.precision, s.recall, s.f1)), f"{s.support:,}")
        for label, s in zip(report.labels, report.scores.per_class, strict=True)
    ]
    rows.append(("Accuracy", "", "", *_decimals((report.accuracy,)), total))
    for name, average in (
        ("Macro Avg", report.scores.macro),
        ("Weighted Avg", report.scores.weighted),
    ):
        rows.append((name, *_average_cells(average), total))
    return rows


def figure_rows(report: Report) -> list[Row]:
    """Return the figures of the whole set: name, value and how to read it."""
    rows: list[Row] = [
        ("Accuracy", f"{report.accuracy:.4f}", f"95 % interval {interval_text(report.headline)}"),
        ("Balanced accuracy", f"{report.balanced_accuracy:.4f}", "mean recall of the classes"),
        ("Macro F1", f"{report.macro_f1:.4f}", "mean F1 of the classes"),
        ("Weighted F1", f"{report.scores.weighted.f1:.4f}", "F1 weighted by support"),
    ]
    if report.probabilities is not None:
        rows += _probability_rows(report.probabilities)
    if report.robustness is not None:
        robustness = report.robustness
        rows += [
            (
                "Corrupted accuracy",
                f"{robustness.mean_accuracy:.4f}",
                f"mean of the corruption table; {robustness.relative_accuracy:.3f} of the clean",
            ),
            ("Box jitter", f"{0 - robustness.box_loss:+.4f}", "mean change when the box lies off"),
        ]
    if report.n_unanswered:
        rows.append(("No face found", f"{report.n_unanswered:,}", "photos; they count as wrong"))
    return rows


def _probability_rows(figures: ProbabilityFigures) -> list[Row]:
    """Return the figures of the probabilities, each with what it was before calibration."""
    raw, certain = figures.uncalibrated, figures.uncertain
    before = ("", "", "")
    if raw is not None:
        before = (
            f"; {raw.ece:.4f} before the file's own calibration",
            f"; {raw.nll:.4f} before",
            f"; {raw.brier:.4f} before",
        )
    rows: list[Row] = [
        ("ECE", f"{figures.ece:.4f}", f"expected calibration error, 15 bins{before[0]}"),
        ("NLL", f"{figures.nll:.4f}", f"negative log-likelihood, nats{before[1]}"),
        ("Brier", f"{figures.brier:.4f}", f"summed over classes, 0 to 2{before[2]}"),
    ]
    if certain.threshold > 0:
        rows.append(
            (
                "Certain answers",
                f"{certain.coverage:.4f}",
                f"share with confidence of {certain.threshold:.3g} or more; "
                f"{certain.accuracy:.4f} of them right",
            )
        )
    return rows


def robustness_rows(report: Report) -> list[Row]:
    """Return one row per corruption: name, amounts, accuracy at each severity and their mean."""
    kinds = report.robustness.kinds if report.robustness else ()
    return [
        (
            display_name(kind.name),
            f"{kind.levels[0]:g} to {kind.levels[-1]:g} {kind.unit}",
            *(f"{accuracy:.3f}" for accuracy in kind.accuracies),
            f"{kind.mean:.3f}",
        )
        for kind in kinds
    ]


def subset_rows(report: Report) -> list[Row]:
    """Return one row per subset."""
    return [
        (
            display_name(name),
            f"{subset.n:,}",
            f"{subset.accuracy:.4f}",
            interval_text(subset),
            f"{subset.macro_f1:.4f}",
        )
        for name, subset in report.subsets.items()
    ]


def confusion_rows(report: Report, *, normalized: bool = False) -> list[Row]:
    """Return one row per true class: its name, then one cell per answer.

    Args:
        report: The report.
        normalized: Whether cells are shares of the class's pictures instead of counts.
    """
    rows = []
    for label, counts, scores in zip(
        report.labels, report.confusion, report.scores.per_class, strict=True
    ):
        support = max(scores.support, 1)
        cells = (f"{c / support:.2f}" for c in counts) if normalized else (f"{c:,}" for c in counts)
        rows.append((display_name(label), *cells))
    return rows


def setting_rows(report: Report) -> list[Row]:
    """Return what made the report, name and value; unknown things are left out."""
    origin, latency = report.provenance, report.latency
    rows: list[Row] = [
        ("Model", origin.model),
        ("Model file, SHA-256", origin.model_digest),
        ("Data set", origin.dataset),
        ("Data set, SHA-256", origin.dataset_digest),
        ("Protocol", origin.protocol),
        ("Split", report.split),
        ("Split, SHA-256", report.split_digest),
        ("Label set", f"{report.labels.name}, {len(report.labels)} classes"),
        ("Views per picture", str(report.n_views)),
        ("Seed", str(report.seed)),
        ("Version", origin.version),
        ("Commit", origin.commit),
    ]
    if latency is not None:
        rows += [
            ("One crop", f"{latency.per_crop:.2f} ms"),
            (f"Batch of {latency.batch_size}", f"{latency.per_batch:.1f} ms"),
        ]
    rows += [(display_name(name), value) for name, value in report.run.items()]
    return [row for row in rows if row[1]]


def _average_cells(average: Averages) -> Sequence[str]:
    return _decimals((average.precision, average.recall, average.f1))


def _decimals(values: Sequence[float]) -> Row:
    return tuple(f"{value:.{TABLE_DECIMALS}f}" for value in values)
