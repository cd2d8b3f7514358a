"""Draws curves over epochs as inline SVG whose colors come from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, Literal

__all__ = ["Curve", "curve_chart", "curve_key", "nice_ticks"]

_WIDTH: Final = 420
_HEIGHT: Final = 280
_LEFT: Final = 58
_RIGHT: Final = 14
_TOP: Final = 12
_BOTTOM: Final = 42
_MOST_EPOCHS: Final = 9
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)

Best = Literal["lowest", "highest"]


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a chart.

    Attributes:
        name: What it shows, plain text.
        values: One value an epoch; not a number where there is none.
        is_main: Whether it stands out; the other ones are thin and dashed.
        best: Which of its values gets a dot, if any.
    """

    name: str
    values: Sequence[float]
    is_main: bool = True
    best: Best | None = None

    @property
    def best_index(self) -> int | None:
        """Row of the best value, the first of equals; None without one."""
        rows = [row for row, value in enumerate(self.values) if math.isfinite(value)]
        if self.best is None or not rows:
            return None
        choose = min if self.best == "lowest" else max
        return choose(rows, key=lambda row: self.values[row])


def curve_chart(label: str, epochs: Sequence[float], curves: Sequence[Curve]) -> str:
    """Return curves over the epochs, on axes that fit their values.

    Args:
        label: What is shown, for screen readers.
        epochs: Number of each epoch, rising; at least one.
        curves: As many values each as there are epochs.

    Returns:
        An ``svg`` element. Where there is no finite value at all, its axes are empty.
    """
    finite = [value for curve in curves for value in curve.values if math.isfinite(value)]
    y_ticks = nice_ticks(min(finite, default=0.0), max(finite, default=1.0))
    scale = _Scale(x=(epochs[0], max(epochs[-1], epochs[0] + 1)), y=(y_ticks[0], y_ticks[-1]))
    parts = [*_axes(scale, y_ticks)]
    for curve in curves:
        parts += _line(scale, epochs, curve)
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def curve_key(epochs: Sequence[float], curves: Sequence[Curve]) -> str:
    """Return what the lines mean, and the best value with its epoch, as HTML.

    Args:
        epochs: As for ``curve_chart``.
        curves: As for ``curve_chart``.
    """
    parts = []
    for curve in curves:
        kind = "line" if curve.is_main else "thin"
        parts.append(f'<span class="key {kind}"></span>{escape(curve.name)}')
        row = curve.best_index
        if row is not None:
            parts.append(
                f'<span class="key dot"></span>best {curve.values[row]:.4f} in epoch '
                f"{epochs[row]:g}"
            )
    return f'<p class="muted keys">{"".join(f"<span>{part}</span>" for part in parts)}</p>\n'


def nice_ticks(low: float, high: float, *, most: int = 6) -> list[float]:
    """Return round numbers, evenly spaced, from at most ``low`` to at least ``high``.

    Args:
        low: Lowest value.
        high: Highest value, at least ``low``.
        most: How many lie between the two at most.

    Examples:
        >>> nice_ticks(0.31, 0.67)
        [0.3, 0.4, 0.5, 0.6, 0.7]
    """
    span = (high - low) or abs(high) or 1.0
    rough = span / (most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * one for one in _STEPS if power * one >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    digits = max(0, 1 - math.floor(math.log10(step)))
    return [round(i * step, digits) for i in range(first, max(last, first + 1) + 1)]


@dataclass(frozen=True, slots=True)
class _Scale:
    """From values to places in the picture."""

    x: tuple[float, float]
    y: tuple[float, float]

    def left(self, value: float) -> float:
        share = (value - self.x[0]) / (self.x[1] - self.x[0])
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def top(self, value: float) -> float:
        share = (value - self.y[0]) / (self.y[1] - self.y[0])
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _axes(scale: _Scale, y_ticks: Sequence[float]) -> Iterator[str]:
    for tick in y_ticks:
        y = scale.top(tick)
        yield (
            f'<line class="chart-grid" x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" '
            f'y2="{y:.1f}"/>'
        )
        yield _text("chart-text", _LEFT - 7, y + 4, f"{tick:g}", "end")
    for tick in nice_ticks(*scale.x, most=_MOST_EPOCHS):
        if scale.x[0] <= tick <= scale.x[1] and tick == int(tick):
            yield _text("chart-text", scale.left(tick), _HEIGHT - _BOTTOM + 18, f"{tick:g}")
    yield _text("chart-label", (_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 5, "Epoch")


def _line(scale: _Scale, epochs: Sequence[float], curve: Curve) -> Iterator[str]:
    """Draw a curve in pieces between its gaps; a value without neighbours is a dot."""
    name = "chart-line" if curve.is_main else "chart-thin"
    piece: list[str] = []
    for epoch, value in [*zip(epochs, curve.values, strict=True), (math.nan, math.nan)]:
        if math.isfinite(value):
            piece.append(f"{scale.left(epoch):.1f},{scale.top(value):.1f}")
            continue
        if len(piece) == 1:
            x, y = piece[0].split(",")
            yield f'<circle class="{name} alone" cx="{x}" cy="{y}" r="3"/>'
        elif piece:
            yield f'<polyline class="{name}" points="{" ".join(piece)}"/>'
        piece = []
    row = curve.best_index
    if row is not None:
        epoch, value = epochs[row], curve.values[row]
        yield (
            f'<circle class="chart-dot" cx="{scale.left(epoch):.1f}" '
            f'cy="{scale.top(value):.1f}" r="5"><title>{escape(curve.name)}: {value:.4f} in epoch '
            f"{epoch:g}</title></circle>"
        )


def _text(name: str, x: float, y: float, text: str, anchor: str = "middle") -> str:
    return (
        f'<text class="{name}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )
