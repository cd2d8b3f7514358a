"""Reads the competition file of FER-2013: ``emotion,pixels,Usage`` as csv, zip or tar.gz.

One row an image: a code 0 to 6 in the competition's own order (not ours), 2,304 grey values 0 to
255 parted by spaces, row by row from the top left, and the split.

Reference: Goodfellow et al. 2013, "Challenges in representation learning", arXiv:1307.0414.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np

from facial_expressions.data.archives import bad_row, read_table
from facial_expressions.data.dataset import (
    PART_OF_USAGE,
    SIDE_PX,
    USAGES,
    Images,
    Reading,
    make_reading,
)
from facial_expressions.labels import COMPETITION_ORDER, FER2013

COLUMNS: Final = ("emotion", "pixels", "usage")
"""The columns that are read, in lower case."""

_HINT: Final = "Give fer2013.csv or its archive"
_N_PIXELS: Final = SIDE_PX * SIDE_PX
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
    images: list[Images] = []
    rows: list[tuple[int, str, str, str]] = []
    table = read_table(path, COLUMNS, what="the competition file", hint=_HINT)
    for row, (code, pixels, usage) in enumerate(table):
        if code not in _LABEL_OF_CODE:
            raise bad_row(path, row, "an emotion code 0 to 6", _show(code))
        if usage.lower() not in _USAGE_OF_CELL:
            raise bad_row(path, row, f"a usage of {', '.join(USAGES)}", _show(usage))
        known = _USAGE_OF_CELL[usage.lower()]
        rows.append((_LABEL_OF_CODE[code], known, f"row {row}", PART_OF_USAGE[known]))
        images.append(_pixels(pixels, row, path))
    whole = np.array(images, np.uint8).reshape(-1, SIDE_PX, SIDE_PX)
    return make_reading("competition", "fer2013", FER2013, images=whole, rows=rows)


def _pixels(text: bytes, row: int, path: Path) -> Images:
    """Parse the pixels of one image, ``uint8 (2304,)``."""
    if odd := text.translate(None, b"0123456789 "):
        word = next(word for word in text.split() if any(byte in odd for byte in word))
        raise bad_row(path, row, "pixels that are whole numbers", _show(word))
    values = np.fromstring(text, dtype=np.int64, sep=" ")
    if len(values) != _N_PIXELS:
        raise bad_row(path, row, f"{_N_PIXELS:,} pixels", f"{len(values):,}")
    if values.max() > 255:
        raise bad_row(path, row, "pixels of 0 to 255", str(values.max()))
    return values.astype(np.uint8)


def _show(cell: Iterable[int]) -> str:
    return repr(bytes(cell)[:40].decode("utf-8", "replace"))
