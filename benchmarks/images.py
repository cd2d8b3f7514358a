"""The images that benchmarks look at, all made of one photograph, always the same ones."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from benchmarks.record import astronaut

__all__ = ["face_crops", "head", "moving_face", "photo", "write_photos", "write_video"]

Pixels = NDArray[np.uint8]

_HEAD: Final = (150, 0, 310, 180)
"""Where the astronaut's head is."""

_FACE: Final = (174, 60, 276, 162)
_RATE: Final = 25
_TICK: Final = Fraction(1, 1000)


def photo(width: int, height: int) -> Pixels:
    """Return the astronaut, one face, in an image of the given size, RGB ``uint8 (H, W, 3)``.

    Args:
        width: In pixels.
        height: In pixels.
    """
    with Image.open(astronaut()) as image:
        side = min(width, height)
        canvas = Image.new("RGB", (width, height), "grey")
        canvas.paste(image.convert("RGB").resize((side, side)), ((width - side) // 2, 0))
    return np.asarray(canvas)


def head() -> Image.Image:
    """Return the astronaut's head, 160x180, one face."""
    with Image.open(astronaut()) as image:
        return image.convert("RGB").crop(_HEAD)


def face_crops(n: int) -> Pixels:
    """Return the astronaut's face at different light and contrast, grey ``uint8 (N, 48, 48)``.

    Args:
        n: How many.
    """
    with Image.open(astronaut()) as image:
        face = image.convert("L").crop(_FACE).resize((48, 48))
    rng = np.random.default_rng(0)
    gain, offset = rng.uniform(0.6, 1.3, (n, 1, 1)), rng.uniform(-30, 30, (n, 1, 1))
    return np.clip(np.asarray(face)[None] * gain + offset, 0, 255).astype(np.uint8)


def write_photos(folder: Path, n: int) -> None:
    """Write JPEGs of 640x480, each with one or two faces at other places, sizes and light.

    Args:
        folder: Where; a folder that has as many images is left as it is.
        n: How many.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if len(list(folder.iterdir())) == n:
        return
    with Image.open(astronaut()) as image:
        whole = image.convert("RGB")
    face = head()
    for number in range(n):
        rng = np.random.default_rng(number)
        left = int(rng.integers(0, 160))
        canvas = whole.resize((640, 640)).crop((0, left, 640, left + 480))
        size = int(rng.integers(40, 160))
        place = int(rng.integers(0, 640 - size)), int(rng.integers(200, 480 - size))
        canvas.paste(face.resize((size, size)), place)
        canvas = ImageOps.mirror(canvas) if rng.random() < 0.5 else canvas
        canvas = ImageEnhance.Brightness(canvas).enhance(float(rng.uniform(0.6, 1.3)))
        canvas.save(folder / f"{number:06d}.jpg", quality=90)


def moving_face(n_frames: int) -> Iterator[Pixels]:
    """Yield a face that moves, RGB ``uint8 (480, 640, 3)``.

    Args:
        n_frames: How many.
    """
    face = head()
    for index in range(n_frames):
        canvas = Image.new("RGB", (640, 480), (90, 90, 90))
        x, y = 240 + round(160 * np.sin(index / 20)), 130 + round(60 * np.cos(index / 13))
        canvas.paste(face, (int(x), int(y)))
        yield np.asarray(canvas)


def write_video(path: Path, n_frames: int) -> None:
    """Write ``moving_face`` as an H.264 video with 25 frames a second.

    Args:
        path: The file.
        n_frames: How many frames.
    """
    import av

    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=_RATE, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        stream.codec_context.time_base = _TICK
        for index, image in enumerate(moving_face(n_frames)):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = round(Fraction(index, _RATE) / _TICK), _TICK
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
