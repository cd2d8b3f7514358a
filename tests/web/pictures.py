"""Made pictures of faces: the astronaut with six expressions, in every format and orientation."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

__all__ = ["encoded", "made_pictures", "painted_heads"]

_SIDE: Final = 240
_LIP: Final = (150, 80, 75)
_DARK: Final = (60, 25, 25)
_BROW: Final = (80, 55, 40)
_ORIENTATION: Final = 0x0112
_STORED: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
}  # fmt: skip
"""How an upright image is stored for each EXIF orientation but 1, which is upright."""
_FORMATS: Final[tuple[tuple[str, dict[str, object]], ...]] = (
    ("JPEG", {"quality": 90}), ("JPEG", {"quality": 60, "progressive": True}),
    ("JPEG", {"quality": 95, "subsampling": 0}), ("PNG", {}), ("WEBP", {"quality": 85}),
    ("WEBP", {"lossless": True}), ("GIF", {}), ("BMP", {}), ("AVIF", {"quality": 85}),
)  # fmt: skip


def painted_heads(photo: Image.Image) -> list[Image.Image]:
    """Return the astronaut as she is, and with other mouths and brows painted on.

    Args:
        photo: The astronaut of scikit-image, 512x512.
    """
    head = photo.crop((100, 10, 100 + _SIDE, 10 + _SIDE))
    return [head, *(_painted(head, *face) for face in ("o", "s\\/", "-/\\", "s/\\", "-\\/"))]


def _painted(head: Image.Image, mouth: str, *brows: str) -> Image.Image:
    """Paint over the mouth, then one of three mouths, and the inner ends of brows up or down."""
    out = head.copy()
    ImageDraw.Draw(out).ellipse((99, 122, 147, 147), fill=(216, 176, 158))
    mask = Image.new("L", out.size)
    ImageDraw.Draw(mask).ellipse((96, 118, 150, 150), fill=255)
    soft = out.filter(ImageFilter.GaussianBlur(5))
    out.paste(soft, mask=mask.filter(ImageFilter.GaussianBlur(3)))
    draw = ImageDraw.Draw(out)
    if mouth == "o":
        draw.ellipse((111, 126, 135, 152), fill=_DARK, outline=_LIP, width=3)
    elif mouth == "s":
        draw.arc((102, 130, 144, 160), 200, 340, fill=_LIP, width=5)
    else:
        draw.line((106, 136, 140, 136), fill=_LIP, width=4)
    for x, side, brow in zip((92, 158), (1, -1), brows, strict=False):
        is_down = (brow == "\\") == (side == 1)
        ends = (78, 90) if is_down else (88, 76)
        draw.line((x, ends[0], x + 24 * side, ends[1]), fill=_BROW, width=5)
    return out.filter(ImageFilter.GaussianBlur(0.7))


@cache
def made_pictures(photo: Path) -> dict[str, bytes]:
    """Return encoded pictures by name, three faces each: all formats, then all EXIF orientations.

    Args:
        photo: The astronaut of scikit-image, 512x512.
    """
    rng = np.random.default_rng(21)
    heads = painted_heads(Image.open(photo).convert("RGB"))
    made = {}
    for i, (kind, options) in enumerate(_FORMATS):
        made[f"{i}-{kind}"] = encoded(_scene(heads, rng), kind, **options)
    made["transparent"] = encoded(_faded(_scene(heads, rng)), "PNG")
    made["transparent-webp"] = encoded(_faded(_scene(heads, rng)), "WEBP", lossless=True)
    for orientation in range(1, 9):
        for kind in ("JPEG", "WEBP"):
            exif = Image.Exif()
            exif[_ORIENTATION] = orientation
            scene = _scene(heads, rng)
            stored = scene if orientation == 1 else scene.transpose(_STORED[orientation])
            made[f"turn-{orientation}-{kind}"] = encoded(stored, kind, exif=exif)
    return made


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return an image as the bytes of a file."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _scene(heads: list[Image.Image], rng: np.random.Generator) -> Image.Image:
    """Three heads side by side: other sizes, tilts, light and sharpness each time."""
    scene = Image.new("RGB", (3 * _SIDE, _SIDE + 40), tuple(rng.integers(60, 200, 3).tolist()))
    for place in range(3):
        head = heads[rng.integers(len(heads))]
        if rng.random() < 0.5:
            head = head.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        head = head.rotate(rng.uniform(-30, 30), Image.Resampling.BICUBIC, fillcolor=(90, 90, 90))
        head = ImageEnhance.Brightness(head).enhance(rng.uniform(0.5, 1.3))
        head = head.filter(ImageFilter.GaussianBlur(int(rng.choice([0, 0, 1, 2]))))
        side = int(rng.integers(110, _SIDE))
        left = place * _SIDE + int(rng.integers(0, _SIDE - side + 1))
        scene.paste(head.resize((side, side)), (left, int(rng.integers(0, _SIDE + 40 - side))))
    return scene


def _faded(image: Image.Image) -> Image.Image:
    """Let an image fade out to its corners."""
    alpha = Image.radial_gradient("L").resize(image.size).point(lambda value: 255 - value // 2)
    out = image.convert("RGBA")
    out.putalpha(alpha)
    return out
