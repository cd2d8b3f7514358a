"""A report in all its forms: plain text, Markdown, one HTML page, and a folder of files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from facial_expressions.evaluation.predictions import write_predictions
from facial_expressions.evaluation.report import Report
from facial_expressions.evaluation.samples import Sample
from facial_expressions.files import write_file
from facial_expressions.pages.drawing import new_figure, png_of, svg_of
from facial_expressions.pages.report_charts import DESCRIPTIONS, report_charts
from facial_expressions.pages.templating import environment, render

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN: Final = ("reliability", "votes", "robustness")
"""Charts that the page shows; it has the others as tables and images of its own."""


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
    written = [folder / name for name in contents]
    if report.predictions is not None:
        written.append(folder / "predictions.csv")
        write_predictions(report.predictions, written[-1])
    return written


def report_text(report: Report) -> str:
    """Return figures, classification report, confusion matrix, subsets and corruption table.

    Returns:
        Lines of at most about 100 columns, ending in a line feed.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    return render("report.txt", report=report)


def report_page(
    report: Report,
    charts: Mapping[str, Figure],
    *,
    samples: Sequence[Sample] = (),
    mistakes: Sequence[Sample] = (),
) -> str:
    """Return the page: light and dark, from 360 px wide, readable without colors.

    Args:
        report: The report.
        charts: What ``report_charts`` returned for it.
        samples: Images to show inside the page.
        mistakes: The most confident mistakes, shown too.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    drawn = {name: svg_of(charts[name], DESCRIPTIONS[name]) for name in _SHOWN if name in charts}
    return render("report.html", report=report, charts=drawn, samples=samples, mistakes=mistakes)


def report_markdown(report: Report, *, plots: Sequence[tuple[str, str]] = ()) -> str:
    """Return the report as Markdown.

    Args:
        report: The report.
        plots: File name and description of each image that lies beside the file.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    return render("report.md", report=report, plots=plots)
