"""Look at a PNG's chunks before it is decoded: whole, unchanged, and with data for every row.

Pillow reads a PNG's rows as they come. It passes over a wrong checksum, and when the data end too
early it leaves the other rows black. An image of which a part is missing is an error here, so the
data are inflated once beforehand; that takes a fraction of the time of decoding and no memory.
Chunks and sizes are those of the PNG specification (ISO/IEC 15948), sections 5 and 8.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import IO, Final

_SIGNATURE_BYTES: Final = 8
_AROUND_BYTES: Final = 12
"""A chunk's length, kind and checksum."""

_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_CHECKED: Final = frozenset({b"IHDR", b"PLTE", b"IDAT"})
_NOTES: Final = frozenset({b"iCCP", b"tEXt", b"zTXt", b"iTXt"})
_NOTE_BYTES: Final = 1000 * 1000
_MOST_NOTES_BYTES: Final = 16 * 1000 * 1000
_PIECE_BYTES: Final = 64 * 1024
_ADAM7: Final = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4),
    (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
)  # fmt: skip
"""First column and row, and steps, of the seven passes of an interlaced image."""


def without_long_notes(file: IO[bytes]) -> IO[bytes]:
    """Return a PNG without color profiles and texts that are longer than Pillow reads.

    Such a file is whole and valid; nothing of those chunks is used here. Most files have none, and
    come back as they are.
    """
    kept = [(0, _SIGNATURE_BYTES)]
    is_long = False
    n_left = _MOST_NOTES_BYTES
    for kind, start, length in _chunks(file):
        n_bytes = _note_bytes(kind, file.read(length)) if kind in _NOTES else 0
        if n_bytes > min(_NOTE_BYTES, n_left):
            is_long = True
        else:
            n_left -= n_bytes
            kept.append((start, length + _AROUND_BYTES))
    if is_long:
        parts = []
        for start, n_bytes in kept:
            file.seek(start)
            parts.append(file.read(n_bytes))
        file = io.BytesIO(b"".join(parts))
    file.seek(0)
    return file


def _note_bytes(kind: bytes, data: bytes) -> int:
    """Return how long a profile or text is, uncompressed, as far as that matters."""
    name, _, rest = data.partition(b"\0")
    if kind == b"iTXt":
        is_packed, rest = rest[:1] == b"\1", rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    else:
        is_packed, rest = kind != b"tEXt", rest[1:]
    if not is_packed:
        return len(data)
    try:
        return len(name) + len(zlib.decompressobj().decompress(rest, _NOTE_BYTES + 1))
    except zlib.error:  # Pillow passes over what it cannot unpack
        return 0


def check_png(file: IO[bytes]) -> None:
    """Refuse a PNG with a changed chunk, or with data for fewer rows than it says.

    Raises:
        ValueError: What is wrong, in a few words. What Pillow itself finds is left to it.
    """
    missing: int | None = None
    inflate = zlib.decompressobj()
    for kind, _, length in _chunks(file):
        data = _unchanged(kind, file.read(length), file.read(4)) if kind in _CHECKED else b""
        if kind == b"IHDR":
            missing = _data_bytes(data)
        elif kind == b"IDAT" and missing is not None:
            missing -= _inflated_bytes(inflate, data, missing)
        elif kind == b"IEND" or (missing == 0 and kind == b"fdAT"):
            break
    if missing:
        raise ValueError(f"the data end {missing} bytes too early")


def _chunks(file: IO[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """Yield each chunk's kind, its beginning and the length of its content, which is read next."""
    start = file.seek(_SIGNATURE_BYTES)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        yield kind, start, length
        start = file.seek(start + length + _AROUND_BYTES)


def _unchanged(kind: bytes, data: bytes, check: bytes) -> bytes:
    if len(check) == 4 and zlib.crc32(data, zlib.crc32(kind)) != int.from_bytes(check, "big"):
        raise ValueError(f"chunk {kind.decode()} was changed: its checksum is wrong")
    return data


def _data_bytes(header: bytes) -> int:
    """Return how many bytes the rows of an image have, each with its filter's number."""
    width, height, depth, color, _, _, interlace = struct.unpack(">IIBBBBB", header[:13])
    bits = depth * _CHANNELS.get(color, 0)
    if not interlace:
        return int(height * (1 + -(-width * bits // 8)))
    total = 0
    for left, top, right_step, down_step in _ADAM7:
        columns = max(0, -(-(width - left) // right_step))
        rows = max(0, -(-(height - top) // down_step))
        total += rows * (1 + -(-columns * bits // 8)) if columns else 0
    return total


def _inflated_bytes(inflate: zlib._Decompress, data: bytes, at_most: int) -> int:
    """Return how many bytes come out of some data, never more than are asked for."""
    total = 0
    while data and total < at_most and not inflate.eof:
        total += len(inflate.decompress(data, min(_PIECE_BYTES, at_most - total)))
        data = inflate.unconsumed_tail
    return total
