"""Read images: a path, bytes, an array or a Pillow image to upright RGB.

Few formats are let near a decoder, chosen by content and never by name; width and height are read
from the header and checked before any pixel is decoded. Transparency is laid over white, 16-bit
values are scaled to 8, only the first frame of an animation is used, and EXIF orientation is
applied (an invalid value or damaged metadata turns nothing). An image that ends too early is
an error, never half grey.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.errors import ImageError, ImageTooLargeError, first_line
from facial_expressions.image_formats import open_image, sniff
from facial_expressions.image_sources import ImageSource, plain_source
from facial_expressions.limits import MAX_PIXELS
from facial_expressions.plain_text import shown
from facial_expressions.png_bytes import check_png, without_long_notes

MAX_SIDE: Final = 16_384
"""Longest side in pixels of an image that is read."""

IMAGE_SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".mpo"}
    | {".avif", ".tif", ".tiff", ".heic", ".heif", ".hif"}
    | {".jxl", ".jp2"}
)
"""Endings by which a folder's images are told from its other files. The last row are formats that
are refused: images are not silently left out."""

_HEAD_BYTES: Final = 192
_STRIP_ROWS: Final = 256

_DECODER_ERRORS: Final = (
    OSError, SyntaxError, MemoryError, ValueError, NotImplementedError, OverflowError, EOFError,
    struct.error, zlib.error, KeyError, IndexError, TypeError, AttributeError, ZeroDivisionError,
    RuntimeError, Warning, Image.DecompressionBombError,
)  # fmt: skip
"""What Pillow raises on damaged input, by its own tests and ours."""

_SIDES: Final = (
    f"No side may have more than {MAX_SIDE:,} pixels, which bounds memory; the limit on all pixels "
    "does not change that. Shrink it, or cut it into parts"
)
_PIXELS: Final = "Allowed are {max_pixels:,} in all. Shrink it, or allow more (max_pixels)"
_BOMBS: Final = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_CODE: Final = re.compile(
    r"[A-Z]{3,}_[A-Z]|Plugin|unpack|[a-z]\.[A-Z]|\[Errno|object|attribute|argument"
    r"|Invalid input|Unsupported feature"
)
"""What of a library's message is about its own code, and no use to those who have the image."""

_TRANSPOSE: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_ITS_SIDE: Final = (5, 6, 7, 8)
_ORIENTATION_TAG: Final = 0x0112


def load_image(source: ImageSource, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Read one image.

    Args:
        source: A path; the bytes of a file, in any buffer; a file opened for reading as bytes; an
            array or tensor ``uint8``, grey ``(H, W)`` or ``(H, W, 1)``, RGB ``(H, W, 3)`` or RGBA
            ``(H, W, 4)``, upright; or a Pillow image.
        max_pixels: Files with more pixels are refused before they are decoded.

    Returns:
        RGB ``uint8 (H, W, 3)``, upright.

    Raises:
        ImageFormatError: The file is not an image, or of a format that is not read.
        ImageTooLargeError: The image has too many pixels.
        ImageError: The file is missing, empty, damaged or cut short, or the array has another
            shape or dtype.
        MemoryError: The image is allowed, but there is no memory for it.

    Examples:
        >>> load_image(np.zeros((4, 6), np.uint8)).shape
        (4, 6, 3)
    """
    return load_reduced(source, max_pixels=max_pixels)[0]


def load_reduced(
    source: ImageSource, *, max_pixels: int, needed_side: Callable[[int], int] | None = None
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Read one image, a large JPEG in a half, quarter or eighth of its size, in less time.

    Args:
        source: As for ``load_image``.
        max_pixels: Files with more pixels, in full, are refused before they are decoded.
        needed_side: Given the longest side, returns how long it has to stay; None keeps it.

    Returns:
        RGB ``uint8 (H, W, 3)``, upright, and width and height of the image in full.

    Raises:
        ImageError: As for ``load_image``.
        MemoryError: As for ``load_image``.
    """
    source = plain_source(source)
    if isinstance(source, np.ndarray):
        return _in_full(_from_array(source))
    if isinstance(source, Image.Image):
        return _in_full(_from_pillow(source, "the image"))
    if isinstance(source, bytes):
        return _from_file(io.BytesIO(source), f"{len(source)} bytes", max_pixels, needed_side)
    if isinstance(source, str) and "://" in source:
        raise ImageError(
            f"{shown(source)}: addresses are not fetched. Download the image, then give its path"
        )
    return _from_path(Path(source), max_pixels, needed_side)


def list_images(folder: str | Path) -> list[Path]:
    """Return the images of a folder and of all folders inside it, sorted; hidden ones left out.

    Raises:
        ImageError: There is no such folder.
    """
    if not Path(folder).is_dir():
        raise ImageError(f"{shown(folder)}: no such folder")
    return sorted(path for path in walk_folder(folder) if path.suffix.lower() in IMAGE_SUFFIXES)


def walk_folder(folder: str | Path) -> Iterator[Path]:
    """Yield the files of a folder and of all folders inside it, as far as they can be read."""
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(root, name) for name in files if not name.startswith("."))


_Reduced = tuple[NDArray[np.uint8], tuple[int, int]]
_Needed = Callable[[int], int] | None


def _in_full(pixels: NDArray[np.uint8]) -> _Reduced:
    return pixels, (pixels.shape[1], pixels.shape[0])


def _from_array(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    is_grey = array.ndim == 2
    is_color = array.ndim == 3 and array.shape[-1] in (3, 4)
    if array.dtype != np.uint8 or not (is_grey or is_color) or not array.size:
        channels_first = array.ndim == 3 and not is_color and array.shape[0] in (1, 3, 4)
        move = "Move the channels last. " if channels_first else ""
        advice = "Give one image" if array.dtype == np.uint8 else "Scale it to 0..255 as uint8"
        raise ImageError(
            f"image array {array.dtype} {array.shape}: not supported. Supported: uint8 (H, W), "
            f"(H, W, 1), RGB (H, W, 3) or RGBA (H, W, 4), not empty. {move}{advice}"
        )
    if array.ndim == 3 and array.shape[2] == 3:
        return np.ascontiguousarray(array)
    return np.asarray(_to_rgb(Image.fromarray(np.ascontiguousarray(array))))


def _from_path(path: Path, max_pixels: int, needed_side: _Needed) -> _Reduced:
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "a device or pipe"
            raise ImageError(f"{shown(path)}: {kind}, not an image file")
        with path.open("rb") as file:
            return _from_file(file, str(path), max_pixels, needed_side)
    except FileNotFoundError as error:
        raise ImageError(f"{shown(path)}: file not found") from error
    except (OSError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"{shown(path)}: cannot be read: {first_line(error)}") from error


def _from_file(file: IO[bytes], name: str, max_pixels: int, needed_side: _Needed) -> _Reduced:
    with opened_image(file, name, max_pixels) as image:
        width, height = image.size
        if needed_side and image.format == "JPEG":
            part = min(needed_side(max(image.size)) / max(image.size), 1.0)
            image.draft(None, (max(1, int(width * part)), max(1, int(height * part))))
        size = (height, width) if _orientation(image) in _ON_ITS_SIDE else (width, height)
        return _from_pillow(image, name), size


@contextlib.contextmanager
def opened_image(file: IO[bytes], name: str, max_pixels: int) -> Iterator[Image.Image]:
    """Open an image by its content, its size checked; what goes wrong in the block is its fault."""
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    kind = sniff(head, name)
    if kind == "WEBP":  # its decoder allocates the canvas as soon as it is opened
        _check_size(_webp_size(head, name), name, max_pixels)
    try:
        if kind == "GIF":  # a canvas without pixels would grow to the first frame's size
            _check_size(struct.unpack("<HH", head[6:10]), name, max_pixels)
        if kind == "PNG":
            file = without_long_notes(file)
        with open_image(kind, file, name) as image:
            _check_size(image.size, name, max_pixels)
            if kind == "PNG":
                position = file.tell()
                check_png(file)
                file.seek(position)
            yield image
    except _DECODER_ERRORS as error:
        if isinstance(error, ImageError):
            raise
        raise _damaged(name, error) from error


def _webp_size(head: bytes, name: str) -> tuple[int, int]:
    """Read a WebP's canvas from its first chunk (RFC 9649, section 2)."""
    kind, data = head[12:16], head[20:]
    if kind == b"VP8X" and len(data) >= 10:
        return 1 + int.from_bytes(data[4:7], "little"), 1 + int.from_bytes(data[7:10], "little")
    if kind == b"VP8L" and len(data) >= 5:
        bits = int.from_bytes(data[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and len(data) >= 10:
        width, height = struct.unpack("<HH", data[6:10])
        return width & 0x3FFF, height & 0x3FFF
    raise _damaged(name, ValueError("a WebP file without an image chunk"))


def _check_size(size: tuple[int, int], name: str, max_pixels: int) -> None:
    width, height = size
    if min(size) < 1:
        raise ImageError(f"{shown(name)}: no pixels ({width}x{height}). Copy the file again")
    if max(size) > MAX_SIDE or width * height > max_pixels:
        raise ImageTooLargeError(
            f"{shown(name)}: too large with {width}x{height} pixels. "
            + (_SIDES if max(size) > MAX_SIDE else _PIXELS.format(max_pixels=max_pixels))
        )


def _damaged(name: str, error: Exception) -> ImageError | MemoryError:
    if isinstance(error, MemoryError):  # the size was allowed: the image is not to blame
        return MemoryError(
            f"{shown(name)}: not enough memory. Close other programs, or shrink the image"
        )
    if isinstance(error, _BOMBS):  # a frame larger than the GIF's canvas
        return ImageTooLargeError(f"{shown(name)}: too large in its first frame. Shrink it")
    why = first_line(error).rstrip(".")
    why = "" if _CODE.search(why) else f": {why}"
    return ImageError(f"{shown(name)}: damaged or truncated{why}. Copy the file again")


def _from_pillow(image: Image.Image, name: str) -> NDArray[np.uint8]:
    try:
        image.load()
        if 0 in image.size:
            raise ImageError(
                f"{shown(name)}: no pixels ({image.width}x{image.height}). Give one that has some"
            )
        turn = _TRANSPOSE.get(_orientation(image))
        rgb = _to_rgb(image)
        return _pixels(rgb if turn is None else rgb.transpose(turn))
    except _DECODER_ERRORS as error:
        if isinstance(error, ImageError):
            raise
        raise _damaged(name, error) from error


def _pixels(rgb: Image.Image) -> NDArray[np.uint8]:
    """Copy an RGB image into an array in strips: Pillow's own way holds all of it twice more."""
    out = np.empty((rgb.height, rgb.width, 3), np.uint8)
    for top in range(0, rgb.height, _STRIP_ROWS):
        strip = rgb.crop((0, top, rgb.width, min(top + _STRIP_ROWS, rgb.height)))
        out[top : top + strip.height] = np.asarray(strip)
    return out


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation; 1 (upright) where it is missing, invalid or unreadable."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except _DECODER_ERRORS:
        return 1
    return value if isinstance(value, int) else 1


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert any of Pillow's modes to RGB, transparency over white."""
    mode = image.mode
    if mode == "RGB" and "transparency" not in image.info:
        return image
    if mode.startswith("I") or mode == "F":
        return _scale_wide(image).convert("RGB")
    if mode in ("La", "RGBa", "PA", "LA") or "transparency" in image.info:
        straight = {"La": "LA", "RGBa": "RGBA"}.get(mode, mode)
        image = image.convert(straight).convert("RGBA")
    if image.mode != "RGBA":
        return image.convert("RGB")
    white = Image.new("RGB", image.size, (255, 255, 255))
    white.paste(image, mask=image.getchannel("A"))
    return white


def _scale_wide(image: Image.Image) -> Image.Image:
    """Bring integers of 16 or 32 bits and floats to 8 bits.

    Values up to 255 are taken as they are in modes ``I`` and ``F``; larger integers are taken as 16
    bits, as is every value of the modes ``I;16``.
    """
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    is_16_bit = image.mode.startswith("I;16") or (image.mode == "I" and high > 255)
    limit = 65_535 if is_16_bit else 255
    if not 0 <= low <= high <= limit:
        raise ImageError(
            f"an image of mode {image.mode} with values {low:g} to {high:g}: out of range 0 to "
            f"{limit}. Scale it to 0..255"
        )
    out = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), _STRIP_ROWS):
        strip = values[top : top + _STRIP_ROWS]
        out[top : top + _STRIP_ROWS] = np.rint(strip.astype(np.float64) * (255 / limit))
    return Image.fromarray(out)
