"""Print rows: each at once, and as text for people, with colour bars on a terminal."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Final

from facial_expressions.plain_text import counted, one_line, shown

if TYPE_CHECKING:
    from rich.text import Text

    from facial_expressions.results import Face, ImageResult

_MORE_THAN: Final = 0.05
"""Other expressions are named in text when they are more probable than this."""

_BAR_CELLS: Final = 20


def print_row(row: str) -> None:
    """Print one row at once: a signal that comes between two writes would leave half a line.

    ``print`` writes a line and its end apart, which shows where Python does not buffer
    (``PYTHONUNBUFFERED``).
    """
    sys.stdout.write(f"{row}\n")
    sys.stdout.flush()


def describe_counts(counts: Counter[str]) -> str:
    """Say what became of many images: counted are the rows of each status, and ``faces``.

    Examples:
        >>> describe_counts(Counter(ok=1200, rejected=1, faces=1310))
        '1,201 images: 1,200 ok, 1 rejected; 1,310 faces'
        >>> describe_counts(Counter())
        '0 images'
    """
    statuses = [name for name in ("ok", "rejected", "failed", "skipped") if counts[name]]
    text = counted(sum(counts[name] for name in statuses), "image")
    if statuses:
        parts = ", ".join(f"{counts[name]:,} {name}" for name in statuses)
        text += f": {parts}; {counted(counts['faces'], 'face')}"
    return text


def print_text(row: ImageResult) -> None:
    """Print a line for the image and one for each of its faces, at once.

    On a terminal that shows colours a bar beside each face shows the shares of all expressions.
    """
    if not sys.stdout.isatty():
        print_row(to_text(row))
        return
    from rich.console import Console

    from facial_expressions.cli.streams import terminal_of

    console = Console(file=terminal_of(sys.stdout), highlight=False, soft_wrap=True)
    if console.color_system is None or console.no_color:
        print_row(to_text(row))
    else:
        console.print(_colored(row))


def to_text(row: ImageResult) -> str:
    """Return a line for the image and one for each of its faces."""
    faces = (_face_parts(number, face) for number, face in enumerate(row.faces, 1))
    return "\n".join([_image_line(row), *("".join(parts) for parts in faces)])


def _colored(row: ImageResult) -> Text:
    from rich.text import Text

    from facial_expressions.colors import expression_color

    text = Text(_image_line(row))
    for number, face in enumerate(row.faces, 1):
        answer, details = _face_parts(number, face)
        text.append(f"\n{answer}  ")
        done, drawn = 0.0, 0
        for name, share in sorted(face.probabilities.items(), key=lambda item: -item[1]):
            done += share
            cells = min(round(done * _BAR_CELLS), _BAR_CELLS) - drawn
            text.append("\N{FULL BLOCK}" * cells, "rgb({},{},{})".format(*expression_color(name)))
            drawn += cells
        text.append(details)
    return text


def _image_line(row: ImageResult) -> str:
    name = one_line(row.source)
    if row.status != "ok":
        why = row.error.removeprefix(f"{shown(row.source)}: ")  # the line has named it already
        return f"{name}  {row.status}: {one_line(' '.join(why.split()))}"
    count = counted(len(row.faces), "face") if row.faces else "no face"
    if row.truncated:
        count += ", there may be more"
    drawn = f"  drawn: {one_line(row.drawn)}" if row.drawn else ""
    return f"{name}  {row.width}x{row.height}  {count}{drawn}"


def _face_parts(number: int, face: Face) -> tuple[str, str]:
    """Return the answer for one face, and its details."""
    left, top, right, bottom = (round(value) for value in face.box.xyxy)
    why = ", ".join(reason for reason in face.reasons if reason != "unsure")
    doubt = f"  uncertain: {why}" if why else "  uncertain" if face.uncertain else ""
    others = sorted(face.probabilities.items(), key=lambda item: -item[1])[1:]
    named = ", ".join(f"{label} {value:.0%}" for label, value in others if value > _MORE_THAN)
    details = f"{doubt}  at ({left}, {top})-({right}, {bottom})"
    details += f"  also {named}" if named else ""
    return f"  {number:>3}  {face.expression:<8} {face.confidence:>4.0%}", details
