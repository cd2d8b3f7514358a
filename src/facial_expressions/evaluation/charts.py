"""Draws a report's charts as inline SVG whose colors come from the page's style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from facial_expressions.evaluation.figures import ProbabilityFigures

__all__ = ["coverage_chart", "reliability_chart"]

_WIDTH: Final = 420
_HEIGHT: Final = 300
_LEFT: Final = 58
_RIGHT: Final = 12
_TOP: Final = 12
_BOTTOM: Final = 42
_TICKS: Final = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def reliability_chart(figures: ProbabilityFigures) -> str:
    """Return bars of accuracy per confidence bin, the mean confidence in each, and the diagonal.

    Args:
        figures: The figures of a report.

    Returns:
        An ``svg`` element with a text for screen readers.
    """
    n_bins = len(figures.reliability)
    slot = (_WIDTH - _LEFT - _RIGHT) / n_bins
    parts = [_line("chart-diagonal", (0, 0), (1, 1), lowest=0)]
    for row in figures.reliability:
        if row.count == 0:
            continue
        x, top = _x(row.lower) + slot * 0.06, _y(row.accuracy, 0)
        title = (
            f"confidence {row.lower:.2f} to {row.upper:.2f}: {row.count:,} answers, accuracy "
            f"{row.accuracy:.3f}, mean confidence {row.confidence:.3f}"
        )
        parts.append(
            f'<rect class="chart-bar" x="{x:.1f}" y="{top:.1f}" width="{slot * 0.88:.1f}" '
            f'height="{_y(0, 0) - top:.1f}"><title>{title}</title></rect>'
        )
        mark = _y(row.confidence, 0)
        parts.append(
            f'<line class="chart-mark" x1="{x:.1f}" x2="{x + slot * 0.88:.1f}" '
            f'y1="{mark:.1f}" y2="{mark:.1f}"/>'
        )
    label = f"Reliability diagram, expected calibration error {figures.ece:.4f}"
    return _svg(label, parts, lowest=0, xlabel="Confidence", ylabel="Accuracy")


def coverage_chart(figures: ProbabilityFigures) -> str:
    """Return the accuracy of the most confident answers against their share.

    Args:
        figures: The figures of a report.

    Returns:
        An ``svg`` element with a text for screen readers; the model's threshold is a dot.
    """
    lowest = max(0.0, int(10 * min(point.accuracy for point in figures.coverage) - 0.5) / 10)
    dots = " ".join(f"{_x(p.coverage):.1f},{_y(p.accuracy, lowest):.1f}" for p in figures.coverage)
    parts = [f'<polyline class="chart-line" points="{dots}"/>']
    chosen = figures.uncertain
    if chosen.threshold > 0 and chosen.coverage > 0:
        parts.append(
            f'<circle class="chart-dot" cx="{_x(chosen.coverage):.1f}" '
            f'cy="{_y(chosen.accuracy, lowest):.1f}" r="5">'
            f"<title>threshold {chosen.threshold:.3f}: coverage {chosen.coverage:.3f}, "
            f"accuracy {chosen.accuracy:.3f}</title></circle>"
        )
    last = figures.coverage[-1]
    label = f"Accuracy against coverage, from the surest answers to {last.accuracy:.3f} for all"
    return _svg(label, parts, lowest=lowest, xlabel="Share of answers kept", ylabel="Accuracy")


def _svg(label: str, parts: Sequence[str], *, lowest: float, xlabel: str, ylabel: str) -> str:
    """Put axes with grid and labels behind the parts."""
    axes = []
    for tick in _TICKS:
        value = lowest + tick * (1 - lowest)
        axes.append(_line("chart-grid", (0, value), (1, value), lowest=lowest))
        axes.append(_text("chart-text", _LEFT - 7, _y(value, lowest) + 4, f"{value:.2f}", "end"))
        axes.append(_text("chart-text", _x(tick), _HEIGHT - _BOTTOM + 18, f"{tick:.1f}"))
    axes.append(_text("chart-label", (_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 5, xlabel))
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    axes.append(f'<g transform="translate(14 {middle:.0f}) rotate(-90)">')
    axes.append(_text("chart-label", 0, 0, ylabel) + "</g>")
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(label)}">{"".join(axes)}{"".join(parts)}</svg>'
    )


def _text(name: str, x: float, y: float, text: str, anchor: str = "middle") -> str:
    return (
        f'<text class="{name}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _line(name: str, start: tuple[float, float], end: tuple[float, float], *, lowest: float) -> str:
    return (
        f'<line class="{name}" x1="{_x(start[0]):.1f}" y1="{_y(start[1], lowest):.1f}" '
        f'x2="{_x(end[0]):.1f}" y2="{_y(end[1], lowest):.1f}"/>'
    )


def _x(value: float) -> float:
    return _LEFT + value * (_WIDTH - _LEFT - _RIGHT)


def _y(value: float, lowest: float) -> float:
    share = (value - lowest) / (1 - lowest)
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)
