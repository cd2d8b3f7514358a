"""Draws a report's pictures: confusion matrix, reliability, robustness and samples, as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facial_expressions.evaluation.corruptions import SEVERITIES
from facial_expressions.evaluation.drawing import (
    ACCENT,
    INK,
    LINES,
    MARKERS,
    MUTED,
    RIGHT,
    WARM,
    WRONG,
    accent_colormap,
    new_figure,
    save_png,
    style_axes,
)
from facial_expressions.evaluation.figures import ProbabilityFigures
from facial_expressions.evaluation.report import Report
from facial_expressions.evaluation.samples import Sample
from facial_expressions.evaluation.tables import display_name, title_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_confusion_matrix", "plot_reliability", "plot_robustness", "plot_samples"]


def plot_confusion_matrix(report: Report, path: Path) -> None:
    """Draw the confusion matrix twice: counts, and shares of each true class.

    Args:
        report: The report.
        path: PNG to write.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    side = 0.62 * len(report.labels) + 1.2
    figure = new_figure(2 * side, side + 0.5)
    left, right = figure.subplots(1, 2)
    counts = np.array(report.confusion)
    shares = counts / np.maximum([[s.support] for s in report.scores.per_class], 1)
    figure.suptitle(title_of(report), fontsize=10, color=MUTED)
    _draw_matrix(left, shares, [[f"{c:,}" for c in row] for row in counts], report, "Pictures")
    texts = [[f"{100 * share:.0f}" for share in row] for row in shares]
    _draw_matrix(right, shares, texts, report, "Share of the true class, %")
    save_png(figure, path)


def plot_reliability(report: Report, path: Path) -> None:
    """Draw accuracy against confidence, and accuracy against coverage.

    Args:
        report: The report; one without probabilities draws nothing.
        path: PNG to write.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    if report.probabilities is None:
        return
    figure = new_figure(10.0, 5.2)
    grid = figure.add_gridspec(2, 2, height_ratios=(4, 1))
    top, bottom = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0])
    coverage = figure.add_subplot(grid[:, 1])
    figure.suptitle(title_of(report), fontsize=10, color=MUTED)
    _draw_reliability(top, bottom, report.probabilities)
    _draw_coverage(coverage, report.probabilities)
    save_png(figure, path)


def plot_robustness(report: Report, path: Path) -> None:
    """Draw accuracy against severity, once for a box that lies off and once for a poor photo.

    Args:
        report: The report; one without robustness draws nothing.
        path: PNG to write.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    robustness = report.robustness
    if robustness is None:
        return
    figure = new_figure(10.0, 4.6)
    figure.suptitle(title_of(report), fontsize=10, color=MUTED)
    titles = {"box": "The box lies off", "picture": "The photo is poor"}
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (group, title) in zip(panels, titles.items(), strict=True):
        style_axes(axes, title=title, xlabel="Severity", ylabel="Accuracy")
        kinds = [kind for kind in robustness.kinds if kind.group == group]
        axes.axhline(
            robustness.clean_accuracy, color=MUTED, linewidth=1, linestyle=(0, (4, 3)),
            label="as they are",
        )  # fmt: skip
        for kind, color, marker in zip(kinds, LINES, MARKERS, strict=False):
            axes.plot(
                SEVERITIES, kind.accuracies, color=color, marker=marker, markersize=5,
                linewidth=1.8, label=display_name(kind.name),
            )  # fmt: skip
        axes.set_xticks(SEVERITIES)
        axes.legend(frameon=False, fontsize=8.5, loc="lower left", labelcolor=INK)
    panels[0].set_ylim(0, min(1, robustness.clean_accuracy + 0.1))
    save_png(figure, path)


def plot_samples(samples: Sequence[Sample], path: Path) -> None:
    """Draw sample pictures with truth, answer and confidence: a column per class.

    Args:
        samples: What ``choose_samples`` returned.
        path: PNG to write.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    classes = list(dict.fromkeys(sample.truth for sample in samples))
    has_heat = any(sample.heat is not None for sample in samples)
    n_rows = 4 if has_heat else 2
    figure = new_figure(max(1.5 * len(classes), 3), 0.8 + (3.1 if has_heat else 1.75) * 2)
    axes = figure.subplots(n_rows, max(len(classes), 1), squeeze=False)
    for cell in axes.flat:
        cell.set_axis_off()
        cell.set_box_aspect(1)
    for sample in samples:
        column = classes.index(sample.truth)
        row = (0 if sample.is_right else 1) * (n_rows // 2)
        _draw_sample(axes[row, column], sample)
        if sample.heat is not None:
            _draw_heat(axes[row + 1, column], sample)
    shown = {(sample.truth, sample.is_right) for sample in samples}
    for column, name in enumerate(classes):
        for row, is_right in ((0, True), (n_rows // 2, False)):
            if (name, is_right) not in shown:
                _say_none(axes[row, column], is_right=is_right)
        axes[0, column].text(
            0.5, 1.25, display_name(name), transform=axes[0, column].transAxes,
            ha="center", fontsize=11, fontweight="bold", color=INK,
        )  # fmt: skip
    figure.suptitle(
        "One right and one wrong answer per true class, chosen at random"
        + ("; below each, where the network looked" if has_heat else ""),
        fontsize=10,
        color=MUTED,
    )
    save_png(figure, path)


def _draw_matrix(
    axes: Axes,
    shares: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    texts: list[list[str]],
    report: Report,
    title: str,
) -> None:
    """Draw one matrix, colored by share, with a text in each cell."""
    names = [display_name(name) for name in report.labels]
    style_axes(axes, title=title, xlabel="Answer", ylabel="Truth")
    axes.grid(visible=False)
    axes.imshow(shares, cmap=accent_colormap(), vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    for (i, j), share in np.ndenumerate(shares):
        color = "white" if share > 0.6 else INK
        weight = "bold" if i == j else "normal"
        axes.text(
            j, i, texts[i][j], ha="center", va="center", color=color, fontsize=9, fontweight=weight
        )


def _draw_reliability(top: Axes, bottom: Axes, figures: ProbabilityFigures) -> None:
    """Draw the bars of accuracy per bin with the gap to the diagonal, and how full the bins are."""
    bins = [row for row in figures.reliability if row.count]
    middles = [(row.lower + row.upper) / 2 for row in bins]
    width = 0.9 / len(figures.reliability)
    style_axes(top, title=f"Reliability: ECE {figures.ece:.4f}", ylabel="Accuracy")
    top.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="calibrated")
    top.bar(middles, [row.accuracy for row in bins], width=width, color=ACCENT, label="accuracy")
    top.scatter(
        middles, [row.confidence for row in bins],
        marker="_", s=90, linewidth=2.2, color=WARM, label="mean confidence", zorder=3,
    )  # fmt: skip
    # Room above the bars: a bin with one right answer reaches the top anywhere.
    top.set(xlim=(0, 1), ylim=(0, 1.14), yticks=(0, 0.2, 0.4, 0.6, 0.8, 1))
    top.tick_params(labelbottom=False)
    top.legend(frameon=False, fontsize=8.5, loc="upper left", labelcolor=INK, ncols=3)
    style_axes(bottom, xlabel="Confidence", ylabel="Answers, %")
    total = sum(row.count for row in bins)
    bottom.bar(middles, [100 * row.count / total for row in bins], width=width, color="#94a3b8")
    bottom.set(xlim=(0, 1))


def _draw_coverage(axes: Axes, figures: ProbabilityFigures) -> None:
    """Draw the accuracy of certain answers against their share, and the model's own threshold."""
    style_axes(
        axes,
        title="Accuracy against coverage",
        xlabel="Share of pictures answered with certainty",
        ylabel="Accuracy of these answers",
    )
    axes.plot(
        [point.coverage for point in figures.coverage],
        [point.accuracy for point in figures.coverage],
        color=ACCENT,
        linewidth=2.2,
    )
    chosen = figures.uncertain
    if chosen.threshold > 0 and chosen.coverage > 0:
        axes.scatter([chosen.coverage], [chosen.accuracy], color=WARM, s=46, zorder=3)
        axes.annotate(
            f"uncertain below {chosen.threshold:.2f}:\n{100 * chosen.coverage:.0f} % certain, "
            f"{100 * chosen.accuracy:.1f} % right",
            (chosen.coverage, chosen.accuracy),
            xytext=(-12, -34),
            textcoords="offset points",
            ha="right",
            fontsize=8.5,
            color=INK,
        )
    lowest = min(point.accuracy for point in figures.coverage)
    axes.set(xlim=(0, 1.01), ylim=(max(0, lowest - 0.08), 1.01))


def _draw_sample(axes: Axes, sample: Sample) -> None:
    mark, color = ("✓", RIGHT) if sample.is_right else ("✗", WRONG)
    axes.imshow(sample.image, cmap="gray", vmin=0, vmax=255, interpolation="bicubic")
    axes.set_title(
        f"{mark} {display_name(sample.prediction)} {sample.confidence:.2f}",
        fontsize=9.5,
        color=color,
        pad=4,
    )


def _say_none(axes: Axes, *, is_right: bool) -> None:
    text = f"no {'right' if is_right else 'wrong'}\nanswer"
    axes.text(
        0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=9, color=MUTED
    )


def _draw_heat(axes: Axes, sample: Sample) -> None:
    """Lay the heat map over the picture, clear where there is no heat."""
    heat = np.zeros_like(sample.image, np.float64) if sample.heat is None else sample.heat
    axes.imshow(sample.image, cmap="gray", vmin=0, vmax=255, interpolation="bicubic")
    axes.imshow(
        heat, cmap="inferno", vmin=0, vmax=1, alpha=0.7 * heat**0.7, interpolation="bicubic"
    )
