"""A report in all its forms: plain text, Markdown, one HTML page, charts, and a folder of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from facial_expressions.evaluation.figures import ProbabilityFigures, VoteFigures
from facial_expressions.evaluation.predictions import write_predictions
from facial_expressions.evaluation.report import Report
from facial_expressions.evaluation.robustness import SEVERITIES, Robustness
from facial_expressions.evaluation.samples import Sample
from facial_expressions.files import write_file
from facial_expressions.pages import drawing
from facial_expressions.pages.tables import display_name, title_of
from facial_expressions.pages.templating import environment, heated, render

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GROUPS: Final = {"box": "Face box slightly off", "image": "The photo is poor"}


def check_ready() -> None:
    """Raise before the work when a report could not be written after it.

    Raises:
        MissingExtraError: Matplotlib or Jinja2 is not installed.
    """
    drawing.new_figure(1, 1)
    environment()


def write_report(
    report: Report, folder: Path, *, samples: Sequence[Sample] = (), mistakes: Sequence[Sample] = ()
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
    contents: dict[str, str | bytes] = {
        "report.json": report.to_json(),
        "report.md": render("report.md", report=report, charts=charts),
        "report.html": render(
            "report.html", report=report, charts=charts, samples=samples, mistakes=mistakes
        ),
        **{f"{name}.png": drawing.png_of(figure) for name, figure in charts.items()},
    }
    for name, content in contents.items():
        write_file(folder / name, content)
    write_predictions(report.predictions, folder / "predictions.csv")
    return [folder / name for name in (*contents, "predictions.csv")]


def report_text(report: Report) -> str:
    """Return figures, classification report, confusion matrix, subsets and corruption table.

    Returns:
        Lines of at most about 100 columns, ending in a line feed.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    return render("report.txt", report=report)


def report_charts(report: Report, *, samples: Sequence[Sample] = ()) -> dict[str, Figure]:
    """Draw what there is to draw of a report.

    Args:
        report: The report; without probabilities or robustness it has no chart of them.
        samples: What ``choose_samples`` returned; none gives no chart of them.

    Returns:
        Figures by name.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    charts = {"confusion_matrix": _confusion_matrix(report)}
    if report.probabilities is not None:
        charts["reliability"] = _reliability(report.probabilities)
    if report.robustness is not None:
        charts["robustness"] = _robustness(report.robustness)
    for figure in charts.values():
        figure.suptitle(title_of(report), fontsize=10, color=drawing.MUTED)
    if report.votes is not None:
        charts["votes"] = _votes(report.votes)
    if samples:
        charts["samples"] = _samples(samples)
    return charts


def _confusion_matrix(report: Report) -> Figure:
    """Draw the confusion matrix twice, colored by share: counts, and shares of each true class."""
    names = [display_name(name) for name in report.labels]
    side = 0.62 * len(names) + 1.2
    label = "Confusion matrix: counts and shares of each true class"
    figure = drawing.new_figure(2 * side, side + 0.5, label)
    from matplotlib.colors import LinearSegmentedColormap

    shades = ["#ffffff", "#99d5cf", drawing.ACCENT, "#0a4a45"]
    accent = LinearSegmentedColormap.from_list("accent", shades)
    counts = np.array(report.scores.confusion)
    shares = counts / np.maximum([[s.support] for s in report.scores.per_class], 1)
    shown = (("Images", counts, "{:,}"), ("Share of the true class, %", 100 * shares, "{:.0f}"))
    for axes, (title, cells, text) in zip(figure.subplots(1, 2), shown, strict=True):
        axes.imshow(shares, cmap=accent, vmin=0, vmax=1)
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), names)
        for (i, j), share in np.ndenumerate(shares):
            axes.text(
                j, i, text.format(cells[i, j]), ha="center", va="center", fontsize=9,
                color="white" if share > 0.6 else drawing.INK,
                fontweight="bold" if i == j else "normal",
            )  # fmt: skip
        drawing.style_axes(axes, title=title, xlabel="Answer", ylabel="Truth", has_grid=False)
    return figure


def _reliability(figures: ProbabilityFigures) -> Figure:
    """Draw accuracy against confidence, and accuracy against coverage."""
    figure = drawing.new_figure(10.0, 5.2, "Accuracy against confidence and against coverage")
    grid = figure.add_gridspec(2, 2, height_ratios=(4, 1))
    _draw_bins(figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0]), figures)
    _draw_coverage(figure.add_subplot(grid[:, 1]), figures)
    return figure


def _votes(votes: VoteFigures) -> Figure:
    """Draw the share of votes that the answers got against their confidence."""
    label = "Share of people's votes that answers got, against confidence"
    figure = drawing.new_figure(5.6, 5.2, label)
    top, bottom = figure.subplots(2, 1, height_ratios=(4, 1))
    _draw_bins(top, bottom, votes, right="share of votes")
    text = f"All {votes.n:,} images that have votes for the expressions"
    figure.suptitle(text, fontsize=10, color=drawing.MUTED)
    return figure


def _draw_bins(
    top: Axes, bottom: Axes, figures: ProbabilityFigures | VoteFigures, *, right: str = "accuracy"
) -> None:
    """Draw the bars of each bin with the gap to the diagonal, and how full the bins are."""
    bins = [row for row in figures.reliability if row.count]
    middles = [(row.lower + row.upper) / 2 for row in bins]
    width = 0.9 / len(figures.reliability)
    drawing.style_axes(top, title=f"Reliability: ECE {figures.ece:.4f}", ylabel=right.capitalize())
    top.plot([0, 1], [0, 1], **drawing.DASHED, label="calibrated")
    top.bar(middles, [row.accuracy for row in bins], width=width, color=drawing.ACCENT, label=right)
    top.scatter(
        middles, [row.confidence for row in bins],
        marker="_", s=90, linewidth=2.2, color=drawing.WARM, label="mean confidence", zorder=3,
    )  # fmt: skip
    # Room above the bars: a bin with one right answer reaches the top anywhere.
    top.set(xlim=(0, 1), ylim=(0, 1.14), yticks=(0, 0.2, 0.4, 0.6, 0.8, 1))
    top.tick_params(labelbottom=False)
    drawing.add_legend(top, loc="upper left", ncols=3)
    drawing.style_axes(bottom, xlabel="Confidence", ylabel="Answers, %")
    total = sum(row.count for row in bins)
    bottom.bar(middles, [100 * row.count / total for row in bins], width=width, color="#94a3b8")
    bottom.set(xlim=(0, 1))


def _draw_coverage(axes: Axes, figures: ProbabilityFigures) -> None:
    """Draw the accuracy of certain answers against their share, and the model's own threshold."""
    kept = "Share of images answered with certainty"
    drawing.style_axes(
        axes, title="Accuracy against coverage", xlabel=kept, ylabel="Accuracy of these answers"
    )
    accuracies = [point.accuracy for point in figures.coverage]
    axes.plot(
        [p.coverage for p in figures.coverage], accuracies, color=drawing.ACCENT, linewidth=2.2
    )
    chosen = figures.uncertain
    if chosen.threshold > 0 and chosen.coverage > 0:
        axes.scatter([chosen.coverage], [chosen.accuracy], color=drawing.WARM, s=46, zorder=3)
        axes.annotate(
            f"uncertain below {chosen.threshold:.2f}:\n{100 * chosen.coverage:.0f}% certain, "
            f"{100 * chosen.accuracy:.1f}% right",
            (chosen.coverage, chosen.accuracy), xytext=(-12, -34), textcoords="offset points",
            ha="right", fontsize=8.5, color=drawing.INK,
        )  # fmt: skip
    axes.set(xlim=(0, 1.01), ylim=(max(0, min(accuracies) - 0.08), 1.01))


def _robustness(robustness: Robustness) -> Figure:
    """Draw accuracy against severity, once for a face box that is off and once for a poor photo."""
    figure = drawing.new_figure(10.0, 4.6, "Accuracy on corrupted images against severity")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (group, title) in zip(panels, _GROUPS.items(), strict=True):
        drawing.style_axes(axes, title=title, xlabel="Severity", ylabel="Accuracy")
        rows = [row for row in robustness.accuracies.items() if row[0].group == group]
        axes.axhline(robustness.clean_accuracy, **drawing.DASHED, label="as they are")
        looks = zip(rows, drawing.LINES, drawing.MARKERS, strict=False)
        for (kind, accuracies), color, marker in looks:
            axes.plot(
                SEVERITIES, accuracies, color=color, marker=marker, markersize=5,
                linewidth=1.8, label=display_name(kind.name),
            )  # fmt: skip
        axes.set_xticks(SEVERITIES)
        drawing.add_legend(axes, loc="lower left")
    panels[0].set_ylim(0, min(1, robustness.clean_accuracy + 0.1))
    return figure


def _samples(samples: Sequence[Sample]) -> Figure:
    """Draw images with answer and confidence: a column per true class, right above wrong."""
    classes = list(dict.fromkeys(sample.truth for sample in samples))
    has_heat = any(sample.heat is not None for sample in samples)
    width, height = max(1.5 * len(classes), 3), 0.8 + (3.1 if has_heat else 1.75) * 2
    figure = drawing.new_figure(width, height, "Sample images with answer and confidence")
    axes = figure.subplots(4 if has_heat else 2, len(classes), squeeze=False)
    for cell in axes.flat:
        cell.set_axis_off()
        cell.set_box_aspect(1)
    shown = {(sample.truth, sample.is_right): sample for sample in samples}
    for column, name in enumerate(classes):
        for cells, is_right in zip(np.split(axes[:, column], 2), (True, False), strict=True):
            _draw_sample(list(cells), shown.get((name, is_right)), is_right=is_right)
        middle: dict[str, Any] = {"transform": axes[0, column].transAxes, "ha": "center"}
        look = {"fontsize": 11, "fontweight": "bold", "color": drawing.INK}
        axes[0, column].text(0.5, 1.25, display_name(name), **middle, **look)
    text = "One right and one wrong answer per true class, chosen at random"
    looked = "; below each, where the network looked" if has_heat else ""
    figure.suptitle(text + looked, fontsize=10, color=drawing.MUTED)
    return figure


def _draw_sample(cells: Sequence[Axes], sample: Sample | None, *, is_right: bool) -> None:
    """Draw an image with its answer and, in a second cell, what decided it."""
    if sample is None:
        text = f"no {'right' if is_right else 'wrong'}\nanswer"
        middle: dict[str, Any] = {"transform": cells[0].transAxes, "ha": "center", "va": "center"}
        cells[0].text(0.5, 0.5, text, **middle, fontsize=9, color=drawing.MUTED)
        return
    mark, color = ("✓", drawing.RIGHT) if is_right else ("✗", drawing.WRONG)
    answer = f"{mark} {display_name(sample.prediction)} {sample.confidence:.2f}"
    cells[0].imshow(sample.image, cmap="gray", vmin=0, vmax=255, interpolation="bicubic")
    cells[0].set_title(answer, fontsize=9.5, color=color, pad=4)
    if sample.heat is not None:
        cells[1].imshow(heated(sample), interpolation="bicubic")
