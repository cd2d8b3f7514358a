"""Each track's probabilities over time and its best face, small however long the video is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from facial_expressions.pages.templating import face_thumbnail

if TYPE_CHECKING:
    from PIL import Image

    from facial_expressions.media.frames import Frame
    from facial_expressions.results import FrameResult, TrackedFace

MOST_TRACKS: Final = 30
"""Of more tracks those that were seen longest are shown."""

MOST_POINTS: Final = 300
"""A curve of more frames has means of 2, 4, 8, ... of them as its points."""

_LARGER: Final = 1.1
"""A face replaces the best one so far when its box is larger by this factor."""


@dataclass(frozen=True, slots=True)
class Span:
    """A point of a curve.

    Attributes:
        start_s: Time of its first frame in seconds.
        end_s: Time of the next frame.
        values: Mean probability of each expression.
        uncertain: Whether most of its answers are uncertain.
        goes_on: Whether the track was seen in the frame before, too.
    """

    start_s: float
    end_s: float
    values: tuple[float, ...]
    uncertain: bool
    goes_on: bool


@dataclass(slots=True)
class _Point:
    """Frames of one track, one after the other."""

    first: tuple[int, float]
    last: tuple[int, float]
    n: int
    n_uncertain: int
    sums: tuple[float, ...]

    def joined(self, later: _Point) -> _Point:
        return _Point(
            self.first,
            later.last,
            self.n + later.n,
            self.n_uncertain + later.n_uncertain,
            tuple(a + b for a, b in zip(self.sums, later.sums, strict=True)),
        )


@dataclass(slots=True)
class TrackCurve:
    """One track so far.

    Attributes:
        n_frames: Frames in which it was seen.
        n_per_point: So many frames are one point of its curve.
        face: The largest of its certain faces, small; of the others if none is certain.
    """

    n_frames: int = 0
    n_per_point: int = 1
    face: Image.Image | None = None
    _best: tuple[bool, float] = (False, 0.0)
    _points: list[_Point] = field(default_factory=list)

    def add(self, frame: Frame, face: TrackedFace) -> None:
        """Take the track's face in the next frame.

        Args:
            frame: Later than the one before.
            face: What was found in it.
        """
        self.n_frames += 1
        here, points = (frame.frame, frame.time_s), self._points
        point = _Point(here, here, 1, int(face.uncertain), face.prediction.values)
        is_next = bool(points) and points[-1].last[0] + 1 == frame.frame
        if is_next and points[-1].n < self.n_per_point:
            points[-1] = points[-1].joined(point)
        else:
            points.append(point)
        if len(points) > MOST_POINTS:
            self.n_per_point *= 2
            pairs = zip(points[::2], points[1::2], strict=False)
            self._points = [a.joined(b) for a, b in pairs] + points[len(points) // 2 * 2 :]
        area = face.box.area
        if (not face.uncertain, area) > (self._best[0], self._best[1] * _LARGER):
            self._best = (not face.uncertain, area)
            self.face = face_thumbnail(frame.image, face.box)

    def spans(self, step_s: float) -> Iterator[Span]:
        """Yield the points in order.

        Args:
            step_s: Seconds from frame to frame, on average: so long lasts the last one.
        """
        before = -1
        for i, point in enumerate(self._points):
            after = self._points[i + 1].first if i + 1 < len(self._points) else (-1, 0.0)
            end_s = after[1] if after[0] == point.last[0] + 1 else point.last[1] + step_s
            values = tuple(value / point.n for value in point.sums)
            is_uncertain = 2 * point.n_uncertain > point.n
            goes_on = before + 1 == point.first[0] and i > 0
            yield Span(point.first[1], end_s, values, is_uncertain, goes_on)
            before = point.last[0]


class TrackCurves:
    """The curves of all tracks that may be among the longest seen: the others are let go.

    Attributes:
        kept: The curves by the numbers of their tracks.
    """

    def __init__(self) -> None:
        self.kept: dict[int, TrackCurve] = {}

    def add(self, frame: Frame, result: FrameResult) -> None:
        """Take the next frame.

        Args:
            frame: Its pixels.
            result: What was found in it.
        """
        for face in result.faces:
            self.kept.setdefault(face.track_id, TrackCurve()).add(frame, face)
        if len(self.kept) > 2 * MOST_TRACKS + len(result.faces):
            present = {face.track_id for face in result.faces}
            ended = [number for number in self.kept if number not in present]
            ended.sort(key=lambda number: (self.kept[number].n_frames, -number))
            for number in ended[:-MOST_TRACKS]:
                del self.kept[number]
