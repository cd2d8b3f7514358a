"""Makes small videos: the astronaut's face moved over a plain background, at known times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["TICK", "even_times", "face_image", "read_back", "scene", "write_video"]

Pixels = NDArray[np.uint8]

TICK: Final = Fraction(1, 1000)
SOUND_RATE: Final = 16_000


def face_image(astronaut: Path, *, height: int = 90) -> Pixels:
    """Return the astronaut's head."""
    head = Image.open(astronaut).convert("RGB").crop((150, 0, 310, 180))
    return np.asarray(head.resize((round(height * 160 / 180), height)))


def scene(
    face: Pixels, corners: Sequence[tuple[int, int]], *, size: tuple[int, int] = (320, 240)
) -> Pixels:
    """Return a grey image with the face at each corner; later ones lie on top."""
    image = np.full((size[1], size[0], 3), 90, np.uint8)
    for x, y in corners:
        image[y : y + face.shape[0], x : x + face.shape[1]] = face
    return image


def even_times(count: int, *, rate: int = 25) -> list[float]:
    """Return the times of frames at an even rate."""
    return [index / rate for index in range(count)]


def write_video(  # noqa: PLR0913 - one argument per property of the file
    path: Path,
    images: Iterable[Pixels],
    times_s: Sequence[float],
    *,
    sound: str = "",
    sound_rate: int = SOUND_RATE,
    matrix: Sequence[int] | None = None,
    pixel_shape: Fraction | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Encode images as H.264, each at its time, with a tone of the codec ``sound``."""
    with av.open(str(path), "w", options=options or {}) as output:
        stream = output.add_stream("libx264", rate=25, options={"preset": "ultrafast", "g": "10"})
        audio = output.add_stream(sound, rate=sound_rate) if sound else None
        stream.codec_context.time_base = TICK
        for index, (image, time_s) in enumerate(zip(images, times_s, strict=True)):
            if index == 0:
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = (
                    "yuv420p" if stream.width % 2 == stream.height % 2 == 0 else "yuv444p"
                )
                if pixel_shape is not None:
                    stream.codec_context.sample_aspect_ratio = pixel_shape
                if matrix is not None:
                    stream.set_display_matrix(matrix)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = round(time_s / TICK), TICK
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
        if isinstance(audio, av.AudioStream):
            _write_tone(output, audio, times_s[-1])
    return path


def read_back(path: Path) -> tuple[list[float], list[Pixels]]:
    """Decode a video by PyAV alone."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return (
            [frame.time for frame in frames],
            [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in frames],
        )


def _write_tone(
    output: av.container.OutputContainer, stream: av.AudioStream, until_s: float
) -> None:
    rate = stream.codec_context.sample_rate
    n_samples = round(until_s * rate)
    wave = np.sin(np.arange(n_samples) * 2 * np.pi * 440 / rate) * 8000
    for start in range(0, n_samples, 1024):
        part = wave[None, start : start + 1024].astype(np.int16)
        frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate, start
        output.mux(stream.encode(frame))
    output.mux(stream.encode())
