"""Tables of a report for the model card: calibration, coverage and robustness, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

__all__ = ["calibration_lines", "coverage_lines", "markdown_table", "percent", "robustness_lines"]

_COVERAGES: Final = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
_CALIBRATION: Final = (
    ("expected calibration error, 15 bins", "ece"),
    ("negative log-likelihood", "nll"),
    ("Brier score", "brier"),
)


def calibration_lines(report: dict[str, Any]) -> list[str]:
    """Return the figures of the probabilities, before and after the file's own calibration.

    Args:
        report: What ``evaluate`` wrote; without the key ``uncalibrated`` there is no "before".
    """
    raw = report.get("uncalibrated")
    if not raw:
        alone = [(title, f"{report[key]:.4f}") for title, key in _CALIBRATION]
        return markdown_table(("calibration", "value"), alone)
    rows = [(title, f"{raw[key]:.4f}", f"{report[key]:.4f}") for title, key in _CALIBRATION]
    return markdown_table(("calibration", "before", "after"), rows)


def coverage_lines(report: dict[str, Any]) -> list[str]:
    """Return how accurate the surest answers are, and the model's own threshold in bold.

    Args:
        report: What ``evaluate`` wrote.
    """
    points = [
        next(point for point in report["coverage"] if point["coverage"] >= share - 1e-9)
        for share in _COVERAGES
    ]
    rows = [
        (f"{100 * share:.0f} %", f"{point['threshold']:.3f}", percent(point["accuracy"]))
        for share, point in zip(_COVERAGES, points, strict=True)
    ]
    own = report["uncertain"]
    if own["threshold"] > 0:
        kept = f"**{100 * own['coverage']:.1f} %, not `uncertain`**"
        rows.append((kept, f"{own['threshold']:.3f}", percent(own["accuracy"])))
    return markdown_table(("answers kept, the surest", "confidence from", "accuracy"), rows)


def robustness_lines(report: dict[str, Any]) -> list[str]:
    """Return the corruption table with its summary; nothing when it was not measured.

    Args:
        report: What ``evaluate`` wrote.
    """
    found = report.get("robustness")
    if not found:
        return []
    rows = [
        (
            name.replace("_", " "),
            f"{kind['levels'][0]:g} to {kind['levels'][-1]:g} {kind['unit']}",
            *(f"{accuracy:.3f}" for accuracy in kind["accuracy"]),
            f"{kind['mean']:.3f}",
        )
        for name, kind in found["kinds"].items()
    ]
    header = ("corruption", "amount", *map(str, found["severities"]), "mean")
    text = (
        "Accuracy under [corruptions](how-to/evaluate.md#imperfect-crops) of growing severity. "
        f"Clean {found['clean_accuracy']:.3f}, mean of the table {found['mean_accuracy']:.3f}: "
        f"{found['relative_accuracy']:.3f} of the clean. A box that lies off costs "
        f"{100 * found['box_loss']:.2f} points on average."
    )
    return [text, "", *markdown_table(header, rows, left=2)]


def percent(fraction: float) -> str:
    """Return a share in per cent with two decimals."""
    return f"{100 * fraction:.2f} %"


def markdown_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1
) -> list[str]:
    """Return the lines of a Markdown table.

    Args:
        header: Texts of the first row.
        rows: Texts of the others.
        left: Columns that are aligned to the left; the others are to the right.
    """
    rule = ["---"] * left + ["---:"] * (len(header) - left)
    return ["| " + " | ".join(cells) + " |" for cells in (header, rule, *rows)]
