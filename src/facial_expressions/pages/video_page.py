"""What a video showed: one HTML page without other files or network, and its timeline.

Of each track the page has its best face and its probabilities over time, small however long the
video is.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from facial_expressions.media.summary import Stretch, TrackSummary, VideoSummary
from facial_expressions.pages import templating
from facial_expressions.pages.drawing import GRID, MUTED, new_figure, style_axes
from facial_expressions.pages.templating import css_color

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image

    from facial_expressions.media.frames import Frame
    from facial_expressions.results import FrameResult, TrackedFace

_MOST_TRACKS: Final = 30
"""Of more tracks those that were seen longest are shown."""

_MOST_POINTS: Final = 300
"""A curve of more frames has means of 2, 4, 8, ... of them as its points."""

_LARGER: Final = 1.1
"""A face replaces the best one so far when its box is larger by this factor."""

_WIDTH: Final = 1000
_HEIGHT: Final = 100
"""Of the page's charts in their own units; they are as wide as the page."""

_PALE: Final = 0.3
"""Opacity of uncertain time."""

_MOST_TICKS: Final = 6
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(slots=True)
class _Point:
    """Frames of one track, one after the other, that are one point of its curve.

    It ends with the next frame if the track was seen in that, else with its own last one. Whether
    the track was seen in the frame before its first one, too, is ``goes_on``.
    """

    start_s: float
    end_s: float
    last_frame: int
    goes_on: bool
    n: int
    n_uncertain: int
    sums: tuple[float, ...]

    def joined(self, later: _Point) -> _Point:
        return replace(
            later,
            start_s=self.start_s,
            goes_on=self.goes_on,
            n=self.n + later.n,
            n_uncertain=self.n_uncertain + later.n_uncertain,
            sums=tuple(a + b for a, b in zip(self.sums, later.sums, strict=True)),
        )

    @property
    def values(self) -> tuple[float, ...]:
        """Mean probability of each expression."""
        return tuple(value / self.n for value in self.sums)

    @property
    def uncertain(self) -> bool:
        """Whether most of its answers are uncertain."""
        return 2 * self.n_uncertain > self.n


@dataclass(slots=True)
class _TrackCurve:
    """One track so far; its face is the largest certain one, of the others if none is certain."""

    n_frames: int = 0
    n_per_point: int = 1
    face: Image.Image | None = None
    _best: tuple[bool, float] = (False, 0.0)
    _points: list[_Point] = field(default_factory=list)

    def add(self, frame: Frame, face: TrackedFace) -> None:
        """Take the track's face in the next frame."""
        self.n_frames += 1
        points, now_s = self._points, frame.time_s
        goes_on = bool(points) and points[-1].last_frame + 1 == frame.frame
        point = _Point(
            now_s, now_s, frame.frame, goes_on, 1, int(face.uncertain), face.prediction.values
        )
        if goes_on:
            points[-1].end_s = now_s
        if goes_on and points[-1].n < self.n_per_point:
            points[-1] = points[-1].joined(point)
        else:
            points.append(point)
        if len(points) > _MOST_POINTS:
            self.n_per_point *= 2
            pairs = zip(points[::2], points[1::2], strict=False)
            self._points = [a.joined(b) for a, b in pairs] + points[len(points) // 2 * 2 :]
        area = face.box.area
        if (not face.uncertain, area) > (self._best[0], self._best[1] * _LARGER):
            self._best = (not face.uncertain, area)
            self.face = templating.face_thumbnail(frame.image, face.box)

    def points(self, step_s: float) -> list[_Point]:
        """Return the points in order; a frame after which the track is gone lasts ``step_s``."""
        return [
            one if after and after.goes_on else replace(one, end_s=one.end_s + step_s)
            for one, after in itertools.zip_longest(self._points, self._points[1:])
        ]


@dataclass(slots=True)
class _Axis:
    """From seconds to places on a chart."""

    start_s: float
    end_s: float

    def __post_init__(self) -> None:
        self.end_s = max(self.end_s, self.start_s + 1e-3)

    def x(self, time_s: float) -> float:
        """Return a place in units of ``_WIDTH``."""
        return _WIDTH * (time_s - self.start_s) / (self.end_s - self.start_s)

    @property
    def ticks(self) -> list[tuple[float, float]]:
        """Round times, evenly spaced, with their places in hundredths."""
        rough = (self.end_s - self.start_s) / (_MOST_TICKS - 1)
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * one for one in _STEPS if power * one >= rough * (1 - 1e-9))
        first, last = math.ceil(self.start_s / step - 1e-9), math.floor(self.end_s / step + 1e-9)
        return [(i * step, 100 * self.x(i * step) / _WIDTH) for i in range(first, last + 1)]

    def bars(self, stretches: Iterable[Stretch], height: int) -> str:
        """Return a path of rectangles, each over the time of a stretch."""
        sides = [(self.x(one.start_s), self.x(one.end_s)) for one in stretches]
        return "".join(
            f"M{left:.1f} 0H{max(right, left + 0.5):.1f}V{height}H{left:.1f}Z"
            for left, right in sides
        )


class VideoPage:
    """Collects frames for the page of a video; what is kept does not grow with its length.

    Args:
        labels: Every expression that may occur; the key has their order.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        templating.environment("video")  # says before the work that something is not installed
        self._labels = tuple(labels)
        self._curves: dict[int, _TrackCurve] = {}

    def add(self, frame: Frame, result: FrameResult) -> None:
        """Take the next frame; tracks that will not be among the longest seen are let go."""
        for face in result.faces:
            self._curves.setdefault(face.track_id, _TrackCurve()).add(frame, face)
        if len(self._curves) > 2 * _MOST_TRACKS + len(result.faces):
            present = {face.track_id for face in result.faces}
            ended = [number for number in self._curves if number not in present]
            ended.sort(key=lambda number: (self._curves[number].n_frames, -number))
            for number in ended[:-_MOST_TRACKS]:
                del self._curves[number]

    def to_html(self, summary: VideoSummary, *, player: str = "") -> str:
        """Return the page: who is seen when, and of each track face, shares and curves.

        Args:
            summary: What the video showed, all of it.
            player: Address of the marked video as the page sees it; empty shows none.
        """
        whole = _Axis(summary.start_s, summary.start_s + summary.duration_s)
        step_s = summary.duration_s / max(summary.n_frames, 1)
        known = [track for track in summary.tracks if track.track_id in self._curves]
        shown = [self._shown(track, step_s, whole) for track in _longest_seen(known)]
        return templating.render(
            "video.html",
            extra="video",
            name=Path(summary.source).name,
            summary=summary,
            labels=self._labels,
            axis=whole,
            tracks=shown,
            cut_marks="".join(
                f"M{x} 0V1" for x in sorted({round(whole.x(s)) for s in summary.cuts})
            ),
            player=player,
            pale=_PALE,
        )

    def _shown(self, track: TrackSummary, step_s: float, whole: _Axis) -> dict[str, object]:
        """Return what the template shows of a track: paths, and the values for the pointer."""
        curve, axis = self._curves[track.track_id], _Axis(track.start_s, track.end_s)
        points = curve.points(step_s)
        weights = [one.end_s - one.start_s for one in points]
        columns = list(zip(*(one.values for one in points), strict=True))
        by_kind: dict[tuple[str, bool], list[Stretch]] = defaultdict(list)
        for stretch in track.stretches:
            by_kind[css_color(stretch.expression), stretch.uncertain].append(stretch)
        return {
            "summary": track,
            "face": templating.jpeg_uri(curve.face) if curve.face else "",
            "axis": axis,
            "bars": {kind: whole.bars(same, 1) for kind, same in by_kind.items()},
            "curves": [
                (css_color(label), _line(points, column, axis))
                for label, column in zip(self._labels, columns, strict=True)
            ],
            "unsure": axis.bars((one for one in track.stretches if one.uncertain), _HEIGHT),
            "means": [
                sum(map(math.prod, zip(column, weights, strict=True))) / max(sum(weights), 1e-9)
                for column in columns
            ],
            "n_per_point": curve.n_per_point,
            "points": {
                "from": [round(one.start_s, 3) for one in points],
                "to": [round(one.end_s, 3) for one in points],
                "percent": [[round(100 * value) for value in one.values] for one in points],
                "uncertain": [int(one.uncertain) for one in points],
            },
        }


def _line(points: Sequence[_Point], values: Sequence[float], axis: _Axis) -> str:
    """Return a curve through the middles of the points, broken where the track was not seen."""
    places = (
        f"{'L' if one.goes_on else 'M'}{axis.x((one.start_s + one.end_s) / 2):.1f} "
        f"{_HEIGHT * (1 - value):.1f}{'' if one.goes_on else 'h0'}"
        for one, value in zip(points, values, strict=True)
    )
    return "".join(places)


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
    return sorted(chosen[:_MOST_TRACKS], key=lambda track: track.track_id)
