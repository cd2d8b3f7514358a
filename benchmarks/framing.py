"""Measure where the detector's box and landmarks fall inside images of FER-2013.

FER-2013 was cropped by another detector than ours. For a crop from a photograph to look like the
images that the network learned from, our crop must lie around our box as FER-2013's images do.
This script enlarges training images, repeats their border, runs our detector, and prints the values
of ``Framing`` that follow as JSON. Numbers only: no image leaves it.

    python -m benchmarks.framing fer2013/archive.zip > docs/measurements/framing.json
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.data.archives import open_tree
from facial_expressions.images import load_image
from facial_expressions.inference.contracts import Detection
from facial_expressions.inference.detectors.centerface import CenterFaceDetector

ENLARGED = 4  # times
BORDER_FRACTION = 0.5  # of the enlarged image, on each side
MIN_SCORE = 0.5  # of the faces that are measured


def draw_training_images(archive: Path, n: int, seed: int) -> list[NDArray[np.uint8]]:
    """Return ``n`` training images of the Kaggle archive, drawn without order."""
    with open_tree(archive) as tree:
        names = [name for name in tree.names if "train/" in name and name.endswith("g")]
        drawn = random.Random(seed).sample(names, min(n, len(names)))
        return [load_image(tree.read(name))[..., 0] for name in drawn]


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


def main() -> None:
    """Run the detector over training images and print how its boxes lie, as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("archive", type=Path, help="FER-2013 in Kaggle's layout, as a zip")
    parser.add_argument("--images", type=int, default=2000, help="how many training images")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw")
    options = parser.parse_args()
    detector = CenterFaceDetector()
    rows = []
    images = draw_training_images(options.archive, options.images, options.seed)
    for image in images:
        canvas, side, border = enlarge(image)
        if faces := [one for one in detector.detect(canvas) if one.score >= MIN_SCORE]:
            rows.append(describe(max(faces, key=lambda face: face.box.width), side, border))
    median = {name: round(statistics.median(row[name] for row in rows), 3) for name in rows[0]}
    rolls = [abs(row["roll_degrees"]) for row in rows]
    settings = {"enlarged": ENLARGED, "border_fraction": BORDER_FRACTION, "min_score": MIN_SCORE}
    result = {
        "data": "FER-2013 training images",
        "detector": "CenterFace",
        "settings": settings | {"seed": options.seed},
        "images": len(images),
        "faces": len(rows),
        "framing": {
            "box_width_fraction": median["width"],
            "box_height_fraction": median["height"],
            "center_x": median["center_x"],
            "center_y": median["center_y"],
            "max_roll_degrees": round(float(np.percentile(rolls, 95)), 1),
        },
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
