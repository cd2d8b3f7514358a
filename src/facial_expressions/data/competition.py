"""Reads the competition file of FER-2013: ``emotion,pixels,Usage`` as csv, zip or tar.gz.

One row an image: a code 0 to 6 in the competition's own order (not ours), 2,304 grey values 0 to
255 parted by spaces, row by row from the top left, and the split. Columns may stand in any order
and others may stand beside them; a byte-order mark, CRLF and quotes are understood. The file is
read in pieces and never unpacked to disk.

Reference: Goodfellow et al. 2013, "Challenges in representation learning", arXiv:1307.0414.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Final

import numpy as np

from facial_expressions.data.archives import column_names, open_csv
from facial_expressions.data.dataset import (
    PART_OF_USAGE,
    SIDE_PX,
    USAGES,
    Images,
    Reading,
    make_reading,
)
from facial_expressions.errors import DatasetError
from facial_expressions.labels import COMPETITION_ORDER, FER2013

COLUMNS: Final = ("emotion", "pixels", "usage")
"""The columns that are read, in lower case."""

_N_PIXELS: Final = SIDE_PX * SIDE_PX
_MAX_LINE_BYTES: Final = 64 * 1024
_MAX_ROWS: Final = 1_000_000
_CHUNK_ROWS: Final = 1024
_LABEL_OF_CODE: Final = {
    str(code).encode(): FER2013.id_of(name) for code, name in enumerate(COMPETITION_ORDER)
}
_USAGE_OF_CELL: Final = {usage.lower().encode(): usage for usage in USAGES}


def read_competition(path: Path) -> Reading:
    """Read the competition file.

    Args:
        path: A ``.csv``, or a zip or tar archive (also compressed) that holds it.

    Returns:
        All images in file order, ``uint8 (N, 48, 48)``, with our label ids; ``row 0`` is the
        first line under the header. Counts are not checked here.

    Raises:
        DatasetError: The file is damaged, a column is missing, or a row has another number of
            pixels, a pixel that is not a whole number of 0 to 255, an unknown code or usage. The
            message names the line.
    """
    parts: list[Images] = []
    rows: list[tuple[int, str, str, str]] = []
    with open_csv(path, COLUMNS) as stream:
        lines = _lines(stream, path)
        names = _column_names(next(lines, b""), path)
        while chunk := list(islice(lines, _CHUNK_ROWS)):
            if len(rows) + len(chunk) > _MAX_ROWS:
                raise DatasetError(
                    f"{path.name}: over {_MAX_ROWS:,} rows, where FER-2013 has "
                    f"{sum(USAGES.values()):,}. Give fer2013.csv or its archive"
                )
            cells = [_cells(line, names, len(rows) + i, path) for i, line in enumerate(chunk)]
            parts.append(_pixels([pixels for pixels, _, _ in cells], len(rows), path))
            rows += [
                (label, usage, f"row {len(rows) + i}", PART_OF_USAGE[usage])
                for i, (_, label, usage) in enumerate(cells)
            ]
    images = np.concatenate(parts) if parts else np.empty((0, SIDE_PX, SIDE_PX), np.uint8)
    return make_reading("competition", "fer2013", FER2013, images=images, rows=rows)


def _lines(stream: IO[bytes], path: Path) -> Iterator[bytes]:
    """Yield lines without their ends; empty ones are passed over, endless ones refused."""
    while line := stream.readline(_MAX_LINE_BYTES):
        if len(line) == _MAX_LINE_BYTES:
            raise DatasetError(
                f"{path.name}: not the competition file: it has a line of over "
                f"{_MAX_LINE_BYTES:,} bytes. Give fer2013.csv or its archive"
            )
        if line := line.strip():
            yield line


def _column_names(line: bytes, path: Path) -> list[str]:
    names = column_names(line)
    if not set(COLUMNS) <= set(names):
        raise DatasetError(
            f"{path.name}: not the competition file: it needs the columns emotion, pixels and "
            f"Usage and has {', '.join(names)[:80] or 'none'}. Give fer2013.csv or its archive"
        )
    return names


def _cells(line: bytes, names: list[str], row: int, path: Path) -> tuple[bytes, int, str]:
    """Return the row's pixel text, label id and usage."""
    cells = line.replace(b'"', b"").split(b",")
    if len(cells) != len(names):
        raise _bad_row(path, row, f"{len(names)} columns", f"{len(cells)}")
    code, pixels, usage = (cells[names.index(column)].strip() for column in COLUMNS)
    if code not in _LABEL_OF_CODE:
        raise _bad_row(path, row, "an emotion code 0 to 6", _show(code))
    if usage.lower() not in _USAGE_OF_CELL:
        raise _bad_row(path, row, f"a usage of {', '.join(USAGES)}", _show(usage))
    return pixels, _LABEL_OF_CODE[code], _USAGE_OF_CELL[usage.lower()]


def _pixels(texts: list[bytes], first_row: int, path: Path) -> Images:
    """Parse one chunk of pixel cells at once: ``uint8 (N, 48, 48)``."""
    for row, text in enumerate(texts, first_row):
        if text.count(b" ") != _N_PIXELS - 1 or b"  " in text:
            found = len(text.split())
            if found != _N_PIXELS:
                raise _bad_row(path, row, f"{_N_PIXELS:,} pixels", f"{found:,}")
        if odd := text.translate(None, b"0123456789 "):
            word = next(word for word in text.split() if any(byte in odd for byte in word))
            raise _bad_row(path, row, "pixels that are whole numbers", _show(word))
    values = np.fromstring(b" ".join(texts), dtype=np.int64, sep=" ")
    values = values.reshape(len(texts), _N_PIXELS)
    if values.max(initial=0) > 255:
        row = int(np.argmax(values.max(axis=1) > 255))
        raise _bad_row(path, first_row + row, "pixels of 0 to 255", str(values[row].max()))
    return values.astype(np.uint8).reshape(-1, SIDE_PX, SIDE_PX)


def _show(cell: Iterable[int]) -> str:
    return repr(bytes(cell)[:40].decode("utf-8", "replace"))


def _bad_row(path: Path, row: int, needed: str, received: str) -> DatasetError:
    return DatasetError(
        f"{path.name}: row {row} (line {row + 2}) needs {needed}, not {received}. Get the whole "
        "file again, or correct the row"
    )
