"""One row as a line of CSV: what ``predict`` prints and ``video`` writes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Final

__all__ = ["to_csv_line"]

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
_STANDARD_INPUT: Final = "-"


def to_csv_line(values: Iterable[str | float | None]) -> str:
    """Return one line of CSV without its end, quoted so that a carriage return stays in its cell.

    A text that a spreadsheet would run as a formula gets an apostrophe before it; a number does
    not, also a negative one. Yes and no become ``true`` and ``false``, None becomes an empty cell.

    Args:
        values: The cells. Round numbers first.

    Examples:
        >>> print(to_csv_line(["=1+1", -2.5, True, None, "a,b"]))
        '=1+1,-2.5,true,,"a,b"
    """
    text = io.StringIO()
    # With this end of line the writer puts both of its characters in quotes wherever they stand.
    csv.writer(text, lineterminator="\r\n").writerow([_cell(value) for value in values])
    return text.getvalue().removesuffix("\r\n")


def _cell(value: str | float | bool | None) -> str | float | None:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS) and value != _STANDARD_INPUT:
        return f"'{value}"
    return value
