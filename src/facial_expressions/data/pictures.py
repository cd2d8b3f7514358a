"""Decodes one picture file to a small grey square, refusing what is not a picture.

Formats are told by content, not by name; only five are let in, so no other parser is ever reached.
"""

from __future__ import annotations

import io
import warnings
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from facial_expressions.errors import ImageError

__all__ = ["SUFFIXES", "decode_grey"]

SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
"""Name endings, in lower case, of files taken for pictures."""

_FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
_MAX_PIXELS: Final = 50_000_000
_DECODER_ERRORS: Final = (
    OSError,
    SyntaxError,
    MemoryError,
    ValueError,
    NotImplementedError,
    OverflowError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


def decode_grey(data: bytes, side_px: int) -> NDArray[np.uint8]:
    """Decode a picture to grey, upright, scaled to a square.

    Args:
        data: The file's bytes.
        side_px: Side S of the result. A picture of another size is scaled with an area-aware
            bilinear filter, without keeping its aspect; one of this size is left as it is.

    Returns:
        Grey ``uint8 (S, S)``, weighted as ITU-R BT.601.

    Raises:
        ImageError: The bytes are no picture of the five formats, are cut short, or hold over 50
            million pixels.

    Examples:
        >>> stream = io.BytesIO()
        >>> Image.new("RGB", (8, 8), (255, 0, 0)).save(stream, "PNG")
        >>> int(decode_grey(stream.getvalue(), 4)[0, 0])
        76
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
                _check_pixels(picture)
                return _grey_square(picture, side_px)
    except ImageError:
        raise
    except _DECODER_ERRORS as error:
        raise ImageError(_message(str(error) or type(error).__name__)) from error


def _check_pixels(picture: Image.Image) -> None:
    if picture.width * picture.height > _MAX_PIXELS:
        raise ImageError(_message(f"{picture.width} x {picture.height} pixels"))


def _grey_square(picture: Image.Image, side_px: int) -> NDArray[np.uint8]:
    if picture.mode == "L" and picture.size == (side_px, side_px) and picture.format == "JPEG":
        return np.asarray(ImageOps.exif_transpose(picture), np.uint8)
    upright = ImageOps.exif_transpose(picture)
    if upright.mode.startswith(("I", "F")):
        # 16-bit greys: Pillow's own conversion would clip them at 255 instead of scaling.
        values = np.asarray(upright, np.float64)
        upright = Image.fromarray((values / 257).clip(0, 255).astype(np.uint8))
    if upright.mode in {"P", "PA", "LA", "RGBA"} or "transparency" in upright.info:
        rgba = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    grey = upright.convert("L")
    if grey.size != (side_px, side_px):
        grey = grey.resize((side_px, side_px), Image.Resampling.BILINEAR)
    return np.asarray(grey, np.uint8)


def _message(received: str) -> str:
    return (
        f"a picture cannot be read; received {received[:160]}; "
        "give a whole JPEG, PNG, WebP, BMP or GIF of at most 50 million pixels"
    )
