"""Takes the whole image for a face, for images that are cropped faces already."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.inference.contracts import Detection
from facial_expressions.preprocessing import Framing
from facial_expressions.results import Box


class WholeImageDetector:
    """Finds one face in every image: the image, whose square in the middle is the crop.

    Examples:
        >>> WholeImageDetector().detect(np.zeros((48, 48, 3), np.uint8))[0].box.xyxy
        (0, 0, 48, 48)
    """

    framing: Final = Framing(1.0, 1.0, 0.5, 0.5, 0.0)

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Return the frame of the image.

        Args:
            image: RGB ``uint8 (H, W, 3)``, upright.
        """
        return [Detection(Box(0, 0, image.shape[1], image.shape[0]), 1.0)]
