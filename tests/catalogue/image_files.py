"""Builds image files byte by byte: whole ones, and ones that are wrong in one exact way."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image

__all__ = [
    "bmp_header", "chunk", "encode", "gif", "jpeg_with_frame", "photo", "png", "png_header",
    "png_of",
]  # fmt: skip

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def photo(width: int = 40, height: int = 24) -> Image.Image:
    """Return a gradient in colour."""
    y, x = np.mgrid[:height, :width]
    rgb = np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=2)
    return Image.fromarray(rgb.astype(np.uint8))


def heic(image: Image.Image, **options: Any) -> bytes:  # noqa: ANN401 - pillow-heif's own
    file = io.BytesIO()
    pillow_heif.from_pillow(image).save(file, quality=95, **options)
    return file.getvalue()


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:  # noqa: ANN401 - Pillow's own
    """Encode an image."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes, *, crc: int | None = None) -> bytes:
    """Return a chunk of a PNG, with its right checksum or another."""
    right = zlib.crc32(kind + data)
    return (
        struct.pack(">I", len(data))
        + kind
        + data
        + struct.pack(">I", right if crc is None else crc)
    )


def png_header(width: int, height: int, *, depth: int = 8, color: int = 2, more: int = 0) -> bytes:
    """Return signature and IHDR; ``more`` is put into the interlace byte."""
    return SIGNATURE + chunk(
        b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, more)
    )


def png(width: int = 8, height: int = 8, *, rows: bytes | None = None) -> bytes:
    """Return a whole RGB PNG of one colour, or of the given filtered rows."""
    rows = (b"\0" + b"\x40" * 3 * width) * height if rows is None else rows
    return png_header(width, height) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def png_of(*parts: bytes) -> bytes:
    """Return an 8x8 header and these chunks."""
    return png_header(8, 8) + b"".join(parts)


def bmp_header(width: int, height: int, *, bits: int = 24, compression: int = 0) -> bytes:
    """Return a BMP of a header and a hundred bytes."""
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 154, 0, 0, 54) + info + bytes(100)


def gif(width: int, height: int, *, n_frames: int = 1, tail: bytes = b";") -> bytes:
    """Return a GIF whose frames are one pixel each, on a canvas of any size."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return head + frame * n_frames + tail


def jpeg_with_frame(marker: int, *, precision: int = 8) -> bytes:
    """Return a JPEG whose start-of-frame says another process or precision than its data has."""
    data = bytearray(encode(photo(), "JPEG"))
    place = data.index(b"\xff\xc0")
    data[place + 1] = marker
    data[place + 4] = precision
    return bytes(data)
