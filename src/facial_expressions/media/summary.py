"""Sum up a video per track: how long, which share of the time each expression, longest stretches.

A frame counts for the time until the next one, the last for as long as the one before. A stretch
is a run of frames of a track with one expression, all certain or all uncertain; it continues over
short gaps, whose time counts for nothing. Uncertain time is counted apart from shares and
stretches.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from facial_expressions.plain_text import counted, one_line, visible
from facial_expressions.results import SCHEMA, FrameResult, TrackedFace
from facial_expressions.rows import DECIMALS, Column, as_row, rounded

MIN_TRACK_S: Final = 0.3
"""Tracks that were seen for a shorter time are not listed."""

_N_STRETCHES: Final = 3


@dataclass(slots=True)
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


@dataclass(slots=True)
class TrackSummary:
    """One face over the whole video.

    Attributes:
        track_id: The track's number.
        n_frames: Frames in which it was seen.
        stretches: Its runs of one expression, in order, the uncertain ones too; one or more.
        reasons: Reasons for which its answer was uncertain; a frame may have several.
    """

    track_id: int
    n_frames: int = 0
    stretches: list[Stretch] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, face: TrackedFace, time_s: float, end_s: float) -> None:
        """Take the face of a frame that lasts from one time to another."""
        self.n_frames += 1
        self.reasons.update(face.reasons)
        last = self.stretches[-1] if self.stretches else None
        if last and (last.expression, last.uncertain) == (face.expression, face.uncertain):
            last.end_s, last.seen_s = end_s, last.seen_s + (end_s - time_s)
        else:
            new = Stretch(face.expression, time_s, end_s, end_s - time_s, uncertain=face.uncertain)
            self.stretches.append(new)

    @property
    def start_s(self) -> float:
        """Time of its first frame in seconds."""
        return self.stretches[0].start_s

    @property
    def end_s(self) -> float:
        """Time of its end in seconds."""
        return self.stretches[-1].end_s

    @property
    def certain(self) -> list[Stretch]:
        """Its stretches of certain answers, in order."""
        return [stretch for stretch in self.stretches if not stretch.uncertain]

    @property
    def seen_s(self) -> float:
        """Seconds in which it was seen."""
        return sum(stretch.seen_s for stretch in self.stretches)

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
    def n_by_reason(self) -> dict[str, int]:
        """Frames in which its answer was uncertain, by reason, the most frequent first."""
        return dict(self.reasons.most_common())

    @property
    def longest(self) -> list[Stretch]:
        """The three longest certain stretches, the longest first."""
        return sorted(self.certain, key=lambda one: -one.seen_s)[:_N_STRETCHES]


@dataclass
class VideoSummary:
    r"""One video, summed up frame by frame; memory grows with changes of expression, not frames.

    Attributes:
        source: What rows call the video.
        min_track_s: Seconds that a track has to be seen, to be among ``tracks``.
        status: ``ok``, ``truncated`` (the file is cut or damaged) or ``interrupted``.
        errors: Outputs that could not be written to their end, each with its reason.
        n_frames: Frames in all.
        n_frames_without_face: Frames in which no face was seen.
        n_faces: Faces in all frames.
        cuts: Times in seconds of the frames with which a new shot begins.
        start_s: Time of the first frame in seconds.
        end_s: Time of the last one's end.
        by_number: Every track, also those that were seen for less than ``min_track_s``.

    Examples:
        >>> VideoSummary("clip.mp4").finish().to_text()
        'clip.mp4: 0.00 s, 0 frames, 0 without a face, 0 faces in 0 tracks, 0 cuts\n'
    """

    source: str
    min_track_s: float = MIN_TRACK_S
    status: str = "ok"
    errors: Sequence[str] = ()
    n_frames: int = 0
    n_frames_without_face: int = 0
    n_faces: int = 0
    cuts: list[float] = field(default_factory=list)
    start_s: float = 0.0
    end_s: float = 0.0
    by_number: dict[int, TrackSummary] = field(default_factory=dict)
    _last: FrameResult | None = None
    _step_s: float = 0.0

    def add(self, result: FrameResult) -> None:
        """Take the next frame's result, no earlier than the one before."""
        if self._last is None:
            self.start_s = self.end_s = result.time_s
        self._end_last(result.time_s)
        self._last = result
        self.n_frames += 1
        self.n_frames_without_face += not result.faces
        self.n_faces += len(result.faces)
        self.cuts += [result.time_s] * result.is_cut

    def finish(self, *, status: str = "ok", errors: Sequence[str] = ()) -> Self:
        """Count the last frame too, and return this summary; nothing may be added after this."""
        if self._last is not None:
            self._end_last(self._last.time_s + self._step_s)
        self._last, self.status, self.errors = None, status, errors
        return self

    def _end_last(self, end_s: float) -> None:
        """Count the frame before, now that its end is known."""
        if self._last is None:
            return
        for face in self._last.faces:
            track = self.by_number.setdefault(face.track_id, TrackSummary(face.track_id))
            track.add(face, self._last.time_s, end_s)
        self._step_s, self.end_s = end_s - self._last.time_s, end_s

    @property
    def duration_s(self) -> float:
        """Seconds from the first frame to the end of the last."""
        return self.end_s - self.start_s

    @property
    def tracks(self) -> list[TrackSummary]:
        """The faces that were seen for long enough, in order of their numbers."""
        tracks = [self.by_number[number] for number in sorted(self.by_number)]
        return [track for track in tracks if track.seen_s >= self.min_track_s - 1e-6]

    @property
    def n_short_tracks(self) -> int:
        """Tracks that were not."""
        return len(self.by_number) - len(self.tracks)

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
