"""Tells an image's format by its first bytes, and opens it with that format's one plug-in.

Few formats are let near a decoder. A name or a media type decides nothing.
"""

from __future__ import annotations

import importlib.util
from pathlib import PurePath
from typing import IO, Final

from PIL import Image, features

from facial_expressions.errors import ImageError, ImageFormatError, MissingExtraError
from facial_expressions.plain_text import shown

_PLUGINS: Final = {
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "HEIC": ("pillow_heif.as_plugin", "HeifImageFile"),
}
_SUFFIXES: Final = {"jpg", "jpe", "jfif", "mpo", "tif", "heif", *map(str.lower, _PLUGINS)}
_REFUSED: Final = (
    (b"\xff\x0a", "JPEG XL"), (b"\x00\x00\x00\x0cJXL ", "JPEG XL"), (b"8BPS", "Photoshop"),
    (b"%PDF", "PDF"), (b"%!PS", "PostScript"), (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"<svg", "SVG"), (b"<?xml", "SVG or other XML"), (b"PK\x03\x04", "ZIP"),
    (b"\x00\x00\x01\x00", "ICO"),
)  # fmt: skip
_SUBFILE_TYPE: Final = 254
_DNG_VERSION: Final = 50706
_HEIC_PACKAGE: Final = "pillow_heif"
_STARTS: Final = {
    b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"GIF87a": "GIF", b"GIF89a": "GIF",
    b"BM": "BMP",
}  # fmt: skip
_STILL_BRANDS: Final = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"mif1"), "HEIC"),
    b"avif": "AVIF", b"avis": "AVIF",
    b"msf1": "HEIF sequence", b"hevc": "HEIF sequence", b"hevx": "HEIF sequence",
    b"crx ": "camera raw",
}  # fmt: skip
"""What an ``ftyp`` box calls an image; any other brand is a video."""

_VIDEOS: Final = (
    b"\x1aE\xdf\xa3", b"FLV\1", b"YUV4MPEG2 ", b"\x1f\x07\0",  # Matroska, FLV, Y4M, DV
    b"\0\0\1\xba", b"\0\0\1\xb3",  # MPEG
    *(b"\0\0\0\1" + bytes([unit]) for unit in (0x09, 0x27, 0x67, 0x40)),  # H.264, HEVC
)  # fmt: skip


def sniff(head: bytes, name: str) -> str:
    """Return the format of a file that is read.

    Args:
        head: The file's first 64 bytes.
        name: What messages call it.

    Raises:
        ImageFormatError: It is not an image, or of a format that is not read, or its extra is not
            installed.
        ImageError: It is empty.
    """
    if not head:
        raise ImageError(f"{shown(name)}: empty file. Copy it again")
    for start, kind in _STARTS.items():
        if head.startswith(start):
            return kind
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if head.startswith((b"II*\0", b"MM\0*")) and head[8:10] != b"CR":
        return "TIFF"
    brand = _STILL_BRANDS.get(head[8:12]) if head[4:8] == b"ftyp" else None
    if brand == "HEIC" and not _has_heic():
        needed = MissingExtraError.of("heic", _HEIC_PACKAGE)
        raise ImageFormatError(f"{shown(name)}: format HEIC: {needed}") from needed
    if brand == "HEIC" or (brand == "AVIF" and features.check("avif")):
        return brand
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
    return ImageFormatError(f"{shown(name)}: {what}. Supported: {supported()}")


def supported() -> str:
    """Return the names of the formats that this installation reads.

    Examples:
        >>> supported()  # doctest: +ELLIPSIS
        'JPEG, PNG, WebP, BMP, GIF, TIFF...'
    """
    optional = {"AVIF": features.check("avif"), "HEIC": _has_heic()}
    return ", ".join(
        ["JPEG, PNG, WebP, BMP, GIF, TIFF", *(one for one in optional if optional[one])]
    )


def load_plugins() -> None:
    """Import every plug-in there is now, instead of with the first file of its format."""
    for kind, (module, _) in _PLUGINS.items():
        if kind != "HEIC" or _has_heic():
            importlib.import_module(module)


def _has_heic() -> bool:
    return importlib.util.find_spec(_HEIC_PACKAGE) is not None


def _is_video(head: bytes) -> bool:
    """Tell a video by its first bytes: MP4, Matroska, AVI, MPEG, FLV, and streams without index."""
    if head[4:8] == b"ftyp":
        return head[8:12] not in _STILL_BRANDS
    is_transport = head[:1] == b"G" and head[188:189] == b"G"  # packets of 188 bytes
    return (
        is_transport
        or head.startswith(_VIDEOS)
        or (head.startswith(b"RIFF") and head[8:12] == b"AVI ")
    )


def open_image(kind: str, file: IO[bytes], name: str) -> Image.Image:
    """Open a file with the one plug-in that its first bytes ask for; reads no pixels.

    ``Image.open`` is not used: its limits are process-wide settings and warnings, ours are
    arguments; and it would look for the further images of a phone's JPEG (MPO).

    Raises:
        ImageFormatError: It is a camera's raw file, whose first image is a small preview.
    """
    module, opener = _PLUGINS[kind]
    opened: Image.Image = getattr(importlib.import_module(module), opener)(file)
    tags = getattr(opened, "tag_v2", {})
    if tags.get(_SUBFILE_TYPE, 0) & 1 or _DNG_VERSION in tags:
        opened.close()
        raise ImageFormatError(
            f"{shown(name)}: format not supported (camera raw). Supported: {supported()}"
        )
    return opened
