"""Reading images: every mode and orientation, and every way a file can be bad."""

from __future__ import annotations

import contextlib
import io
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin, features

from facial_expressions.errors import ImageError, ImageFormatError, ImageTooLargeError
from facial_expressions.images import MAX_SIDE, load_image, load_reduced
from tests.catalogue.image_files import heic

WIDTH, HEIGHT = 40, 24


def gradient() -> NDArray[np.uint8]:
    """RGB ``(24, 40, 3)`` of which no row, column or quarter turn equals another."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([x * 6, y * 10, (x + y) * 3], axis=2).astype(np.uint8)


def encode(canvas: Image.Image, kind: str, **options: Any) -> bytes:  # noqa: ANN401 - Pillow's own
    file = io.BytesIO()
    canvas.save(file, kind, **options)
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    end = b"\0\0\0\0IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk + end


PHOTO = Image.fromarray(gradient())
LOSSLESS = {
    "PNG": encode(PHOTO, "PNG"),
    "BMP": encode(PHOTO, "BMP"),
    "WebP": encode(PHOTO, "WEBP", lossless=True),
    "interlaced PNG": encode(PHOTO, "PNG", optimize=True),
}
LOSSY = {
    "JPEG": encode(PHOTO, "JPEG", quality=95, subsampling=0),
    "progressive JPEG": encode(PHOTO, "JPEG", quality=95, subsampling=0, progressive=True),
    "WebP": encode(PHOTO, "WEBP", quality=95),
    "GIF": encode(PHOTO, "GIF"),
    "HEIC": heic(PHOTO),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_files_come_back_pixel_for_pixel(name: str) -> None:
    assert np.array_equal(load_image(LOSSLESS[name]), gradient())


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_files_come_back_nearly(name: str) -> None:
    difference = load_image(LOSSY[name]).astype(int) - gradient()
    assert np.abs(difference).mean() < 8


def test_path_text_bytes_array_and_pillow_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(LOSSLESS["PNG"])
    for source in (path, str(path), path.read_bytes(), gradient(), PHOTO):
        assert np.array_equal(load_image(source), gradient())


@pytest.mark.parametrize("name", ["写真 ü é.png", "-dash.png", "two\nlines.png", "ending.txt"])
def test_names_do_not_matter(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(LOSSLESS["PNG"])
    assert np.array_equal(load_image(path), gradient())


def test_the_result_may_be_written_to() -> None:
    load_image(LOSSLESS["PNG"])[0, 0] = 7


# --- modes -------------------------------------------------------------------------------------


def test_i21_transparency_is_laid_over_white() -> None:
    """Half transparent black over white is the middle grey."""
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[0, 0], pixels[0, 1], pixels[1, 0] = (0, 0, 0, 128), (10, 20, 30, 255), (1, 2, 3, 0)
    image = load_image(encode(Image.fromarray(pixels), "PNG"))
    assert image[0, 0].tolist() == [127, 127, 127]
    assert image[0, 1].tolist() == [10, 20, 30]
    assert image[1, 0].tolist() == [255, 255, 255]


def test_i21_palette_with_transparency_is_laid_over_white() -> None:
    canvas = Image.new("P", (2, 1))
    canvas.putpalette([200, 0, 0, 0, 0, 200])
    canvas.putdata([0, 1])
    image = load_image(encode(canvas, "PNG", transparency=0))
    assert image.tolist() == [[[255, 255, 255], [0, 0, 200]]]


def test_grey_with_alpha_is_laid_over_white() -> None:
    canvas = Image.merge("LA", (Image.new("L", (1, 1), 100), Image.new("L", (1, 1), 0)))
    assert load_image(encode(canvas, "PNG")).tolist() == [[[255, 255, 255]]]


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    """65,535 / 257 = 255; 257 * 100 = 25,700; 1,000 / 257 = 3.9."""
    values = np.array([[0, 1000, 25_700, 65_535]], np.uint16)
    image = load_image(encode(Image.fromarray(values), "PNG"))
    assert image[0, :, 0].tolist() == [0, 4, 100, 255]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV"])
def test_modes_of_pillow_become_rgb(mode: str) -> None:
    expected = np.asarray(PHOTO.convert(mode).convert("RGB"))
    image = load_image(PHOTO.convert(mode))
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert np.array_equal(image, expected)


@pytest.mark.parametrize("mode", ["La", "RGBa", "PA", "LA"])
def test_modes_with_alpha_become_rgb(mode: str) -> None:
    between = "LA" if mode in ("La", "LA") else "RGBA" if mode == "RGBa" else "P"
    assert load_image(PHOTO.convert(between).convert(mode)).shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 255]], np.int32), [0, 255]),
        (np.array([[0, 65_535]], np.int32), [0, 255]),
        (np.array([[0.0, 254.6]], np.float32), [0, 255]),
    ],
)
def test_wide_modes_are_scaled(values: NDArray[Any], expected: list[int]) -> None:
    assert load_image(Image.fromarray(values))[0, :, 1].tolist() == expected


@pytest.mark.parametrize("worst", [np.nan, np.inf, -1.0, 256.0])
def test_floats_out_of_range_are_refused(worst: float) -> None:
    with pytest.raises(ImageError, match="0 to 255"):
        load_image(Image.fromarray(np.array([[0.0, worst]], np.float32)))


def test_cmyk_jpeg_is_not_inverted() -> None:
    """Pure paper is white, in a CMYK file too."""
    white = Image.new("CMYK", (16, 16), (0, 0, 0, 0))
    assert load_image(encode(white, "JPEG")).min() > 250


def test_an_embedded_profile_changes_nothing() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(load_image(encode(PHOTO, "PNG", icc_profile=profile)), gradient())


def test_only_the_first_frame_is_used() -> None:
    frames = [Image.new("RGB", (8, 8), (0, 0, 0)), Image.new("RGB", (8, 8), (255, 255, 255))]
    for kind in ("GIF", "WEBP", "PNG"):
        data = encode(frames[0], kind, save_all=True, append_images=frames[1:])
        assert load_image(data).max() < 8


def test_first_image_of_a_phones_multi_image_jpeg_is_used() -> None:
    data = encode(PHOTO, "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))])
    assert load_image(data).shape == (HEIGHT, WIDTH, 3)
    broken = data.replace(b"MPF\x00", b"MPF\x00\xff\xff\xff\xff", 1)
    assert load_image(broken).shape == (HEIGHT, WIDTH, 3)


# --- orientation -------------------------------------------------------------------------------

UPRIGHT: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90,
}
"""What each EXIF orientation asks a viewer to do with the stored canvas."""


def with_orientation(value: int, kind: str = "PNG") -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    return encode(PHOTO, kind, exif=exif)


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_i22_exif_orientation_is_applied(orientation: int) -> None:
    image = load_image(with_orientation(orientation))
    assert np.array_equal(image, UPRIGHT[orientation](gradient()))


def test_i22_orientation_six_means_the_first_row_is_the_right_side() -> None:
    """The words of the EXIF standard, without any rotation routine."""
    image, stored = load_image(with_orientation(6)), gradient()
    assert np.array_equal(image[:, -1], stored[0])


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_i22_orientation_is_read_from_other_formats(kind: str) -> None:
    assert load_image(with_orientation(6, kind)).shape == (WIDTH, HEIGHT, 3)


@pytest.mark.parametrize("value", [0, 9, 65_535])
def test_i22_invalid_orientation_turns_nothing(value: int) -> None:
    assert np.array_equal(load_image(with_orientation(value)), gradient())


def test_i22_an_orientation_given_as_text_turns_nothing() -> None:
    """One tag of type 2 (text) holding "6", in a hand-made little-endian TIFF header."""
    entry = struct.pack("<HHI4s", 0x0112, 2, 2, b"6")
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0)
    assert np.array_equal(load_image(encode(PHOTO, "PNG", exif=exif)), gradient())


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize(
    "exif", [b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0", b"garbage", b"II*\0\x08\0\0\0\xff"]
)
def test_damaged_exif_is_ignored(exif: bytes) -> None:
    assert load_image(encode(PHOTO, "JPEG", exif=exif)).shape == (HEIGHT, WIDTH, 3)


# --- bad input ---------------------------------------------------------------------------------


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"gone\.jpg: file not found$"):
        load_image(tmp_path / "gone.jpg")


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(ImageError, match="empty"):
        load_image(tmp_path / "empty.jpg")


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="a folder"):
        load_image(tmp_path)


@pytest.mark.parametrize("name", ["nul\0byte.jpg", "x" * 300 + ".jpg", ""])
def test_impossible_names(name: str) -> None:
    with pytest.raises(ImageError):
        load_image(name)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"this is a text file named .jpg", "not an image"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "PostScript"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\0\0\0\x18ftyphevc\0\0\0\0msf1hevc", "HEIF sequence"),
        (b"8BPS\0\x01", "Photoshop"),
        (b"\0\0\x01\0\x01\0", "ICO"),
        (b"\xff\x0a\x00", "JPEG XL"),
    ],
)
def test_other_formats_are_refused_by_name(data: bytes, named: str) -> None:
    with pytest.raises(ImageError, match=named):
        load_image(data)


@pytest.mark.parametrize("kind", ["ICO", "PPM", "TGA", "SGI", "PCX", "DDS", "ICNS", "EPS"])
def test_formats_that_pillow_reads_and_we_do_not(kind: str) -> None:
    with pytest.raises(ImageError, match=r"Supported: JPEG, PNG"):
        load_image(encode(PHOTO.resize((32, 32)), kind))


@pytest.mark.parametrize("kind", ["TIFF", "AVIF", "HEIC"])
def test_tiff_avif_and_heic_are_read_upright_and_never_in_part(kind: str) -> None:
    """HEIC says twice how it is turned, with ``irot`` and in its EXIF: it is turned once."""
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    turned = Image.Exif()
    turned[0x0112] = 6  # to be shown turned clockwise
    photo = PHOTO.convert("RGB").resize((64, 48))
    if kind == "HEIC":
        data = heic(photo, exif=turned.tobytes())
        assert b"irot" in data
    else:
        data = encode(photo, kind, exif=turned, quality=95)
    upright = np.rot90(np.asarray(photo), -1).astype(int)
    assert np.abs(load_image(data) - upright).mean() < 6
    for end in range(40, len(data) - 1, len(data) // 25):
        with pytest.raises(ImageError):
            load_image(data[:end])


def test_a_heic_with_too_many_pixels_is_refused_by_its_header() -> None:
    """16,000 x 16,000 are written into the header alone: there are no such pixels to decode."""
    sizes = struct.pack(">II", 64, 64), struct.pack(">II", 16_000, 16_000)
    with pytest.raises(ImageTooLargeError, match="16000x16000 pixels"):
        load_image(heic(PHOTO.resize((64, 64))).replace(*sizes))
    with pytest.raises(ImageTooLargeError, match=f"{WIDTH}x{HEIGHT} pixels"):
        load_image(LOSSY["HEIC"], max_pixels=WIDTH * HEIGHT - 1)


def test_a_heic_without_the_extra_gets_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "phone.heic").write_bytes(LOSSY["HEIC"])
    with pytest.raises(ImageFormatError, match=r'phone\.heic: .*pip install "\.\[heic\]"'):
        load_image(tmp_path / "phone.heic")
    with pytest.raises(ImageFormatError) as caught:
        load_image(b"this is a text")
    assert "HEIC" not in str(caught.value)


@given(data=st.binary(min_size=1, max_size=64))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ImageError):
        load_image(data)


@pytest.mark.parametrize("name", [*LOSSLESS, "JPEG", "progressive JPEG", "GIF", "lossy WebP"])
def test_a_file_cut_short_is_never_half_an_image(name: str) -> None:
    """A cut file is refused, or (where only the end mark is missing) decoded in full."""
    data = {**LOSSY, **LOSSLESS, "lossy WebP": LOSSY["WebP"]}[name]
    whole = load_image(data)
    for length in (*range(1, 200), *range(200, len(data), 13), len(data) - 2, len(data) - 1):
        try:
            image = load_image(data[:length])
        except ImageError:
            continue
        assert np.array_equal(image, whole), f"{name} cut to {length} of {len(data)} bytes"


@pytest.mark.parametrize("name", LOSSY)
def test_flipped_bits_give_an_image_or_an_image_error(name: str) -> None:
    data, random = LOSSY[name], np.random.default_rng(0)
    for _ in range(200):
        changed = bytearray(data)
        changed[random.integers(len(data))] ^= 1 << random.integers(8)
        with contextlib.suppress(ImageError):
            assert load_image(bytes(changed)).ndim == 3


@settings(max_examples=200)
@given(
    name=st.sampled_from(sorted(LOSSLESS)),
    start=st.integers(0, 400),
    patch=st.binary(min_size=1, max_size=12),
)
def test_overwritten_bytes_give_an_image_or_an_image_error(
    name: str, start: int, patch: bytes
) -> None:
    data = LOSSLESS[name]
    with contextlib.suppress(ImageError):
        assert load_image(data[:start] + patch + data[start + len(patch) :]).ndim == 3


@pytest.mark.parametrize(
    "size", [(100_000, 100_000), (65_535, 1), (1, MAX_SIDE + 1), (14_000, 14_000)]
)
def test_too_large_by_its_header(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match="too large"):
        load_image(png_header(*size))


def test_webp_canvas_is_checked_before_its_decoder_opens() -> None:
    chunk = (
        struct.pack("<I", 0)[:4] + (16_382).to_bytes(3, "little") + (16_382).to_bytes(3, "little")
    )
    data = b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + chunk
    with pytest.raises(ImageError, match=r"16383x16383"):
        load_image(data)


def test_zero_width_is_refused() -> None:
    with pytest.raises(ImageError):
        load_image(png_header(0, 5))


def test_the_limit_is_exact_and_can_be_moved() -> None:
    data = LOSSLESS["PNG"]
    assert load_image(data, max_pixels=WIDTH * HEIGHT).shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(ImageError, match=r"Allowed are 959 in all"):
        load_image(data, max_pixels=WIDTH * HEIGHT - 1)


def test_hidden_text_does_not_matter() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "\x07<script>" * 1000, zip=True)
    assert np.array_equal(load_image(encode(PHOTO, "PNG", pnginfo=info)), gradient())


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((4, 4, 3), np.uint16),
    ],
)
def test_arrays_of_other_shape_or_dtype_are_refused(array: NDArray[Any]) -> None:
    with pytest.raises(ImageError, match=r"not supported\. Supported: uint8"):
        load_image(array)


def test_grey_and_rgba_arrays_become_rgb() -> None:
    grey = np.array([[0, 200]], np.uint8)
    assert load_image(grey).tolist() == [[[0, 0, 0], [200, 200, 200]]]
    assert load_image(np.zeros((1, 1, 4), np.uint8)).tolist() == [[[255, 255, 255]]]


def test_other_objects_are_refused() -> None:
    with pytest.raises(ImageError, match="int: not an image"):
        load_image(7)  # type: ignore[arg-type]


def test_an_image_without_pixels_is_refused() -> None:
    with pytest.raises(ImageError, match="no pixels"):
        load_image(Image.new("RGB", (0, 5)))


TALL = Image.fromarray(gradient().repeat(25, axis=0).repeat(25, axis=1)[:599])
"""1000x599, odd in height."""


@pytest.mark.parametrize(
    ("orientation", "is_progressive"), [(1, False), (1, True), (6, False), (9, False)]
)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_large_jpeg_is_read_in_the_fraction_that_is_needed(
    mode: str, orientation: int, is_progressive: bool
) -> None:
    """Half of 1000x599 is 500x300, rounded up; the same pixels as the mean of four."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(TALL.convert(mode), "JPEG", quality=95, exif=exif, progressive=is_progressive)
    full = load_image(data)
    pixels, size = load_reduced(data, max_pixels=10**6, needed_side=lambda longest: longest // 2)
    assert size == (full.shape[1], full.shape[0])
    assert sorted(pixels.shape[:2]) == [300, 500]
    means = np.asarray(Image.fromarray(full).resize(pixels.shape[1::-1], Image.Resampling.BOX))
    assert np.abs(pixels.astype(int) - means).mean() < 3


@pytest.mark.parametrize(
    ("needed", "side"), [(1000, 1000), (501, 1000), (500, 500), (251, 500), (1, 125), (5000, 1000)]
)
def test_no_less_is_read_than_is_needed(needed: int, side: int) -> None:
    data = encode(TALL, "JPEG")
    pixels, size = load_reduced(data, max_pixels=10**6, needed_side=lambda _: needed)
    assert (pixels.shape[1], size) == (side, (1000, 599))


def test_other_formats_are_read_in_full() -> None:
    pixels, size = load_reduced(encode(TALL, "PNG"), max_pixels=10**6, needed_side=lambda _: 1)
    assert (pixels.shape[1], pixels.shape[0]) == size == (1000, 599)


def test_a_large_jpeg_is_refused_by_its_full_size_and_when_cut_short() -> None:
    data = encode(TALL, "JPEG")
    with pytest.raises(ImageTooLargeError, match="1000x599"):
        load_reduced(data, max_pixels=598_999, needed_side=lambda _: 1)
    with pytest.raises(ImageError, match="truncated"):
        load_reduced(data[: len(data) // 2], max_pixels=10**6, needed_side=lambda _: 1)
