"""Sum up a video per track: how long, which share of the time each expression, longest stretches.

A frame counts for the time until the next one, the last for as long as the one before. A stretch
is a run of frames of a track with one expression, all certain or all uncertain; it continues over
short gaps, whose time counts for nothing. Uncertain time is counted apart from shares and
stretches.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from facial_expressions.plain_text import counted, one_line, visible
from facial_expressions.results import SCHEMA
from facial_expressions.rows import DECIMALS, Column, as_row, rounded

if TYPE_CHECKING:
    from facial_expressions.results import FrameResult

MIN_TRACK_S: Final = 0.3
"""Tracks that were seen for a shorter time are not listed."""

_N_STRETCHES: Final = 3


@dataclass(frozen=True, slots=True)
class Stretch:
    """A run of frames of one track with one expression.

    Attributes:
        expression: The expression.
        start_s: Time of its first frame in seconds.
        end_s: Time of its end in seconds.
        seen_s: Seconds of it in which the face was seen.
        uncertain: Whether its answers are uncertain.
    """

    expression: str
    start_s: float
    end_s: float
    seen_s: float
    uncertain: bool = False


@dataclass(frozen=True, slots=True)
class TrackSummary:
    """One face over the whole video.

    Attributes:
        track_id: The track's number.
        start_s: Time of its first frame in seconds.
        end_s: Time of its end in seconds.
        n_frames: Frames in which it was seen.
        seen_s: Seconds in which it was seen.
        stretches: Its runs of one expression, in order, the uncertain ones too.
        n_by_reason: Frames in which its answer was uncertain, by reason, the most frequent first; a
            frame may have several reasons.
    """

    track_id: int
    start_s: float
    end_s: float
    n_frames: int
    seen_s: float
    stretches: tuple[Stretch, ...]
    n_by_reason: Mapping[str, int] = field(default_factory=dict)

    @property
    def certain(self) -> tuple[Stretch, ...]:
        """Its stretches of certain answers, in order."""
        return tuple(stretch for stretch in self.stretches if not stretch.uncertain)

    @property
    def certain_s(self) -> float:
        """Seconds in which it was seen and its answer was certain."""
        return sum(stretch.seen_s for stretch in self.certain)

    @property
    def uncertain_s(self) -> float:
        """Seconds in which it was seen and its answer was uncertain."""
        return sum(stretch.seen_s for stretch in self.stretches if stretch.uncertain)

    @property
    def shares(self) -> dict[str, float]:
        """Share of the certain time by expression, the largest first; they sum to 1, or none is."""
        totals: dict[str, float] = {}
        for stretch in self.certain:
            totals[stretch.expression] = totals.get(stretch.expression, 0.0) + stretch.seen_s
        whole = sum(totals.values()) or 1.0
        return {name: totals[name] / whole for name in sorted(totals, key=lambda n: -totals[n])}

    @property
    def longest(self) -> tuple[Stretch, ...]:
        """The three longest certain stretches, the longest first."""
        return tuple(sorted(self.certain, key=lambda one: -one.seen_s)[:_N_STRETCHES])


@dataclass(frozen=True, slots=True)
class Summary:
    """One video, summed up.

    Attributes:
        source: What rows call the video.
        status: ``ok``, ``truncated`` (the file is cut or damaged) or ``interrupted``.
        n_frames: Frames in all.
        n_frames_without_face: Frames in which no face was seen.
        start_s: Time of the first frame in seconds.
        duration_s: Seconds from there to the end of the last frame.
        tracks: The faces that were seen for long enough, in order of their numbers.
        n_faces: Faces in all frames.
        cuts: Times in seconds of the frames with which a new shot begins.
        min_track_s: Seconds that a track was seen at least, to be among ``tracks``.
        n_short_tracks: Tracks that were not.
        errors: Outputs that could not be written to their end, each with its reason.
    """

    source: str
    status: str
    n_frames: int
    n_frames_without_face: int
    start_s: float
    duration_s: float
    tracks: tuple[TrackSummary, ...]
    n_faces: int = 0
    cuts: tuple[float, ...] = ()
    min_track_s: float = MIN_TRACK_S
    n_short_tracks: int = 0
    errors: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        """One line for people: length, frames, faces, tracks and cuts."""
        short = f" and {self.n_short_tracks} under {self.min_track_s:g} s" * bool(
            self.n_short_tracks
        )
        mark = "" if self.status == "ok" else f", {self.status}"
        return (
            f"{one_line(self.source)}: {self.duration_s:.2f} s, {counted(self.n_frames, 'frame')}, "
            f"{self.n_frames_without_face:,} without a face, {counted(self.n_faces, 'face')} in "
            f"{counted(len(self.tracks), 'track')}{short}, {counted(len(self.cuts), 'cut')}{mark}"
        )

    def to_json(self) -> str:
        """Return an indented JSON object; seconds and shares have six decimals."""
        row = rounded(_SUMMARY, as_row(_SUMMARY, self, schema=SCHEMA))
        return visible(json.dumps(row, ensure_ascii=False, allow_nan=False, indent=2)) + "\n"

    def to_text(self) -> str:
        """Return a few lines for people."""
        errors = [f"  error: {one_line(one)}" for one in self.errors]
        return "\n".join([self.headline, *errors, *map(_track_line, self.tracks)]) + "\n"


class VideoSummary:
    r"""Collects results; memory grows with changes of expression, not with frames.

    Tracks that were seen for less than ``min_track_s`` are counted, not listed.

    Examples:
        >>> VideoSummary("clip.mp4").finish().to_text()
        'clip.mp4: 0.00 s, 0 frames, 0 without a face, 0 faces in 0 tracks, 0 cuts\n'
    """

    def __init__(self, source: str, *, min_track_s: float = MIN_TRACK_S) -> None:
        self._source, self._min_track_s = source, min_track_s
        self._pending: FrameResult | None = None
        self._n_frames = self._n_without = self._n_faces = 0
        self._cuts: list[float] = []
        self._start_s = self._end_s = self._last_step_s = 0.0
        self._n_seen: dict[int, int] = {}
        self._reasons: dict[int, Counter[str]] = {}
        self._stretches: dict[int, list[Stretch]] = {}

    def add(self, result: FrameResult) -> None:
        """Take the next frame's result, no earlier than the one before."""
        if self._pending is None:
            self._start_s = result.time_s
        else:
            self._count(self._pending, result.time_s)
        self._pending = result
        self._end_s = result.time_s
        self._n_frames += 1
        self._n_without += not result.faces
        self._n_faces += len(result.faces)
        self._cuts += [result.time_s] * result.is_cut

    def finish(self, *, status: str = "ok", errors: Sequence[str] = ()) -> Summary:
        """Return the summary; nothing may be added after this."""
        if self._pending is not None:
            self._end_s = self._pending.time_s + self._last_step_s
            self._count(self._pending, self._end_s)
            self._pending = None
        tracks = tuple(self._track(number) for number in sorted(self._stretches))
        return Summary(
            self._source,
            status,
            self._n_frames,
            self._n_without,
            self._start_s,
            self._end_s - self._start_s,
            tuple(track for track in tracks if self._is_listed(track)),
            self._n_faces,
            tuple(self._cuts),
            self._min_track_s,
            sum(not self._is_listed(track) for track in tracks),
            tuple(errors),
        )

    def _is_listed(self, track: TrackSummary) -> bool:
        return track.seen_s >= self._min_track_s - 1e-6

    def _count(self, result: FrameResult, end_s: float) -> None:
        """Count a frame that lasts until ``end_s``."""
        step_s = self._last_step_s = end_s - result.time_s
        for face in result.faces:
            stretches = self._stretches.setdefault(face.track_id, [])
            self._n_seen[face.track_id] = self._n_seen.get(face.track_id, 0) + 1
            self._reasons.setdefault(face.track_id, Counter()).update(face.reasons)
            kind = (face.expression, face.uncertain)
            if stretches and (stretches[-1].expression, stretches[-1].uncertain) == kind:
                last = stretches.pop()
                start_s, seen_s = last.start_s, last.seen_s + step_s
            else:
                start_s, seen_s = result.time_s, step_s
            stretches.append(
                Stretch(face.expression, start_s, end_s, seen_s, uncertain=face.uncertain)
            )

    def _track(self, number: int) -> TrackSummary:
        stretches = tuple(self._stretches[number])
        return TrackSummary(
            number,
            stretches[0].start_s,
            stretches[-1].end_s,
            self._n_seen[number],
            sum(stretch.seen_s for stretch in stretches),
            stretches,
            dict(self._reasons[number].most_common()),
        )


def _track_line(track: TrackSummary) -> str:
    """Return a line for people about one track."""
    parts = [
        f"  track {track.track_id}: seen {track.seen_s:.2f} s between {track.start_s:.2f} "
        f"and {track.end_s:.2f} s, {track.certain_s:.2f} s of it certain"
    ]
    if track.certain:
        longest = track.longest[0]
        shares = ", ".join(f"{name} {share:.0%}" for name, share in track.shares.items())
        parts[0] += f": {shares}"
        parts += [
            f"longest {longest.expression} {longest.seen_s:.2f} s from {longest.start_s:.2f} s"
        ]
    if track.n_by_reason:
        reasons = ", ".join(f"{name} {n}" for name, n in track.n_by_reason.items())
        parts += [f"frames uncertain: {reasons}"]
    return "; ".join(parts)


def _seconds(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "float64", decimals=DECIMALS) for name in names)


_STRETCH: Final = (Column("expression", "string"), *_seconds("start_s", "end_s", "seen_s"))
_TRACK: Final = (
    Column("track_id", "int32"), *_seconds("start_s", "end_s"),
    Column("n_frames", "int64"), *_seconds("seen_s", "certain_s", "uncertain_s"),
    Column("shares", "float64", decimals=DECIMALS, is_by_label=True),
    Column("n_by_reason", "int64", is_by_label=True),
    Column("longest_stretches", "row", columns=_STRETCH, shape=(None,),
           read=lambda track: track.longest),
)  # fmt: skip
_SUMMARY: Final = (
    Column("schema", "int32"), Column("source", "string"), Column("status", "string"),
    Column("n_frames", "int64"), Column("n_frames_without_face", "int64"),
    Column("n_faces", "int64"), Column("errors", "string", shape=(None,)),
    *_seconds("start_s", "duration_s"),
    Column("cuts", "float64", decimals=DECIMALS, shape=(None,)),
    *_seconds("min_track_s"), Column("n_short_tracks", "int64"),
    Column("tracks", "row", columns=_TRACK, shape=(None,)),
)  # fmt: skip
