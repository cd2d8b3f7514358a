"""Writes a report into a folder: JSON, Markdown, HTML, pictures and predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from facial_expressions.evaluation.plots import (
    plot_confusion_matrix,
    plot_reliability,
    plot_robustness,
    plot_samples,
)
from facial_expressions.evaluation.predictions import write_predictions
from facial_expressions.evaluation.render_html import render_html
from facial_expressions.evaluation.render_json import render_json
from facial_expressions.evaluation.render_markdown import render_markdown
from facial_expressions.evaluation.report import Report
from facial_expressions.evaluation.samples import Sample

__all__ = ["write_report"]

_CONFUSION: Final = (
    "confusion_matrix.png",
    "Confusion matrix: counts and shares of each true class",
)
_RELIABILITY: Final = ("reliability.png", "Accuracy against confidence and against coverage")
_ROBUSTNESS: Final = ("robustness.png", "Accuracy on corrupted pictures against severity")
_SAMPLES: Final = ("samples.png", "Sample pictures with answer and confidence")


def write_report(
    report: Report,
    folder: Path,
    *,
    samples: Sequence[Sample] = (),
    mistakes: Sequence[Sample] = (),
) -> list[Path]:
    """Write every file of a report; files of the same names are replaced.

    ``samples.png`` and ``report.html`` show pictures of the data set: mind its licence before
    publishing them.

    Args:
        report: The report.
        folder: Made when it is missing.
        samples: Pictures to show; none leaves ``samples.png`` out.
        mistakes: The most confident mistakes, for the page.

    Returns:
        The files that were written.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plots = [_CONFUSION]
    plot_confusion_matrix(report, folder / _CONFUSION[0])
    if report.probabilities is not None:
        plots.append(_RELIABILITY)
        plot_reliability(report, folder / _RELIABILITY[0])
    if report.robustness is not None:
        plots.append(_ROBUSTNESS)
        plot_robustness(report, folder / _ROBUSTNESS[0])
    if samples:
        plots.append(_SAMPLES)
        plot_samples(samples, folder / _SAMPLES[0])
    texts = {
        "report.json": render_json(report),
        "report.md": render_markdown(report, plots=plots),
        "report.html": render_html(report, samples=samples, mistakes=mistakes),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    names = [*texts, *(name for name, _ in plots)]
    if report.predictions is not None:
        write_predictions(report.predictions, folder / "predictions.csv")
        names.append("predictions.csv")
    return [folder / name for name in names]
