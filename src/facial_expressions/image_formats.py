"""Tells an image's format by its first bytes, and opens it with that format's one plug-in.

Few formats are let near a decoder. A name or a media type decides nothing.
"""

from __future__ import annotations

import importlib
from pathlib import PurePath
from typing import IO, Final

from PIL import Image, features

from facial_expressions.errors import ImageError, ImageFormatError
from facial_expressions.plain_text import shown

__all__ = ["open_image", "sniff"]

_PLUGINS: Final = {
    "JPEG": "Jpeg", "PNG": "Png", "WEBP": "WebP", "BMP": "Bmp", "GIF": "Gif", "TIFF": "Tiff",
    "AVIF": "Avif",
}  # fmt: skip
_SUFFIXES: Final = {"jpg", "jpe", "jfif", "mpo", "tif", *map(str.lower, _PLUGINS)}
_REFUSED: Final = (
    (b"\xff\x0a", "JPEG XL"), (b"\x00\x00\x00\x0cJXL ", "JPEG XL"), (b"8BPS", "Photoshop"),
    (b"%PDF", "PDF"), (b"%!PS", "PostScript"), (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"<svg", "SVG"), (b"<?xml", "SVG or other XML"), (b"PK\x03\x04", "ZIP"),
    (b"\x00\x00\x01\x00", "ICO"),
)  # fmt: skip
_SUBFILE_TYPE: Final = 254
_DNG_VERSION: Final = 50706
_AVIF_BRANDS: Final = (b"avif", b"avis")
_STILL_BRANDS: Final = {
    b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIF", b"msf1": "HEIF", b"hevc": "HEIF",
    b"hevx": "HEIF", b"heim": "HEIF", b"heis": "HEIF", b"crx ": "camera raw", b"avif": "AVIF",
    b"avis": "AVIF",
}  # fmt: skip
"""What an ``ftyp`` box calls an image; any other brand is a video."""


def sniff(head: bytes, name: str) -> str:
    """Return the format of a file that is read.

    Args:
        head: The file's first 64 bytes.
        name: What messages call it.

    Raises:
        ImageFormatError: It is no image, or of a format that is not read.
        ImageError: It is empty.
    """
    if not head:
        raise ImageError(f"the image is empty; received {name} with 0 bytes; copy the file again")
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if head.startswith((b"II*\0", b"MM\0*")) and head[8:10] != b"CR":
        return "TIFF"
    if head[4:8] == b"ftyp" and head[8:12] in _AVIF_BRANDS and features.check("avif"):
        return "AVIF"
    magics = {b"\x89PNG\r\n\x1a\n": "PNG", b"GIF87a": "GIF", b"GIF89a": "GIF", b"BM": "BMP"}
    for magic, kind in magics.items():
        if head.startswith(magic):
            return kind
    raise _refusal(head, name)


def _refusal(head: bytes, name: str) -> ImageFormatError:
    if _is_video(head):
        return ImageFormatError(
            f"{shown(name)}: a video, not an image. Read it with 'facial-expressions video' or "
            "analyze_video"
        )
    found = next((label for magic, label in _REFUSED if head.startswith(magic)), "")
    if head[4:8] == b"ftyp":
        found = _STILL_BRANDS[head[8:12]]
    if head.startswith((b"II", b"MM")):
        found = "camera raw"
    suffix = PurePath(name).suffix[1:11]
    found = found or ("" if suffix.lower() in _SUFFIXES else suffix.upper())
    what = f"format not supported ({found})" if found else "not an image"
    return ImageFormatError(f"{shown(name)}: {what}. Supported: {_supported()}")


def _supported() -> str:
    avif = ", AVIF" if features.check("avif") else ""
    return f"JPEG, PNG, WebP, BMP, GIF, TIFF{avif}"


def _is_video(head: bytes) -> bool:
    """Tell the containers of videos by a file's first bytes: MP4, Matroska, AVI, MPEG, FLV."""
    if head[4:8] == b"ftyp":
        return head[8:12] not in _STILL_BRANDS
    return head.startswith((b"\x1aE\xdf\xa3", b"\0\0\1\xba", b"FLV\1")) or (
        head.startswith(b"RIFF") and head[8:12] == b"AVI "
    )


def open_image(kind: str, file: IO[bytes], name: str) -> Image.Image:
    """Open a file with the one plug-in that its first bytes ask for; reads no pixels.

    ``Image.open`` is not used: its limits are process-wide settings and warnings, ours are
    arguments; and it would look for the further images of a phone's JPEG (MPO).

    Args:
        kind: What ``sniff`` returned.
        file: The file, at its beginning.
        name: What messages call it.

    Raises:
        ImageFormatError: It is a camera's raw file, whose first image is a small preview.
    """
    plugin = importlib.import_module(f"PIL.{_PLUGINS[kind]}ImagePlugin")
    opened: Image.Image = getattr(plugin, f"{_PLUGINS[kind]}ImageFile")(file)
    tags = getattr(opened, "tag_v2", {})
    if tags.get(_SUBFILE_TYPE, 0) & 1 or _DNG_VERSION in tags:
        opened.close()
        raise ImageFormatError(
            f"{shown(name)}: format not supported (camera raw). Supported: {_supported()}"
        )
    return opened
