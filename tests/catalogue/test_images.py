"""The catalogue's images, I01 to I32, through the loader: what is read, refused, and how soon."""

from __future__ import annotations

import json
import time
import zlib
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from PIL import Image

from facial_expressions.cli.main import main
from facial_expressions.errors import ImageError, ImageFormatError, ImageTooLargeError
from facial_expressions.images import load_image
from facial_expressions.inference.recognizer import load_recognizer
from facial_expressions.server.decoding import DecoderPool
from facial_expressions.server.limits import ServerLimits
from tests.catalogue.image_files import (
    bmp_header,
    chunk,
    encode,
    gif,
    heic,
    jpeg_with_frame,
    photo,
    png,
    png_header,
    png_of,
)

SERVER_PIXELS: Final = 50_000_000
KINDS: Final = {
    "ok": None, "format": ImageFormatError, "large": ImageTooLargeError, "damaged": ImageError,
}  # fmt: skip
IDAT = chunk(b"IDAT", zlib.compress((b"\0" + bytes(24)) * 8))
END = chunk(b"IEND", b"")
RAW = zlib.compress((b"\0" + bytes(24)) * 8)
HEVC = b"\0\0\0\x18ftyp%s\0\0\0\0mif1" + bytes(40)
PNGS_WITH_FAULTS: Final = {
    "I10-header-crc": png()[:29] + b"\0\0\0\0" + png()[33:],
    "I10-no-data": png_of(END),
    "I10-data-crc": png_of(chunk(b"IDAT", RAW, crc=1), END),
    "I10-zlib-header": png_of(chunk(b"IDAT", b"\xff" + RAW[1:]), END),
    "I10-zlib-middle": png_of(chunk(b"IDAT", RAW[:4] + b"\xff\xff\xff" + RAW[7:]), END),
    "I10-too-few-rows": png_of(chunk(b"IDAT", zlib.compress((b"\0" + bytes(24)) * 5)), END),
    "I10-color-1": png_header(8, 8, color=1) + IDAT + END,
    "I10-color-5": png_header(8, 8, color=5) + IDAT + END,
    "I10-color-9": png_header(8, 8, color=9) + IDAT + END,
    "I10-depth-0": png_header(8, 8, depth=0) + IDAT + END,
    "I10-depth-3": png_header(8, 8, depth=3) + IDAT + END,
    "I10-depth-99": png_header(8, 8, depth=99) + IDAT + END,
    "I10-no-palette": png_header(8, 8, color=3) + chunk(b"IDAT", b"") + END,
    "I10-interlaced-too-few-rows": png_header(8, 8, more=1) + IDAT[:20] + IDAT[20:] + END,
    "I10-data-before-header": png()[:8] + IDAT + END,
}
REFUSED: Final = {
    "I01-png-10-gigapixels": (png_header(100_000, 100_000) + END, "large"),
    "I02-gif-bomb": (gif(65_535, 65_535), "large"),
    "I02-bmp-bomb": (bmp_header(60_000, 60_000), "large"),
    "I02-bmp-upside-down-bomb": (bmp_header(60_000, -60_000), "large"),
    "I02-ico-bomb": (b"\0\0\x01\0\x01\0\0\0\0\0\1\0\x20\0" + b"\xff" * 8 + bytes(99), "format"),
    "I03-wide-strip": (png_header(65_535, 1) + END, "large"),
    "I03-high-strip": (png_header(1, 65_535) + END, "large"),
    "I04-png-zero-width": (png_header(0, 5) + END, "damaged"),
    "I04-png-zero-height": (png_header(5, 0) + END, "damaged"),
    "I04-gif-zero-width": (gif(0, 4), "damaged"),
    "I04-bmp-zero-height": (bmp_header(4, 0), "damaged"),
    "I04-ppm-negative": (b"P6\n-5 5\n255\n" + bytes(75), "format"),
    "I04-jpeg-2000": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60), "format"),
    "I07-empty": (b"", "damaged"),
    "I08-text-named-jpg": (b"this is a text\n" * 20, "format"),
    "I08-one-byte": (b"\xff", "format"),
    "I08-two-bytes-of-a-jpeg": (b"\xff\xd8", "format"),
    "I10-signature": (b"\x89PNG\r\r\n\x1a" + png()[8:], "format"),
    "I16-eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(id) run\n", "format"),
    "I16-eps-with-preview": (b"\xc5\xd0\xd3\xc6" + bytes(60), "format"),
    "I16-pdf": (b"%PDF-1.7\n1 0 obj <</JS (app.alert())>>", "format"),
    "I16-svg-script": (b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>",
                       "format"),
    "I16-svg-entity": (b"<?xml version='1.0'?><!DOCTYPE s [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>"
                       b"<svg>&x;</svg>", "format"),
    "I17-tiff-cut": (encode(photo(), "TIFF", compression="tiff_lzw")[:-40], "damaged"),
    "I17-tiff-bomb": (encode(Image.new("1", (15_000, 15_000)), "TIFF", compression="group4"),
                      "large"),
    "I17-tiff-preview": (encode(photo(), "TIFF", tiffinfo={254: 1}), "format"),
    "I17-psd": (b"8BPS\0\x01" + bytes(60), "format"),
    "I17-icns": (encode(photo(32, 32), "ICNS"), "format"),
    "I17-fits": (b"SIMPLE  =                    T" + bytes(99), "format"),
    "I17-dds": (encode(photo(32, 32), "DDS"), "format"),
    "I17-sgi": (encode(photo(), "SGI"), "format"),
    "I18-heic-stub": (HEVC % b"heic", "damaged"),
    "I18-heic-sequence": (HEVC % b"hevc", "format"),
    "I18-heic-cut": (heic(photo())[:-40], "damaged"),
    "I18-avif-stub": (HEVC % b"avif", "damaged"),
    "I18-avif-cut": (encode(photo(), "AVIF")[:-40], "damaged"),
    "I18-jpeg-xl": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(60), "format"),
    "I18-jpeg-xl-bare": (b"\xff\x0a" + bytes(60), "format"),
    "I18-camera-raw": (b"II*\0\x10\0\0\0CR\x02\0" + bytes(60), "format"),
    **{name: (data, "damaged") for name, data in PNGS_WITH_FAULTS.items()},
}  # fmt: skip
READ: Final = {
    "I11-text-chunks": png_of(*[chunk(b"tEXt", b"k\0" + b"v" * 9_000)] * 500, IDAT, END),
    "I11-unknown-chunk": png_of(chunk(b"puNk", bytes(4_000_000)), IDAT, END),
    "I11-broken-exif": png_of(chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff"), IDAT, END),
    "I14-png-named-jpg": png(),
    "I15-gif-and-script": gif(3, 3, tail=b";<script>alert(1)</script>"),
    "I15-jpeg-and-zip": encode(photo(), "JPEG") + b"PK\x03\x04" + bytes(200),
    "I15-jpeg-and-php": encode(photo(), "JPEG", comment=b"<?php system($_GET[0]); ?>"),
    "I17-tiff": encode(photo(), "TIFF", save_all=True, append_images=[photo(8, 8)]),
    "I17-tiff-jpeg": encode(photo(), "TIFF", compression="jpeg"),
    "I18-avif": encode(photo(), "AVIF"),
    "I18-heic": heic(photo()),
    "I19-mpo": encode(photo(), "MPO", save_all=True, append_images=[photo(8, 8)]),
    "I20-cmyk": encode(photo().convert("CMYK"), "JPEG"),
    "I25-ten-thousand-frames": gif(4, 4, n_frames=10_000),
    "I25-animated-webp": encode(photo(), "WEBP", save_all=True, append_images=[photo()] * 20),
    "I25-animated-png": encode(photo(), "PNG", save_all=True, append_images=[photo()] * 20),
    "I26-second-frame-broken": gif(4, 4, tail=b",\xff\xff\xff\xff"),
    "I30-1x1": encode(photo(1, 1), "PNG"),
    "I30-2x2": encode(photo(2, 2), "PNG"),
    "I30-47x47": encode(photo(47, 47).convert("L"), "PNG"),
    "I30-48x48": encode(photo(48, 48).convert("L"), "JPEG"),
    "I31-long-comment": encode(photo(), "JPEG", comment=b"\x1b[31m\x07" * 8_000),
    "I31-xmp-with-script": encode(
        photo(), "JPEG", xmp=b"<x:xmpmeta><script>1</script></x:xmpmeta>"
    ),
}
EITHER: Final = {
    "I11-compressed-text-bomb": png_of(
        *[chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(20_000_000)))] * 8, IDAT, END
    ),
    "I11-profile-bomb": png_of(
        chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(50_000_000))), IDAT, END
    ),
    "I10-zlib-checksum": png_of(chunk(b"IDAT", RAW[:-4] + b"\0\0\0\0"), END),
    "I10-no-end": png_of(IDAT),
    "I10-chunk-too-long": png_of(b"\x7f\xff\xff\xffIDAT" + RAW),
    "I19-mpo-broken-header": encode(
        photo(), "MPO", save_all=True, append_images=[photo(8, 8)]
    ).replace(b"MPF\x00", b"MPF\x00\xff\xff\xff\xff", 1),
    "I23-twelve-bits": jpeg_with_frame(0xC1, precision=12),
    "I23-arithmetic": jpeg_with_frame(0xC9),
    "I23-lossless": jpeg_with_frame(0xC3),
    "I23-hierarchical": jpeg_with_frame(0xC5),
}
"""Read or refused: Pillow's release decides; never a crash, and in time."""


def outcome(data: bytes) -> str:
    """Return what the loader makes of some bytes, within the server's limits."""
    try:
        load_image(data, max_pixels=SERVER_PIXELS)
    except ImageError as error:
        return next(name for name, kind in KINDS.items() if kind is type(error))
    return "ok"


@pytest.mark.parametrize(("data", "expected"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused_is_refused_for_its_reason_and_soon(data: bytes, expected: str) -> None:
    start = time.thread_time()
    assert outcome(data) == expected
    assert time.thread_time() - start < 0.5


@pytest.mark.parametrize("data", READ.values(), ids=READ.keys())
def test_what_is_odd_but_whole_is_read(data: bytes) -> None:
    start = time.thread_time()
    assert outcome(data) == "ok"
    assert time.thread_time() - start < 1


@pytest.mark.parametrize("data", EITHER.values(), ids=EITHER.keys())
def test_what_decoders_differ_about_is_read_or_refused_and_soon(data: bytes) -> None:
    start = time.thread_time()
    assert outcome(data) in ("ok", "damaged")
    assert time.thread_time() - start < 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_i09_cut_after_any_byte_is_never_an_image_with_grey(kind: str) -> None:
    """Cut files are refused, or give every pixel where the end mark alone is missing."""
    data = encode(photo(64, 48), kind)
    whole = load_image(data)
    for length in (*range(300), *range(300, len(data), 11)):
        try:
            image = load_image(data[:length])
        except ImageError:
            continue
        assert np.array_equal(image, whole), f"{kind} cut to {length} of {len(data)} bytes"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_i12_a_thousand_flipped_bits_give_images_or_refusals(kind: str) -> None:
    data, random = encode(photo(), kind), np.random.default_rng(0)
    seen = set()
    for position in random.integers(len(data), size=1000):
        flipped = bytearray(data)
        flipped[position] ^= 1 << random.integers(8)
        seen.add(outcome(bytes(flipped)))
    assert seen <= set(KINDS)
    assert "damaged" in seen


def test_i05_the_limit_of_pixels_is_exact() -> None:
    whole, over = encode(photo(50, 20), "PNG"), encode(photo(50, 21), "PNG")
    assert load_image(whole, max_pixels=1000).shape == (20, 50, 3)
    with pytest.raises(ImageTooLargeError):
        load_image(over, max_pixels=1000)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "options"),
    [("PNG", {"compress_level": 1}), ("JPEG", {"progressive": True})],
    ids=["I06-png-of-50-megapixels", "I24-progressive-jpeg-of-50-megapixels"],
)
def test_the_largest_images_fit_the_decoders_memory(kind: str, options: dict[str, object]) -> None:
    data = encode(Image.new("RGB", (10_000, 5_000), (90, 60, 30)), kind, **options)
    pool = DecoderPool(ServerLimits(workers=1, decode_s=120))
    try:
        assert pool.decode(data).shape == (5_000, 10_000, 3)
        assert pool.n_deaths == 0
    finally:
        pool.close()


def test_i20_a_cmyk_jpeg_has_the_colours_of_its_rgb_version() -> None:
    flat = Image.new("RGB", (64, 64), (200, 120, 60))
    expected = load_image(encode(flat, "JPEG", quality=95))
    image = load_image(encode(flat.convert("CMYK"), "JPEG", quality=95))
    assert np.abs(image.astype(int) - expected).max() < 8


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((300, 400, 3), np.uint8),
        np.full((300, 400, 3), 255, np.uint8),
        np.full((300, 400, 3), (10, 200, 90), np.uint8),
        np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8),
    ],
    ids=["I28-black", "I28-white", "I28-one-colour", "I28-noise"],
)
def test_images_of_nothing_have_no_faces(pixels: np.ndarray, tiny_model: Path) -> None:
    assert load_recognizer(tiny_model, threads=1).recognize(pixels) == []


def test_i32_the_same_content_under_two_names_has_two_equal_rows(
    tiny_model: Path, tmp_path: Path, astronaut: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["one.png", "two.jpg"]
    for name in names:
        (tmp_path / name).write_bytes(astronaut.read_bytes())
    code = main(["predict", str(tmp_path), "--format", "json", "--model", str(tiny_model)])
    one, two = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert code == 0
    assert [Path(one.pop("source")).name, Path(two.pop("source")).name] == names
    assert one == two


def test_i18_the_refusal_says_what_it_is_and_to_convert_it() -> None:
    with pytest.raises(
        ImageFormatError, match=r"format not supported \(JPEG XL\)\. Supported: JPEG"
    ):
        load_image(b"\xff\x0a" + bytes(60))


def test_i31_metadata_is_never_in_a_refusal() -> None:
    data = encode(photo(), "JPEG", comment=b"SECRET\x1b[31m" * 50)
    with pytest.raises(ImageError) as caught:
        load_image(data[: len(data) * 2 // 3])
    assert "SECRET" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
