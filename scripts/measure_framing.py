"""Measure where the detector's box and landmarks fall inside images of FER-2013.

FER-2013 was cropped by another detector than ours. For a crop from a photograph to look like the
images that the network learned from, our crop must lie around our box as FER-2013's images do.
This script enlarges training images, repeats their border, runs our detector, and prints the values
of ``Framing`` that follow as JSON. Numbers only: no image leaves it.

    python -m scripts.measure_framing fer2013/archive.zip > docs/measurements/framing.json
"""

from __future__ import annotations

import argparse
import io
import json
import math
import random
import statistics
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.inference.contracts import Detection
from facial_expressions.inference.detectors.centerface import CenterFaceDetector

ENLARGED = 4
"""FER-2013's 48 pixels are enlarged this many times."""

BORDER_FRACTION = 0.5
"""Border repeated on each side, as a fraction of the enlarged image."""

MIN_SCORE = 0.5
"""Only faces that the detector is surer of than this are measured."""


def draw_training_images(archive: Path, n: int, seed: int) -> Iterator[NDArray[np.uint8]]:
    """Yield ``n`` training images of the Kaggle archive, drawn without order."""
    with zipfile.ZipFile(archive) as file:
        names = sorted(name for name in file.namelist() if "train/" in name and name.endswith("g"))
        for name in random.Random(seed).sample(names, min(n, len(names))):
            with Image.open(io.BytesIO(file.read(name)), formats=["JPEG", "PNG"]) as image:
                yield np.asarray(image.convert("L"))


def enlarge(crop: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int, int]:
    """Return the RGB canvas, the enlarged image's side, and its offset in the canvas."""
    side = crop.shape[0] * ENLARGED
    border = round(side * BORDER_FRACTION)
    big = Image.fromarray(crop).resize((side, side), Image.Resampling.BICUBIC)
    canvas = np.pad(np.asarray(big), border, mode="edge")
    return np.repeat(canvas[..., None], 3, axis=2), side, border


def describe(detection: Detection, side: int, border: int) -> dict[str, float]:
    """Express one detection in fractions of the image's side, and its tilt in degrees."""
    left, top, right, bottom = ((value - border) / side for value in detection.box.xyxy)
    (x0, y0), (x1, y1) = detection.landmarks[:2]
    return {
        "width": right - left,
        "height": bottom - top,
        "center_x": (left + right) / 2,
        "center_y": (top + bottom) / 2,
        "roll_degrees": math.degrees(math.atan2(y1 - y0, x1 - x0)),
    }


def derive(rows: list[dict[str, float]]) -> dict[str, float]:
    """Return the values of ``Framing``."""

    def median(name: str) -> float:
        return round(statistics.median(row[name] for row in rows), 3)

    rolls = [abs(row["roll_degrees"]) for row in rows]
    return {
        "box_width_fraction": median("width"),
        "box_height_fraction": median("height"),
        "center_x": median("center_x"),
        "center_y": median("center_y"),
        "max_roll_degrees": round(float(np.percentile(rolls, 95)), 1),
    }


def measure(archive: Path, n: int, seed: int) -> dict[str, object]:
    """Run the detector over ``n`` training images and say how its boxes lie."""
    detector = CenterFaceDetector(min_score=MIN_SCORE)
    rows = []
    images = [*draw_training_images(archive, n, seed)]
    for image in images:
        canvas, side, border = enlarge(image)
        faces = detector.detect(canvas)
        if faces:
            rows.append(describe(max(faces, key=lambda face: face.box.width), side, border))
    return {
        "data": "FER-2013 training images",
        "detector": "CenterFace",
        "settings": {
            "enlarged": ENLARGED,
            "border_fraction": BORDER_FRACTION,
            "min_score": MIN_SCORE,
            "seed": seed,
        },
        "images": len(images),
        "faces": len(rows),
        "framing": derive(rows),
    }


def main() -> None:
    """Read the arguments, measure, and write JSON to standard output."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("archive", type=Path, help="FER-2013 in Kaggle's layout, as a zip")
    parser.add_argument("--images", type=int, default=2000, help="how many training images")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw")
    options = parser.parse_args()
    print(json.dumps(measure(options.archive, options.images, options.seed), indent=2))


if __name__ == "__main__":
    main()
