"""Measures which faces the detector finds, by their size, and what finding them costs.

Heads from two photographs (an astronaut, Grace Hopper) are pasted at chance places into images
without a face, one an image; a face counts as found when a box overlaps its own by 0.4 or more
(intersection over union). Compared are the package's working sizes, of which the larger is half
of the image, with ``small_faces``, where it is the whole, and with a third of the image alone.

Example:
    python -m benchmarks.detection
    python -m benchmarks.detection --quick
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.record import astronaut, grace_hopper, milliseconds, write_results
from facial_expressions.inference.contracts import Detection
from facial_expressions.inference.detectors.centerface import CenterFaceDetector
from facial_expressions.inference.options import RecognizerOptions
from facial_expressions.results import Box

Search = Callable[[NDArray[np.uint8]], Sequence[Detection]]

FRAMES: Final = ((640, 480), (1280, 720), (1920, 1080))
WIDTHS: Final = (12, 16, 20, 24, 32, 48, 96, 192, 384)
"""Widths of the faces in pixels; those that a frame has no room for are left out."""

BACKGROUNDS: Final = ("coffee.png", "chelsea.png", "rocket.jpg", "brick.png", "text.png")
MARGIN: Final = 0.6
"""How far a head reaches beyond its face on each side, as a fraction of the face's sides."""

OVERLAP: Final = 0.4


@dataclass(frozen=True, slots=True)
class Head:
    """A head, and where in it the face is."""

    image: Image.Image
    face: Box


def main() -> None:
    """Measure every setting on every frame and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--places", type=int, default=8, help="images for each width and head")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="a short trial; nothing is written")
    options = parser.parse_args()
    places = 2 if options.quick else options.places
    heads = [cut_head(astronaut()), cut_head(grace_hopper())]
    figures: dict[str, object] = {"threads": options.threads, "images": places * len(heads)}
    for frame in FRAMES:
        longest = max(frame)
        opened = RecognizerOptions(threads=options.threads)
        usual = CenterFaceDetector(opened)
        searches: dict[str, Search] = {
            "half and 192": usual.detect,
            "full and 192, `--small-faces`": CenterFaceDetector(
                replace(opened, small_faces=True)
            ).detect,
            "a third": partial(usual.detect_at, side=longest // 3),
        }
        for name, search in searches.items():
            found, false = recall(search, heads, frame, places)
            empty = background(frame, 0)
            timing = milliseconds(partial(search, empty), repeats=3 if options.quick else 9)
            figures[f"{frame[0]}x{frame[1]}, {name}"] = {
                "ms": timing["median_ms"],
                "found": found,
                "false": false,
            }
    write_results("detection", figures, keep=not options.quick)


def recall(
    search: Search, heads: list[Head], frame: tuple[int, int], places: int
) -> tuple[dict[str, float], int]:
    """Return the share of faces found by their width, and how many boxes hold no face.

    Args:
        search: What is measured.
        heads: What is pasted.
        frame: Width and height of the images.
        places: Images for each width and head.
    """
    found: dict[str, float] = {}
    false = 0
    for width in WIDTHS:
        fits = all(_size(head, width)[1] < frame[1] for head in heads)
        if not fits:
            continue
        hits = 0
        for place in range(places):
            for number, head in enumerate(heads):
                image, truth = paste(head, width, frame, seed=place * len(heads) + number)
                boxes = [one.box for one in search(image)]
                is_hit = any(overlap(box, truth) >= OVERLAP for box in boxes)
                hits += is_hit
                false += len(boxes) - is_hit
        found[str(width)] = round(hits / (places * len(heads)), 3)
    return found, false


def cut_head(photo: Path) -> Head:
    """Return the head on a photograph of one person."""
    with Image.open(photo) as opened:
        image = opened.convert("RGB")
    (face,) = (one.box for one in CenterFaceDetector().detect(np.asarray(image)))
    left = max(face.left - MARGIN * face.width, 0)
    top = max(face.top - MARGIN * face.height, 0)
    right = min(face.right + MARGIN * face.width, image.width)
    bottom = min(face.bottom + MARGIN * face.height, image.height)
    inside = Box(face.left - left, face.top - top, face.right - left, face.bottom - top)
    return Head(image.crop((round(left), round(top), round(right), round(bottom))), inside)


def paste(
    head: Head, width: int, frame: tuple[int, int], *, seed: int
) -> tuple[NDArray[np.uint8], Box]:
    """Return an image with a head, and where its face is.

    Args:
        head: What is pasted.
        width: Of the face, in pixels.
        frame: Width and height of the image.
        seed: Decides place, light and background.
    """
    rng = np.random.default_rng(seed)
    size = _size(head, width)
    scale = size[0] / head.image.width
    x, y = (int(rng.integers(0, room - own + 1)) for room, own in zip(frame, size, strict=True))
    image = background(frame, seed)
    pasted = np.asarray(head.image.resize(size, Image.Resampling.LANCZOS), np.float32)
    light = rng.uniform(0.6, 1.2)
    image[y : y + size[1], x : x + size[0]] = np.clip(pasted * light, 0, 255)
    left, top, right, bottom = (scale * side for side in head.face.xyxy)
    return image, Box(x + left, y + top, x + right, y + bottom)


def background(frame: tuple[int, int], seed: int) -> NDArray[np.uint8]:
    """Return an image without a face, RGB ``uint8 (H, W, 3)``."""
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise SystemExit("the images come with scikit-image; run: pip install scikit-image")
    path = Path(spec.origin).parent / "data" / BACKGROUNDS[seed % len(BACKGROUNDS)]
    with Image.open(path) as image:
        return np.array(image.convert("RGB").resize(frame))


def overlap(one: Box, other: Box) -> float:
    """Return intersection over union of two boxes, 0 to 1."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / (one.width * one.height + other.width * other.height - shared)


def _size(head: Head, width: int) -> tuple[int, int]:
    """Return the size of a head whose face has the given width."""
    scale = width / head.face.width
    return round(head.image.width * scale), round(head.image.height * scale)


if __name__ == "__main__":
    main()
