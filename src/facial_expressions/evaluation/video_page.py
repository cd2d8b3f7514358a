"""Renders what a video showed as one HTML page without other files, scripts or network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from facial_expressions.evaluation.curve_charts import nice_ticks
from facial_expressions.evaluation.html_parts import (
    card,
    headline,
    page,
    page_header,
    scroll,
    table_head,
    table_row,
)
from facial_expressions.evaluation.timeline import Span

__all__ = ["VideoRecord", "VideoTrack", "render_video_page"]

_WIDTH: Final = 1000
_LEFT: Final = 84
_ROW: Final = 34
_BAR: Final = 24
_AXIS: Final = 40
_MOST_TICKS: Final = 11

_STATUS: Final = {
    "ok": "read to its end",
    "truncated": "cut short or damaged: read up to there",
    "interrupted": "stopped before its end",
}

_MEANING: Final = (
    '<p class="muted">An expression is the word that people would choose for the face in a frame, '
    "not what the person feels. A track is a face that was followed; after a longer absence the "
    "same person has a new number.</p>\n"
)


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """One face of a video.

    Attributes:
        number: The track's number.
        seen_s: Seconds in which it was seen.
        spans: Its expressions in order, with the seconds of start and end.
        shares: Share of the seen time by expression, 0 to 1, the largest first.
        longest: The longest spans, the longest first.
    """

    number: int
    seen_s: float
    spans: Sequence[Span]
    shares: Mapping[str, float]
    longest: Sequence[Span]


@dataclass(frozen=True, slots=True)
class VideoRecord:
    """What a video showed.

    Attributes:
        name: What the page calls it.
        status: ``ok``, ``truncated`` or ``interrupted``.
        n_frames: Frames in all.
        n_frames_without_face: Frames in which no face was seen.
        start_s: Time of the first frame in seconds.
        duration_s: Seconds from there to the end of the last frame.
        tracks: The faces.
    """

    name: str
    status: str
    n_frames: int
    n_frames_without_face: int
    start_s: float
    duration_s: float
    tracks: Sequence[VideoTrack]


def render_video_page(record: VideoRecord, *, colors: Mapping[str, tuple[int, int, int]]) -> str:
    """Return the page: timeline, shares and longest stretches of each track.

    Args:
        record: What the video showed.
        colors: RGB, 0 to 255, of each expression that may occur; the key has their order.
    """
    paint = {
        name: f"#{red:02x}{green:02x}{blue:02x}" for name, (red, green, blue) in colors.items()
    }
    sections = [
        page_header(record.name, f"Expressions over time; the video was {_STATUS[record.status]}."),
        headline(_figures(record)),
        card("Timeline", _timeline(record, paint) + _key(paint)),
        card("Share of the time each face was seen", _shares(record, list(colors))),
        card("Longest stretches", _stretches(record)),
        card("What this is", _MEANING),
    ]
    return page(f"{record.name}: expressions over time", "".join(sections))


def _figures(record: VideoRecord) -> list[tuple[str, str, str]]:
    with_face = record.n_frames - record.n_frames_without_face
    share = 100 * with_face / max(record.n_frames, 1)
    return [
        ("Length", f"{record.duration_s:.2f} s", f"from {record.start_s:.2f} s"),
        ("Frames", f"{record.n_frames:,}", f"{share:.1f} % with a face"),
        ("Tracks", f"{len(record.tracks)}", "faces that were followed"),
    ]


def _timeline(record: VideoRecord, paint: Mapping[str, str]) -> str:
    """Return one row of bars per track over an axis of seconds; it may scroll on a narrow page."""
    if not record.tracks:
        return '<p class="muted">No face was seen.</p>\n'
    end_s = record.start_s + max(record.duration_s, 1e-3)
    scale = (_WIDTH - _LEFT - 12) / (end_s - record.start_s)
    parts, bottom = [], len(record.tracks) * _ROW
    for tick in nice_ticks(record.start_s, end_s, most=_MOST_TICKS):
        if record.start_s <= tick <= end_s:
            x = _LEFT + (tick - record.start_s) * scale
            parts.append(
                f'<line class="chart-grid" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{bottom}"/>'
            )
            parts.append(_text("chart-text", x, bottom + 16, f"{tick:g}"))
    for row, track in enumerate(record.tracks):
        top = row * _ROW + (_ROW - _BAR) / 2
        parts.append(_text("chart-label", _LEFT - 10, top + 17, f"track {track.number}", "end"))
        for name, start_s, stop_s in track.spans:
            x, width = _LEFT + (start_s - record.start_s) * scale, (stop_s - start_s) * scale
            parts.append(
                f'<rect x="{x:.2f}" y="{top:.0f}" width="{max(width, 0.5):.2f}" height="{_BAR}" '
                f'fill="{paint[name]}"><title>{escape(name)}, {start_s:.2f} to {stop_s:.2f} s'
                "</title></rect>"
            )
    parts.append(_text("chart-label", (_LEFT + _WIDTH) / 2, bottom + 34, "Time in seconds"))
    svg = (
        f'<svg class="chart timeline" viewBox="0 0 {_WIDTH} {bottom + _AXIS}" role="img" '
        f'aria-label="Expression of each track over time">{"".join(parts)}</svg>\n'
    )
    return scroll("Timeline", svg)


def _key(paint: Mapping[str, str]) -> str:
    parts = "".join(
        f'<span><span class="key" style="background:{color};opacity:1"></span>{escape(name)}</span>'
        for name, color in paint.items()
    )
    return f'<p class="muted keys">{parts}</p>\n'


def _shares(record: VideoRecord, names: Sequence[str]) -> str:
    head = table_head(["Track", "Seen", *names])
    body = "".join(
        table_row(
            [
                f"track {track.number}",
                f"{track.seen_s:.2f} s",
                *(f"{100 * track.shares.get(name, 0.0):.1f} %" for name in names),
            ]
        )
        for track in record.tracks
    )
    return scroll("Shares", f"<table>\n{head}<tbody>\n{body}</tbody>\n</table>\n")


def _stretches(record: VideoRecord) -> str:
    head = table_head(["Track", "Expression", "From", "To"])
    body = "".join(
        table_row([f"track {track.number}", name, f"{start_s:.2f} s", f"{stop_s:.2f} s"])
        for track in record.tracks
        for name, start_s, stop_s in track.longest
    )
    return scroll("Longest stretches", f"<table>\n{head}<tbody>\n{body}</tbody>\n</table>\n")


def _text(name: str, x: float, y: float, text: str, anchor: str = "middle") -> str:
    return (
        f'<text class="{name}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )
