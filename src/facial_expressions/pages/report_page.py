"""A report as one HTML page, and as Markdown for ``report.md`` and for a model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from facial_expressions.evaluation.report import Report
from facial_expressions.evaluation.samples import Sample
from facial_expressions.pages.drawing import svg_of
from facial_expressions.pages.report_charts import DESCRIPTIONS
from facial_expressions.pages.templating import render

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN: Final = ("reliability", "votes", "robustness")
"""Charts that the page shows; it has the others as tables and images of its own."""


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
