"""What detectors, classifiers and recognizers have to offer, so that others can take their place.

A class fits by its methods and need not inherit from these. Imports neither NumPy nor Pillow, so
that ``--help`` stays quick; nor the results, whose classes take a while to make.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from facial_expressions.image_sources import ImageSource
    from facial_expressions.labels import LabelSet
    from facial_expressions.preprocessing import Framing
    from facial_expressions.results import Box, ImageResult, Point


@dataclass(frozen=True, slots=True)
class Detection:
    """One face that a detector found.

    Attributes:
        box: The face's frame in image pixels; it may reach over the image's border.
        score: Detection score, 0 to 1.
        landmarks: Right eye, left eye, nose, right and left corner of the mouth (the person's own
            right, which is on the left of an upright image); empty, or None, where there are
            none.

    Examples:
        >>> from facial_expressions.results import Box
        >>> Detection(Box(10, 20, 50, 70), 0.9).landmarks
        ()
    """

    box: Box
    score: float
    landmarks: tuple[Point, ...] = ()

    if TYPE_CHECKING:  # the field is always a tuple; what it is made from may be None

        def __init__(
            self, box: Box, score: float, landmarks: Sequence[Point] | None = ()
        ) -> None: ...

    def __post_init__(self) -> None:
        object.__setattr__(self, "landmarks", tuple(self.landmarks or ()))


@runtime_checkable
class FaceDetector(Protocol):
    """Finds faces."""

    @property
    def framing(self) -> Framing:
        """How a crop lies around this detector's boxes."""

    def detect(self, image: NDArray[np.uint8]) -> Sequence[Detection]:
        """Find the faces of one image.

        Args:
            image: RGB ``uint8 (H, W, 3)``, upright.
        """


@runtime_checkable
class ReducingDetector(FaceDetector, Protocol):
    """Finds faces in a smaller copy of a large image: that takes less time to read."""

    def needed_side(self, longest: int) -> int:
        """Return how long the longest side of a copy has to be, by that of the image, in pixels."""

    def detect(
        self, image: NDArray[np.uint8], size: tuple[int, int] | None = None
    ) -> Sequence[Detection]:
        """Find the faces of one image, or of a copy, in pixels of the image of that size.

        Args:
            image: RGB ``uint8 (H, W, 3)``, upright; may be a smaller copy.
            size: Width and height of the image; None where ``image`` is no copy.
        """


@runtime_checkable
class RegionDetector(FaceDetector, Protocol):
    """Finds faces, and finds them again near where they were: several times faster in videos."""

    def detect_near(self, image: NDArray[np.uint8], faces: Sequence[Box]) -> Sequence[Detection]:
        """Find faces again near where they should be, each once.

        Args:
            image: RGB ``uint8 (H, W, 3)``, upright.
            faces: Their boxes, in image pixels; they may leave the image.
        """


class Classifier(Protocol):
    """A classifier that can be evaluated: crops in, probabilities out."""

    @property
    def labels(self) -> LabelSet:
        """Label set of the columns of ``predict_proba``."""

    def predict_proba(self, crops: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """Return ``float32 (N, K)`` for grey crops ``uint8 (N, S, S)``."""


@runtime_checkable
class Explainer(Protocol):
    """A classifier that may have heat maps."""

    @property
    def explains(self) -> bool:
        """Whether ``explain`` has an answer."""

    def explain(self, crops: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """Return class activation maps ``float32 (N, K, H, W)``."""


class RowRecognizer(Protocol):
    """Gives one result per image, also for bad images."""

    def recognize_rows(
        self, sources: Iterable[ImageSource], *, batch_size: int
    ) -> Iterator[ImageResult]:
        """Yield one result per path or file's bytes, in the order given."""
