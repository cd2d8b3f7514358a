"""Write results as text, JSON Lines or CSV. Numbers are rounded here and in ``json_rows``.

The rows of videos are in ``media/row_sinks.py``, rounded alike.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from facial_expressions.csv_rows import to_csv_line
from facial_expressions.json_rows import to_json

if TYPE_CHECKING:
    from facial_expressions.results import Face, ImageResult

__all__ = ["csv_header", "print_row", "to_csv", "to_json", "to_text"]

_DECIMALS: Final = 6
_PIXEL_DECIMALS: Final = 2
_FACE_COLUMNS: Final = (
    "face", "left", "top", "right", "bottom", "detection_score", "expression", "confidence",
    "uncertain",
)  # fmt: skip
_MORE_THAN: Final = 0.05
"""Other expressions are named in text when they are more probable than this."""


def print_row(row: str) -> None:
    """Print one row at once: a signal that comes between two writes would leave half a line.

    ``print`` writes a line and its end apart, which shows where Python does not buffer
    (``PYTHONUNBUFFERED``).
    """
    sys.stdout.write(f"{row}\n")
    sys.stdout.flush()


def csv_header(labels: Sequence[str]) -> str:
    """Return the first line of a CSV."""
    columns = ("source", "status", "width", "height", *_FACE_COLUMNS, *labels, "error")
    return to_csv_line(columns)


def to_csv(row: ImageResult, labels: Sequence[str]) -> str:
    """Return one line per face; a picture without one has a line with those columns empty.

    A text that a spreadsheet would run as a formula has an apostrophe before it.
    """
    start = (row.source, row.status, row.width, row.height)
    empty = ("",) * (len(_FACE_COLUMNS) + len(labels))
    faces = [(*start, *_csv_face(i, face), "") for i, face in enumerate(row.faces, 1)]
    return "\n".join(map(to_csv_line, faces or [(*start, *empty, row.error)]))


def to_text(row: ImageResult) -> str:
    """Return a line for the picture and one for each of its faces."""
    name = _printable(row.source)
    if row.status != "ok":
        return f"{name}  {row.status}: {_printable(' '.join(row.error.split()))}"
    n = len(row.faces)
    count = "no face" if n == 0 else "1 face" if n == 1 else f"{n} faces"
    if row.truncated:
        count += ", there may be more"
    lines = [f"{name}  {row.width}x{row.height}  {count}"]
    return "\n".join(lines + [_text_face(i, face) for i, face in enumerate(row.faces, 1)])


def _printable(text: str) -> str:
    """Return the text without characters that would steer a terminal."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def _text_face(number: int, face: Face) -> str:
    left, top, right, bottom = (round(value) for value in face.box.xyxy)
    doubt = "  uncertain" if face.uncertain else ""
    others = sorted(face.probabilities.items(), key=lambda item: -item[1])[1:]
    named = ", ".join(f"{label} {value:.0%}" for label, value in others if value > _MORE_THAN)
    text = f"  {number:>3}  {face.expression:<8} {face.confidence:>4.0%}{doubt}"
    return f"{text}  at ({left}, {top})-({right}, {bottom})" + (f"  also {named}" if named else "")


def _csv_face(number: int, face: Face) -> tuple[Any, ...]:
    return (
        number,
        *_rounded(face.box.xyxy, _PIXEL_DECIMALS),
        round(face.detection_score, _DECIMALS),
        face.expression,
        round(face.confidence, _DECIMALS),
        face.uncertain,
        *_rounded(face.probabilities.values(), _DECIMALS),
    )


def _rounded(values: Any, decimals: int) -> list[float]:  # noqa: ANN401
    return [round(value, decimals) for value in values]
