"""The catalogue's I33 to I36: whole images that are odd, and refusals that say the right thing."""

from __future__ import annotations

import os
import re
import struct
import zlib
from typing import Final

import numpy as np
import pytest

from facial_expressions.errors import ImageError, ImageTooLargeError
from facial_expressions.images import load_image
from tests.catalogue.image_files import chunk, encode, photo, png, png_header

MEGABYTE: Final = 1024 * 1024
PIXELS: Final = b"\0" + b"\x40" * 24
DATA: Final = chunk(b"IDAT", zlib.compress(PIXELS * 8))
OF_A_LIBRARY: Final = re.compile(r"[A-Z]{3,}_[A-Z]|Plugin|Errno|NoneType|unpack|attribute|argument")
END: Final = chunk(b"IEND", b"")
LONG: Final = zlib.compress(bytes(3 * MEGABYTE))
NOISE: Final = zlib.compress(os.urandom(2 * MEGABYTE))
NOTES: Final = {
    "profile": chunk(b"iCCP", b"sRGB\0\0" + LONG),
    "profile of noise": chunk(b"iCCP", b"wide\0\0" + NOISE),
    "packed text": chunk(b"zTXt", b"Comment\0\0" + LONG),
    "packed international text": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0en\0x\0" + LONG),
    "plain text": chunk(b"tEXt", b"Comment\0" + b"x" * (3 * MEGABYTE)),
    "plain international text": chunk(b"iTXt", b"Comment\0\0\0\0\0" + b"x" * (3 * MEGABYTE)),
    "seventy texts": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(990_000))) * 70,
}


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("note", NOTES.values(), ids=[f"I33-{key}" for key in NOTES])
def test_a_png_with_a_long_profile_or_text_is_read(note: bytes, place: str) -> None:
    parts = [note, DATA] if place == "before" else [DATA, note]
    image = load_image(png_header(8, 8) + b"".join(parts) + END)
    assert np.array_equal(image, load_image(png()))


def test_i33_what_is_cut_behind_a_long_text_is_still_refused() -> None:
    few_rows = chunk(b"IDAT", zlib.compress(PIXELS * 5))
    with pytest.raises(ImageError, match="too early"):
        load_image(png_header(8, 8) + NOTES["packed text"] + few_rows + END)


def test_i33_short_notes_stay_with_the_image() -> None:
    """An image on its side says so in XMP, a text of a few hundred letters."""
    exif = b"Exif\0\0"[6:] + b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    parts = [NOTES["profile"], chunk(b"eXIf", exif), DATA[:0]]
    wide = png_header(4, 2) + b"".join(parts)
    wide += chunk(b"IDAT", zlib.compress((b"\0" + bytes(12)) * 2)) + END
    assert load_image(wide).shape == (4, 2, 3)


def huge_frame(width: int, height: int) -> bytes:
    """Return a GIF of a canvas of 10x10 pixels whose one frame is of another size."""
    head = b"GIF89a" + struct.pack("<HHBBB", 10, 10, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return head + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x44\x01\x00;"


@pytest.mark.parametrize(
    ("width", "height"),
    [(20_000, 20_000), (65_535, 65_535), (14_000, 14_000), (10_000, 10_000), (65_535, 1),
     (1, 20_000)],
    ids=lambda side: f"I34-{side}",
)  # fmt: skip
def test_a_gif_whose_frame_is_larger_than_its_canvas_is_too_large(width: int, height: int) -> None:
    with pytest.raises(ImageTooLargeError):
        load_image(huge_frame(width, height), max_pixels=50_000_000)


@pytest.mark.parametrize(
    ("width", "height", "said"),
    [(16_385, 10, "No side may have more than 16,384"), (10, 20_000, "does not change that"),
     (300, 300, "Allowed are 50,000 in all")],
    ids=["I35-wide", "I35-high", "I35-pixels"],
)  # fmt: skip
def test_the_refusal_names_the_limit_that_counts(width: int, height: int, said: str) -> None:
    with pytest.raises(ImageTooLargeError, match=said) as refused:
        load_image(png_header(width, height) + DATA + END, max_pixels=50_000)
    assert ("max_pixels" in str(refused.value)) is (width == height)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_i36_no_refusal_names_parts_of_a_library(kind: str) -> None:
    data, random = encode(photo(), kind), np.random.default_rng(36)
    for _ in range(300):
        changed = bytearray(data)
        for place in random.integers(len(data), size=4):
            changed[place] = random.integers(256)
        try:
            load_image(bytes(changed[: random.integers(1, len(data) + 1)]))
        except ImageError as error:
            said = str(error)
            assert not re.search(
                r"[A-Z]{3,}_[A-Z]|Plugin|Errno|NoneType|unpack|attribute|argument", said
            )
