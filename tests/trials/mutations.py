"""Whole inputs of every kind, and seeded ways of spoiling them: what the fuzzing feeds on."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from PIL import Image, PngImagePlugin

__all__ = ["images", "mutate", "mutated"]

_BOUNDS: Final = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF)


def images() -> list[bytes]:
    """Return small images of every format and kind that is read."""
    y, x = np.mgrid[:48, :64]
    rgb = np.stack([x * 4, y * 5, (x + y) * 2], axis=2).astype(np.uint8)
    photo = Image.fromarray(rgb)
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "text " * 50, zip=True)
    kinds: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (photo, "JPEG", {}), (photo, "JPEG", {"progressive": True, "exif": exif}),
        (photo.convert("L"), "JPEG", {}), (photo.convert("CMYK"), "JPEG", {}),
        (noise, "JPEG", {"quality": 95, "subsampling": 0}),
        (photo, "MPO", {"save_all": True, "append_images": [noise]}),
        (photo, "PNG", {"pnginfo": info}), (photo.convert("P"), "PNG", {"transparency": 3}),
        (photo.convert("LA"), "PNG", {}), (photo.convert("1"), "PNG", {}),
        (Image.fromarray(rgb[..., 0].astype(np.uint16) * 257), "PNG", {}),
        (photo, "PNG", {"save_all": True, "append_images": [noise]}),
        (photo, "WEBP", {}), (photo.convert("RGBA"), "WEBP", {"lossless": True}),
        (photo, "WEBP", {"save_all": True, "append_images": [noise]}),
        (photo, "GIF", {}), (photo, "GIF", {"save_all": True, "append_images": [noise]}),
        (photo, "BMP", {}), (photo.convert("P"), "BMP", {}),
    ]  # fmt: skip
    return [_encoded(image, kind, options) for image, kind, options in kinds]


def mutated(
    wholes: list[bytes], *, seed: int, start: int, count: int
) -> Iterator[tuple[int, bytes]]:
    """Yield spoilt copies; each depends on the seed and its own number alone.

    Args:
        wholes: What they are made from.
        seed: Another one gives others.
        start: Number of the first.
        count: How many.

    Yields:
        The number, and the bytes.
    """
    for number in range(start, start + count):
        random = np.random.default_rng([seed, number])
        yield number, mutate(wholes[number % len(wholes)], random)


def mutate(data: bytes, random: np.random.Generator) -> bytes:
    """Return a copy spoilt in one to four ways."""
    out = bytearray(data)
    for _ in range(random.integers(1, 5)):
        if len(out) < 8:
            break
        _WAYS[random.integers(len(_WAYS))](out, random)
    return bytes(out)


def _encoded(image: Image.Image, kind: str, options: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _place(out: bytearray, random: np.random.Generator) -> int:
    """Choose a place, often near the beginning, where the headers are."""
    end = min(len(out), 200) if random.integers(2) else len(out)
    return int(random.integers(end))


def _flip(out: bytearray, random: np.random.Generator) -> None:
    for _ in range(random.integers(1, 9)):
        out[_place(out, random)] ^= 1 << random.integers(8)


def _set_number(out: bytearray, random: np.random.Generator) -> None:
    size = int(random.choice([1, 2, 4]))
    value = int(random.choice(_BOUNDS)) & (256**size - 1)
    place = min(_place(out, random), len(out) - size)
    out[place : place + size] = value.to_bytes(size, "big" if random.integers(2) else "little")


def _cut_end(out: bytearray, random: np.random.Generator) -> None:
    del out[int(random.integers(1, len(out))) :]


def _cut_out(out: bytearray, random: np.random.Generator) -> None:
    place = _place(out, random)
    del out[place : place + int(random.integers(1, 64))]


def _insert(out: bytearray, random: np.random.Generator) -> None:
    place = _place(out, random)
    out[place:place] = random.bytes(int(random.integers(1, 64)))


def _double(out: bytearray, random: np.random.Generator) -> None:
    place, other = _place(out, random), _place(out, random)
    out[other:other] = out[place : place + int(random.integers(1, 512))]


def _overwrite(out: bytearray, random: np.random.Generator) -> None:
    place = _place(out, random)
    noise = random.bytes(int(random.integers(1, 64)))
    out[place : place + len(noise)] = noise


def _zero(out: bytearray, random: np.random.Generator) -> None:
    place = _place(out, random)
    end = min(len(out), place + int(random.integers(1, 128)))
    out[place:end] = bytes(end - place)


_WAYS: Final[tuple[Callable[[bytearray, np.random.Generator], None], ...]] = (
    _flip, _set_number, _cut_end, _cut_out, _insert, _double, _overwrite, _zero,
)  # fmt: skip
