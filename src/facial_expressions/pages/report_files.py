"""Writes a report into a folder: JSON, Markdown, HTML, images and predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from facial_expressions.evaluation.predictions import write_predictions
from facial_expressions.evaluation.report import Report
from facial_expressions.evaluation.samples import Sample
from facial_expressions.files import write_file
from facial_expressions.pages.drawing import new_figure, png_of
from facial_expressions.pages.report_charts import DESCRIPTIONS, report_charts
from facial_expressions.pages.report_page import report_markdown, report_page
from facial_expressions.pages.templating import environment


def check_ready() -> None:
    """Raise before the work when a report could not be written after it.

    Raises:
        MissingExtraError: Matplotlib or Jinja2 is not installed.
    """
    new_figure(1, 1)
    environment()


def write_report(
    report: Report,
    folder: Path,
    *,
    samples: Sequence[Sample] = (),
    mistakes: Sequence[Sample] = (),
) -> list[Path]:
    """Write every file of a report; files of the same names are replaced.

    ``samples.png`` and ``report.html`` show images of the data set: mind its licence before
    publishing them.

    Args:
        report: The report.
        folder: Made when it is missing.
        samples: Images to show; none leaves ``samples.png`` out.
        mistakes: The most confident mistakes, for the page.

    Returns:
        The files that were written.

    Raises:
        MissingExtraError: Matplotlib or Jinja2 is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    charts = report_charts(report, samples=samples)
    plots = [(f"{name}.png", DESCRIPTIONS[name]) for name in charts]
    contents: dict[str, str | bytes] = {
        "report.json": report.to_json(),
        "report.md": report_markdown(report, plots=plots),
        "report.html": report_page(report, charts, samples=samples, mistakes=mistakes),
        **{f"{name}.png": png_of(figure) for name, figure in charts.items()},
    }
    for name, content in contents.items():
        write_file(folder / name, content)
    if report.predictions is None:
        return [folder / name for name in contents]
    write_predictions(report.predictions, folder / "predictions.csv")
    return [folder / name for name in (*contents, "predictions.csv")]
