"""What a video showed: one HTML page without other files or network, and its timeline."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from facial_expressions.media.summary import TrackSummary, VideoSummary
from facial_expressions.pages.drawing import GRID, MUTED, new_figure, style_axes
from facial_expressions.pages.templating import css_color, environment, jpeg_uri, render
from facial_expressions.pages.track_curves import MOST_TRACKS, Span, TrackCurve, TrackCurves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from facial_expressions.media.frames import Frame
    from facial_expressions.results import FrameResult

_WIDTH: Final = 1000
_HEIGHT: Final = 100
"""Of the page's charts in their own units; they are as wide as the page."""

_PALE: Final = 0.3
"""Opacity of uncertain time."""

_MOST_TICKS: Final = 6
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)

_STATUS: Final = {
    "ok": "read to its end",
    "truncated": "cut short or damaged: read up to there",
    "interrupted": "stopped before its end",
}


@dataclass(frozen=True, slots=True)
class _Axis:
    """From seconds to places on a chart."""

    start_s: float
    end_s: float

    def x(self, time_s: float) -> float:
        """Return a place in units of ``_WIDTH``."""
        return _WIDTH * (time_s - self.start_s) / (self.end_s - self.start_s)

    @property
    def ticks(self) -> list[tuple[float, float]]:
        """Round times, with their places in hundredths."""
        times = _ticks(self.start_s, self.end_s)
        return [(time_s, 100 * self.x(time_s) / _WIDTH) for time_s in times]


class VideoPage:
    """Collects frames for the page of a video; what is kept does not grow with its length.

    Args:
        labels: Every expression that may occur; the key has their order.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        environment("video")  # says before the work that something is not installed
        self._labels = tuple(labels)
        self._curves = TrackCurves()

    def add(self, frame: Frame, result: FrameResult) -> None:
        """Take the next frame.

        Args:
            frame: Its pixels.
            result: What was found in it.
        """
        self._curves.add(frame, result)

    def to_html(self, summary: VideoSummary, *, player: str = "") -> str:
        """Return the page: who is seen when, and of each track face, shares and curves.

        Args:
            summary: What the video showed, all of it.
            player: Address of the marked video as the page sees it; empty shows none.
        """
        whole = _axis(summary.start_s, summary.start_s + summary.duration_s)
        step_s = summary.duration_s / max(summary.n_frames, 1)
        curves = self._curves.kept
        known = [track for track in summary.tracks if track.track_id in curves]
        shown = [
            self._shown(track, curves[track.track_id], step_s, whole)
            for track in _longest_seen(known)
        ]
        return render(
            "video.html",
            extra="video",
            name=Path(summary.source).name,
            summary=summary,
            status=_STATUS[summary.status],
            colors={label: css_color(label) for label in self._labels},
            axis=whole,
            tracks=shown,
            cut_marks="".join(
                f"M{x} 0V1" for x in sorted({round(whole.x(s)) for s in summary.cuts})
            ),
            player=player,
            pale=_PALE,
        )

    def _shown(
        self, track: TrackSummary, curve: TrackCurve, step_s: float, whole: _Axis
    ) -> dict[str, object]:
        """Return what the template shows of a track: paths, and the values for the pointer."""
        spans, axis = list(curve.spans(step_s)), _axis(track.start_s, track.end_s)
        weights = [one.end_s - one.start_s for one in spans]
        columns = list(zip(*(one.values for one in spans), strict=True))
        return {
            "summary": track,
            "face": jpeg_uri(curve.face) if curve.face else "",
            "axis": axis,
            "bars": self._bars(spans, whole),
            "curves": [
                (css_color(label), _line(spans, column, axis))
                for label, column in zip(self._labels, columns, strict=True)
            ],
            "unsure": "".join(
                _bar(axis, list(run), _HEIGHT)
                for is_uncertain, run in itertools.groupby(spans, lambda one: one.uncertain)
                if is_uncertain
            ),
            "means": [
                sum(map(math.prod, zip(column, weights, strict=True))) / max(sum(weights), 1e-9)
                for column in columns
            ],
            "n_per_point": curve.n_per_point,
            "points": {
                "from": [round(one.start_s, 3) for one in spans],
                "to": [round(one.end_s, 3) for one in spans],
                "percent": [[round(100 * value) for value in one.values] for one in spans],
                "uncertain": [int(one.uncertain) for one in spans],
            },
        }

    def _bars(self, spans: Sequence[Span], whole: _Axis) -> dict[tuple[str, bool], str]:
        """Return the track's row of the timeline: a path for each color, certain and pale."""

        def kind(one: Span) -> tuple[str, bool]:
            return css_color(self._labels[one.values.index(max(one.values))]), one.uncertain

        paths: dict[tuple[str, bool], str] = {}
        for key, run in itertools.groupby(spans, kind):
            paths[key] = paths.get(key, "") + _bar(whole, list(run), 1)
        return paths


def _bar(axis: _Axis, run: Sequence[Span], height: int) -> str:
    """Return rectangles over the time of a run; where the track was not seen it is left out."""
    path, start_s = "", run[0].start_s
    for one, after in itertools.pairwise([*run, None]):
        if after is None or not after.goes_on:
            left, right = axis.x(start_s), axis.x(one.end_s if one else start_s)
            path += f"M{left:.1f} 0H{max(right, left + 0.5):.1f}V{height}H{left:.1f}Z"
            start_s = after.start_s if after else 0.0
    return path


def _line(spans: Sequence[Span], values: Sequence[float], axis: _Axis) -> str:
    """Return a curve through the middles of the points, broken where the track was not seen."""
    places = (
        f"{'L' if one.goes_on else 'M'}{axis.x((one.start_s + one.end_s) / 2):.1f} "
        f"{_HEIGHT * (1 - value):.1f}{'' if one.goes_on else 'h0'}"
        for one, value in zip(spans, values, strict=True)
    )
    return "".join(places)


def _axis(start_s: float, end_s: float) -> _Axis:
    return _Axis(start_s, max(end_s, start_s + 1e-3))


def timeline_chart(summary: VideoSummary, labels: Sequence[str]) -> Figure:
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

    axes, colors = figure.add_subplot(), {name: css_color(name) for name in labels}
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
    return sorted(chosen[:MOST_TRACKS], key=lambda track: track.track_id)


def _ticks(low: float, high: float) -> Iterator[float]:
    """Yield round numbers, evenly spaced, between two others that differ."""
    rough = (high - low) / (_MOST_TICKS - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * one for one in _STEPS if power * one >= rough * (1 - 1e-9))
    for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1):
        yield i * step
