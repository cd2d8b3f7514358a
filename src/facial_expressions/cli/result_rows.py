"""Print rows: each at once, and as text for people."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Final

from facial_expressions.plain_text import one_line

if TYPE_CHECKING:
    from facial_expressions.results import Face, ImageResult

__all__ = ["describe_counts", "print_row", "to_text"]

_MORE_THAN: Final = 0.05
"""Other expressions are named in text when they are more probable than this."""


def print_row(row: str) -> None:
    """Print one row at once: a signal that comes between two writes would leave half a line.

    ``print`` writes a line and its end apart, which shows where Python does not buffer
    (``PYTHONUNBUFFERED``).
    """
    sys.stdout.write(f"{row}\n")
    sys.stdout.flush()


def describe_counts(counts: Counter[str]) -> str:
    """Say what became of many images.

    Args:
        counts: Rows of each status, and ``faces``.

    Examples:
        >>> describe_counts(Counter(ok=1200, rejected=1, faces=1310))
        '1,201 images: 1,200 ok, 1 rejected; 1,310 faces'
        >>> describe_counts(Counter())
        '0 images'
    """
    statuses = [name for name in ("ok", "rejected", "failed", "skipped") if counts[name]]
    text = f"{sum(counts[name] for name in statuses):,} images"
    if statuses:
        parts = ", ".join(f"{counts[name]:,} {name}" for name in statuses)
        text += f": {parts}; {counts['faces']:,} faces"
    return text


def to_text(row: ImageResult) -> str:
    """Return a line for the image and one for each of its faces."""
    name = one_line(row.source)
    if row.status != "ok":
        return f"{name}  {row.status}: {one_line(' '.join(row.error.split()))}"
    n = len(row.faces)
    count = "no face" if n == 0 else "1 face" if n == 1 else f"{n} faces"
    if row.truncated:
        count += ", there may be more"
    lines = [f"{name}  {row.width}x{row.height}  {count}"]
    return "\n".join(lines + [_text_face(i, face) for i, face in enumerate(row.faces, 1)])


def _text_face(number: int, face: Face) -> str:
    left, top, right, bottom = (round(value) for value in face.box.xyxy)
    why = ", ".join(reason for reason in face.reasons if reason != "unsure")
    doubt = f"  uncertain: {why}" if why else "  uncertain" if face.uncertain else ""
    others = sorted(face.probabilities.items(), key=lambda item: -item[1])[1:]
    named = ", ".join(f"{label} {value:.0%}" for label, value in others if value > _MORE_THAN)
    text = f"  {number:>3}  {face.expression:<8} {face.confidence:>4.0%}{doubt}"
    return f"{text}  at ({left}, {top})-({right}, {bottom})" + (f"  also {named}" if named else "")
