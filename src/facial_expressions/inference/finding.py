"""Find faces: read an image, have a detector look at it, cut out what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facial_expressions.image_sources import ImageSource, plain_source
from facial_expressions.images import load_image, load_reduced
from facial_expressions.inference.contracts import (
    Detection,
    FaceDetector,
    ReducingDetector,
    RegionDetector,
)
from facial_expressions.inference.options import RecognizerOptions
from facial_expressions.preprocessing import crop_faces, is_reduced_for_crops
from facial_expressions.results import Box


@dataclass(frozen=True, slots=True)
class Found:
    """The detector's part of one image: its size, faces and their crops."""

    width: int
    height: int
    detections: tuple[Detection, ...]
    crops: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class FaceFinder:
    """Finds faces and cuts their crops.

    Attributes:
        detector: What finds the faces.
        options: Which of them count, and how large an image may be.
        side: Of a crop, in pixels.
    """

    detector: FaceDetector
    options: RecognizerOptions
    side: int

    def find(self, source: ImageSource) -> Found:
        """Read one image, detect its faces and cut them out; the image itself is let go.

        A large JPEG is decoded in a fraction of its size, if detector and crops need no more.

        Raises:
            ImageError: The image cannot be read.
            ModelError: The network cannot be run.
        """
        source, most = plain_source(source), self.options.max_pixels
        if not isinstance(self.detector, ReducingDetector):
            image = load_image(source, max_pixels=most)
            return self.cut(image, self.detect(image))
        image, size = load_reduced(source, max_pixels=most, needed_side=self.detector.needed_side)
        detections = self._kept(self.detector.detect(image, size))
        boxes, factor = [one.box for one in detections], size[0] / image.shape[1]
        if factor > 1 and not is_reduced_for_crops(
            boxes, self.detector.framing, size=self.side, factor=factor
        ):
            image = load_image(source, max_pixels=most)
        return self.cut(image, detections, size)

    def detect(
        self, image: NDArray[np.uint8], near: Sequence[Box] | None = None
    ) -> list[Detection]:
        """Find an image's faces, from left to right; only near boxes, if the detector can do so."""
        if near is not None and isinstance(self.detector, RegionDetector):
            return self._kept(self.detector.detect_near(image, near))
        return self._kept(self.detector.detect(image))

    def cut(
        self,
        image: NDArray[np.uint8],
        detections: Sequence[Detection],
        size: tuple[int, int] | None = None,
    ) -> Found:
        """Cut out the faces of an image, or of a smaller copy of one of this width and height.

        Raises:
            ImageError: A box lies outside the image.
        """
        size = size or (image.shape[1], image.shape[0])
        detections = tuple(_own(one) for one in detections)
        crops = crop_faces(
            image,
            [one.box for one in detections],
            [one.landmarks for one in detections],
            self.detector.framing,
            size=self.side,
            full=size,
        )
        return Found(*size, detections, crops)

    def _kept(self, found: Sequence[Detection]) -> list[Detection]:
        """Return the faces that the options ask for, from left to right."""
        least = self.options.min_score or 0.0
        detections = [_own(one) for one in found if one.score >= least]
        if self.options.largest:
            detections = sorted(detections, key=lambda one: one.box.area)[-1:]
        return sorted(detections, key=lambda found: (found.box.left, found.box.top))


def _own(found: Detection) -> Detection:
    """Return a detection as ours: that of another's detector may have None for landmarks."""
    return Detection(found.box, found.score, found.landmarks)
