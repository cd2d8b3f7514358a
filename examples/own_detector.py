"""Use a face detector of your own: here scikit-image's cascade, in place of the one that ships.

python examples/own_detector.py            # NASA's photograph of Eileen Collins, an astronaut
python examples/own_detector.py photo.jpg
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage import data
from skimage.feature import Cascade

import facial_expressions as fx

PHOTO = Path(__file__).with_name("astronaut.jpg")


class CascadeDetector:
    """Finds upright faces by local binary patterns."""

    framing = fx.Framing(0.99, 0.99, 0.5, 0.5, 20.0)
    """How its boxes lie in images of FER-2013: medians over training images in which it finds one
    face, as ``benchmarks/framing.py`` takes them for the detector that ships."""

    def __init__(self) -> None:
        self._cascade = Cascade(data.lbp_frontal_face_cascade_filename())  # type: ignore[no-untyped-call]

    def detect(self, image: NDArray[np.uint8]) -> list[fx.Detection]:
        """Return the faces of an RGB ``uint8 (H, W, 3)`` image."""
        found = self._cascade.detect_multi_scale(
            img=image, scale_factor=1.3, step_ratio=1, min_size=(60, 60), max_size=image.shape[:2]
        )
        corners = [(one["c"], one["r"], one["width"], one["height"]) for one in found]
        boxes = [fx.Box(left, top, left + w, top + h) for left, top, w, h in corners]
        return [fx.Detection(box, score=1.0) for box in boxes]


def main(arguments: Sequence[str]) -> int:
    """Recognise the faces that the detector finds; return the exit code."""
    recognizer = fx.load_recognizer(detector=CascadeDetector())
    for face in recognizer.recognize(arguments[0] if arguments else PHOTO):
        print(face.expression, round(face.confidence, 2), face.box.xyxy)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
