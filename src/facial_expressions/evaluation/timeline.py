"""Draw which expression each face of a video showed when: a bar per track, as PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from facial_expressions.evaluation.drawing import GRID, MUTED, new_figure, save_png, style_axes

__all__ = ["Span", "draw_timeline"]

Span = tuple[str, float, float]
"""An expression with the seconds of its start and its end."""

_MOST_TRACKS: Final = 30
_WIDTH_INCHES: Final = 9.0
_ROW_INCHES: Final = 0.34


def draw_timeline(
    path: Path,
    tracks: Mapping[int, Sequence[Span]],
    *,
    title: str,
    duration: tuple[float, float],
    colors: Mapping[str, tuple[int, int, int]],
) -> None:
    """Write a picture with a row per track, time to the right, and a bar for each expression.

    Args:
        path: The PNG; replaced when it exists.
        tracks: For each track's number its spans; of more than thirty tracks the longest are drawn.
        title: What stands above.
        duration: Seconds of the video's start and end.
        colors: RGB, 0 to 255, of each expression that may occur; the legend has their order.

    Raises:
        MissingExtraError: Matplotlib is not installed.
        OSError: The file cannot be written.
    """
    shown = sorted(sorted(tracks, key=lambda number: -_length(tracks[number]))[:_MOST_TRACKS])
    figure = new_figure(_WIDTH_INCHES, 1.9 + _ROW_INCHES * max(len(shown), 1))
    from matplotlib.patches import Patch

    axes = figure.add_subplot()
    omitted = len(tracks) - len(shown)
    more = f" (the {len(shown)} longest of {len(tracks)} tracks)" if omitted else ""
    style_axes(axes, title=title + more, xlabel="Time in seconds")
    paint = {
        name: f"#{red:02x}{green:02x}{blue:02x}" for name, (red, green, blue) in colors.items()
    }
    for row, number in enumerate(shown):
        spans = tracks[number]
        bars = [(start_s, end_s - start_s) for _, start_s, end_s in spans]
        axes.broken_barh(bars, (row - 0.36, 0.72), facecolors=[paint[one[0]] for one in spans])
    axes.set_yticks(range(len(shown)), [f"track {number}" for number in shown])
    axes.set_xlim(duration[0], max(duration[1], duration[0] + 1e-3))
    axes.set_ylim(max(len(shown), 1) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    if not shown:
        axes.text(0.5, 0.5, "no face", transform=axes.transAxes, ha="center", color=MUTED)
    handles = [Patch(facecolor=color, edgecolor=GRID, label=name) for name, color in paint.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=8, frameon=False, fontsize=8.5)
    save_png(figure, path)


def _length(spans: Sequence[Span]) -> float:
    return sum(end_s - start_s for _, start_s, end_s in spans)
