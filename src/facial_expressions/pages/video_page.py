"""What a video showed: one HTML page without other files, scripts or network, and its timeline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from facial_expressions.colors import expression_color
from facial_expressions.media.summary import Summary, TrackSummary
from facial_expressions.pages.drawing import GRID, MUTED, new_figure, style_axes
from facial_expressions.pages.templating import render

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["timeline_chart", "video_page"]

_WIDTH: Final = 904
"""Of the page's timeline, in its own units; a track's name stands to the left of it."""

_PALE: Final = 0.3
"""Opacity of uncertain time."""

_MOST_TICKS: Final = 11
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
_MOST_TRACKS: Final = 30

_STATUS: Final = {
    "ok": "read to its end",
    "truncated": "cut short or damaged: read up to there",
    "interrupted": "stopped before its end",
}


def video_page(summary: Summary, labels: Sequence[str]) -> str:
    """Return the page: timeline, shares and longest stretches of each track.

    Args:
        summary: What the video showed.
        labels: Every expression that may occur; the key has their order.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    end_s = summary.start_s + max(summary.duration_s, 1e-3)
    scale = _WIDTH / (end_s - summary.start_s)
    return render(
        "video.html",
        extra="video",
        name=Path(summary.source).name,
        summary=summary,
        status=_STATUS[summary.status],
        colors=_colors(labels),
        ticks=[(tick, (tick - summary.start_s) * scale) for tick in _ticks(summary.start_s, end_s)],
        scale=scale,
        pale=_PALE,
    )


def timeline_chart(summary: Summary, labels: Sequence[str]) -> Figure:
    """Draw a row per track, time to the right, and a bar for each stretch of one expression.

    Uncertain stretches are pale, cuts dashed lines.

    Args:
        summary: What the video showed; of more than thirty tracks the longest seen are drawn.
        labels: Every expression that may occur; the legend has their order.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    tracks = _longest_seen(summary.tracks)
    figure = new_figure(9.0, 1.9 + 0.34 * max(len(tracks), 1))
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    axes, colors = figure.add_subplot(), _colors(labels)
    more = f" (the {len(tracks)} longest of {len(summary.tracks)} tracks)"
    title = f"Expressions in {Path(summary.source).name}"
    is_whole = len(tracks) == len(summary.tracks)
    style_axes(axes, title=title if is_whole else title + more, xlabel="Time in seconds")
    for row, track in enumerate(tracks):
        bars = [(one.start_s, one.end_s - one.start_s) for one in track.stretches]
        paint = [(colors[one.expression], _PALE if one.uncertain else 1) for one in track.stretches]
        axes.broken_barh(bars, (row - 0.36, 0.72), facecolors=paint)
    for cut_s in summary.cuts:
        axes.axvline(cut_s, color=MUTED, linewidth=1, linestyle="--")
    axes.set_yticks(range(len(tracks)), [f"track {track.track_id}" for track in tracks])
    axes.set_xlim(summary.start_s, summary.start_s + max(summary.duration_s, 1e-3))
    axes.set_ylim(max(len(tracks), 1) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    if not tracks:
        axes.text(0.5, 0.5, "no face", transform=axes.transAxes, ha="center", color=MUTED)
    handles: list[Patch | Line2D] = [
        Patch(facecolor=colors[name], edgecolor=GRID, label=name) for name in labels
    ]
    if any(one.uncertain for track in tracks for one in track.stretches):
        handles.append(Patch(facecolor=(MUTED, _PALE), edgecolor=GRID, label="pale: uncertain"))
    if summary.cuts:
        handles.append(Line2D([], [], color=MUTED, linewidth=1, linestyle="--", label="cut"))
    figure.legend(handles=handles, loc="outside lower center", ncols=8, frameon=False, fontsize=8.5)
    return figure


def _longest_seen(tracks: Sequence[TrackSummary]) -> list[TrackSummary]:
    """Return the tracks that fit into a chart, in the order of their numbers."""
    chosen = sorted(tracks, key=lambda track: -sum(s.end_s - s.start_s for s in track.stretches))
    return sorted(chosen[:_MOST_TRACKS], key=lambda track: track.track_id)


def _colors(labels: Sequence[str]) -> dict[str, str]:
    return {name: "#{:02x}{:02x}{:02x}".format(*expression_color(name)) for name in labels}


def _ticks(low: float, high: float) -> Iterator[float]:
    """Yield round numbers, evenly spaced, between two others that differ."""
    rough = (high - low) / (_MOST_TICKS - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * one for one in _STEPS if power * one >= rough * (1 - 1e-9))
    for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1):
        yield i * step
