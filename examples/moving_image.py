"""Analyse frames that a program makes itself, and save them marked as a moving image.

A camera moves over a photograph, zooms in, loses light and focus and finds them again.

python examples/moving_image.py                  # demo-output/moving.webp
python examples/moving_image.py astronaut.webp
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

import facial_expressions as fx
from facial_expressions.media.analysis import FrameAnalyzer, analyze_frames
from facial_expressions.media.frames import Frame

PHOTO = Path(__file__).with_name("astronaut.jpg")  # NASA, public domain
N_FRAMES = 48
FRAME_S = 0.1
SIZE = (480, 360)


def camera_frames() -> Iterator[Frame]:
    """Yield what a camera sees of the photograph on a loop that ends where it began."""
    photo = Image.open(PHOTO).convert("RGB")
    for index in range(N_FRAMES):
        turn = 2 * math.pi * index / N_FRAMES
        width = 275 + 55 * math.cos(turn)
        height = width * SIZE[1] / SIZE[0]
        left = 240 + 60 * math.sin(turn) - width / 2
        top = 150 + 20 * math.sin(2 * turn) - height / 2
        part = (left, top, left + width, top + height)
        view = photo.transform(SIZE, Image.Transform.EXTENT, part, Image.Resampling.BICUBIC)
        fog = max(0.0, math.sin(turn - 0.6 * math.pi)) ** 2
        view = view.filter(ImageFilter.GaussianBlur(9 * fog))
        view = ImageEnhance.Brightness(view).enhance(1 - 0.6 * fog)
        yield Frame(index, index * FRAME_S, np.asarray(view))


def main(arguments: Sequence[str]) -> int:
    """Analyse the frames and save the moving image; return the exit code."""
    path = Path(arguments[0] if arguments else "demo-output/moving.webp")
    analyzer = FrameAnalyzer(fx.load_recognizer(), smooth_s=0.3)
    first, *others = (
        fx.draw_faces(frame.image, result.faces)
        for frame, result in analyze_frames(camera_frames(), analyzer)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    first.save(
        path, save_all=True, append_images=others, duration=round(1000 * FRAME_S), loop=0,
        quality=50, method=2,
    )  # fmt: skip
    print(f"{path}: {N_FRAMES} frames")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
