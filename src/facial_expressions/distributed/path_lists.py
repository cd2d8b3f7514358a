"""Read lists of paths: plain text, CSV and JSON Lines, one line at a time."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from facial_expressions.errors import BatchError

__all__ = ["LIST_SUFFIXES", "ListEntry", "read_paths"]

LIST_SUFFIXES: Final = frozenset({".txt", ".lst", ".csv", ".jsonl", ".ndjson"})
"""Endings, in lower case, of files that are lists of paths."""

_NAMES: Final = ("path", "source", "file", "filename")
"""Columns or keys that hold the path; the first that is there is taken."""


@dataclass(frozen=True, slots=True)
class ListEntry:
    """One entry of a list.

    Attributes:
        path: The path as it is written there.
        error: Why the entry names none; empty when it does.
    """

    path: str
    error: str = ""


def read_paths(path: Path) -> Iterator[ListEntry]:
    """Read a list of paths.

    Args:
        path: Plain text (``.txt``, ``.lst``) with a path per line; CSV with a column ``path``,
            ``source``, ``file`` or ``filename``; or JSON Lines with such a key or a bare string
            per line. UTF-8; bytes that are none are kept. Empty lines are passed over.

    Yields:
        The entries in order; a line that names no path is an entry with an error.

    Raises:
        BatchError: A CSV has no such column.
        OSError: The file cannot be read.
    """
    suffix = path.suffix.lower()
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        if suffix == ".csv":
            yield from _read_csv(file, path)
        else:
            parse = _parse_json if suffix in (".jsonl", ".ndjson") else ListEntry
            for number, line in enumerate(file, 1):
                text = line.rstrip("\r\n")
                if text.strip():
                    entry = parse(text)
                    yield ListEntry(f"{path}:{number}", entry.error) if entry.error else entry


def _read_csv(lines: Iterator[str], path: Path) -> Iterator[ListEntry]:
    rows = csv.reader(line.replace("\0", "") for line in lines)
    header = [name.strip().lower() for name in next(rows, [])]
    column = next((header.index(name) for name in _NAMES if name in header), None)
    if column is None:
        raise BatchError(
            f"a CSV of paths needs a column {' or '.join(_NAMES)}; received {path} with columns "
            f"{header[:10]}; name one so, or use a plain text with a path per line"
        )
    for row in rows:
        if row and len(row) > column and row[column]:
            yield ListEntry(row[column])
        elif row:
            error = f"no path in this line; received {len(row)} columns; name a path or drop it"
            yield ListEntry(f"{path}:{rows.line_num}", error)


def _parse_json(line: str) -> ListEntry:
    try:
        value = json.loads(line)
    except ValueError as error:
        return ListEntry("", f"this line is no JSON; received {error}; mend it or drop it")
    if isinstance(value, dict):
        value = next((value[name] for name in _NAMES if name in value), None)
    if isinstance(value, str) and value:
        return ListEntry(value)
    return ListEntry(
        "", f"no path in this line; received {line[:80]!r}; give it a key {' or '.join(_NAMES)}"
    )
