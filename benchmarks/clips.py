"""Makes the videos of the video benchmark, from two photographs that come with packages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from math import pi, sin
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from benchmarks.record import astronaut, grace_hopper

__all__ = ["RATE", "frame_times", "write_crossing_clip", "write_noisy_clip"]

Pixels = NDArray[np.uint8]

RATE: Final = 25
_SIZE: Final = (640, 480)
_FACE_PX: Final = 150
_PERIOD_S: Final = 15.0
"""Each face goes from one side to the other and back in this time; they cross twice."""

_NOISY_FACE_PX: Final = 110
_NOISE: Final = 45.0
"""Grey levels, one sigma: as a bad camera in a dark room."""


def write_crossing_clip(path: Path, *, seconds: float) -> Path:
    """Write two faces that go from side to side and hide one another, 640x480, 25 frames a second.

    Args:
        path: The MP4; replaced.
        seconds: Length.
    """
    return _encode(path, _crossing(round(seconds * RATE)))


def write_noisy_clip(path: Path, *, seconds: float, seed: int = 0) -> Path:
    """Write one face that stands still under noise, 320x240, 25 frames a second.

    It is one between two expressions: where a network is sure, noise changes no label.

    Args:
        path: The MP4; replaced.
        seconds: Length.
        seed: Of the noise.
    """
    return _encode(path, _noisy(round(seconds * RATE), np.random.default_rng(seed)))


def frame_times(path: Path) -> list[float]:
    """Return the presentation times of a video's frames in seconds, as PyAV alone gives them."""
    with av.open(str(path)) as container:
        return [float(frame.time or 0.0) for frame in container.decode(video=0)]


def _crossing(n_frames: int) -> Iterator[Pixels]:
    background = Image.linear_gradient("L").resize(_SIZE).convert("RGB")
    faces = [
        (_face(astronaut(), (150, 0, 310, 180)), 40),
        (_face(grace_hopper(), (130, 40, 390, 330)), 70),
    ]
    for index in range(n_frames):
        shift = 220 * sin(2 * pi * index / RATE / _PERIOD_S + 1)
        image = background.copy()
        for sign, ((face, mask), top) in zip((-1, 1), faces, strict=True):
            left = round((_SIZE[0] - face.width) / 2 + sign * shift)
            image.paste(face, (left, top + round(60 * sin(index / RATE))), mask)
        yield np.asarray(image)


def _noisy(n_frames: int, rng: np.random.Generator) -> Iterator[Pixels]:
    face, mask = _face(grace_hopper(), (130, 40, 390, 330), height=_NOISY_FACE_PX)
    image = Image.new("RGB", (320, 240), "grey")
    image.paste(face, (110, 60), mask)
    still = np.asarray(image, np.float32)
    for _ in range(n_frames):
        noise = rng.normal(0, _NOISE, still.shape).astype(np.float32)
        yield np.clip(still + noise, 0, 255).astype(np.uint8)


def _face(
    path: Path, crop: tuple[int, int, int, int], *, height: int = _FACE_PX
) -> tuple[Image.Image, Image.Image]:
    """Return a face with a soft oval mask."""
    with Image.open(path) as photo:
        head = photo.convert("RGB").crop(crop)
    face = head.resize((round(height * head.width / head.height), height))
    mask = Image.new("L", face.size)
    ImageDraw.Draw(mask).ellipse((3, 3, face.width - 4, face.height - 4), fill=255)
    return face, mask.filter(ImageFilter.GaussianBlur(2))


def _encode(path: Path, images: Iterable[Pixels]) -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream(
            "libx264", rate=RATE, options={"preset": "veryfast", "crf": "18"}
        )
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, RATE)
        for index, image in enumerate(images):
            if index == 0:
                stream.height, stream.width = image.shape[:2]
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path
