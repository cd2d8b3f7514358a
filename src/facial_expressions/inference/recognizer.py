"""Whole images to faces with expressions: detector, crops and classifier in one object.

``recognize`` and ``recognize_folder`` use the default model, which is opened once per process.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from facial_expressions.errors import FacialExpressionsError, ImageError
from facial_expressions.image_sources import ImageSource, PlainSource, plain_source, source_name
from facial_expressions.images import list_images
from facial_expressions.inference.classifier import ExpressionClassifier, load_classifier
from facial_expressions.inference.contracts import Detection, FaceDetector, RegionDetector
from facial_expressions.inference.detectors import open_detector
from facial_expressions.inference.finding import FaceFinder, Found
from facial_expressions.inference.options import RecognizerOptions, with_keywords_of
from facial_expressions.preprocessing import Framing, crop_corners, to_grey_crops
from facial_expressions.quality import CROP_SIDE, measure_quality
from facial_expressions.results import Box, Explanation, Face, Faces, ImageResult, Prediction

Source = TypeVar("Source", bound=ImageSource)
Answer = TypeVar("Answer")
_Named = tuple[str, PlainSource, Found]
"""What an image is called, what can be read of it again, and what was found in it."""

_AT_ONCE: Final = 2
"""Images that are read and searched at a time: each is held in memory."""

_SAFE: Final = (str, os.PathLike, bytes, np.ndarray)
"""What several threads may read at a time; an open file or image they may not."""


class ExpressionRecognizer:
    """Finds the faces in an image and recognises their expressions.

    Made by ``load_recognizer``. Immutable, safe to share between threads, and pickled as its path
    and options.

    Args:
        classifier: Names the expression of a crop.
        detector: Finds the faces.
        options: Options that apply after both are loaded, such as ``min_confidence``; None takes
            the defaults.

    Attributes:
        options: The options given, or the defaults.
        classifier: The classifier given.
        uncertain_below: Confidence below which an answer is uncertain, 0 to 1.
        can_search_regions: Whether the detector can look near boxes instead of at a whole image.

    Examples:
        >>> recognizer = load_recognizer()
        >>> recognizer.recognize(np.zeros((64, 64, 3), np.uint8))
        []
    """

    def __init__(
        self,
        classifier: ExpressionClassifier,
        detector: FaceDetector,
        options: RecognizerOptions | None = None,
    ) -> None:
        self.options: Final = options or RecognizerOptions()
        own, asked = classifier.head.calibration.uncertain_below, self.options.min_confidence
        self.classifier: Final = classifier
        self.can_search_regions: Final = isinstance(detector, RegionDetector)
        side = classifier.metadata.preprocessing.size
        self._finder = FaceFinder(detector, self.options, side)
        self.uncertain_below: Final = own if asked is None else asked

    def recognize(self, image: ImageSource) -> Faces:
        """Find the faces in one image and recognise their expressions.

        Args:
            image: A path, bytes, open file, array, tensor or Pillow image; see ``load_image``.

        Returns:
            The faces from left to right; an empty list if there is none.

        Raises:
            ImageError: The image cannot be read.
            ModelError: The network cannot be run.
        """
        return self._faces([self._find(image)])[0]

    def detect(
        self, image: NDArray[np.uint8], *, near: Sequence[Box] | None = None
    ) -> list[Detection]:
        """Find the faces in one image without classifying them.

        Args:
            image: RGB ``uint8 (H, W, 3)``, upright.
            near: Boxes where faces should be, in image pixels; they may leave the image. Only
                around these is searched. None searches the whole image, and so does a detector
                that cannot look near boxes.

        Returns:
            The faces from left to right; an empty list if there is none.
        """
        return self._finder.detect(image, near)

    def classify(self, image: NDArray[np.uint8], detections: Sequence[Detection]) -> list[Face]:
        """Classify the expressions of faces that were detected before.

        Args:
            image: RGB ``uint8 (H, W, 3)``, upright.
            detections: Faces of this image.

        Returns:
            One face per detection, in the order given.

        Raises:
            ImageError: A box lies outside the image.
            ModelError: The network cannot be run.
        """
        return [*self._rows([self._finder.cut(image, detections)])[0].faces]

    def explain(self, image: ImageSource) -> list[tuple[Face, Explanation]]:
        """Find the faces in one image, each with a heat map of its answer.

        Args:
            image: As for ``recognize``.

        Returns:
            Each face, from left to right, with its heat map.

        Raises:
            ImageError: The image cannot be read.
            ModelError: The network cannot be run, or has no class activation maps.
        """
        row = self._rows([self._finder.find(image)], explain=True)[0]
        return list(zip(row.faces, row.explanations, strict=True))

    def recognize_many(
        self, sources: Iterable[Source], *, batch_size: int = 32
    ) -> Iterator[tuple[Source, Faces]]:
        """Find the faces in many images, all faces of a batch in one forward pass.

        Args:
            sources: Images as for ``recognize``; each is read when its result is due.
            batch_size: Images per batch.

        Yields:
            Each source with its faces, in the order given.

        Raises:
            ImageError: An image cannot be read. All images before it have been yielded, and none
                after it will be. Use ``recognize_rows`` to carry on.
            ModelError: The network cannot be run.
        """
        for chunk in _chunks(sources, batch_size):
            found: list[_Named] = []
            try:
                for one in self._each(self._find, chunk):
                    found.append(one)
            except ImageError:
                yield from zip(chunk, self._faces(found), strict=False)
                raise
            yield from zip(chunk, self._faces(found), strict=True)

    def recognize_rows(
        self, sources: Iterable[ImageSource], *, batch_size: int = 32, explain: bool = False
    ) -> Iterator[ImageResult]:
        """Find the faces in many images: one result each, also for bad images.

        Args:
            sources: Images as for ``recognize``; each is read when its result is due.
            batch_size: Images per batch.
            explain: Whether each face gets a heat map; needs a model that has them.

        Yields:
            One result per source, in the order given: ``ok``; ``rejected`` if the image cannot
            be read; or ``failed`` if it was read but a network could not be run.
        """
        for chunk in _chunks(self._each(self._try_find, sources), batch_size):
            found = [one for _, one in chunk if isinstance(one, Found)]
            answers = iter(self._answer(found, explain=explain))
            for source, one in chunk:
                row = next(answers) if isinstance(one, Found) else one
                yield replace(row, source=source_name(source))

    def recognize_folder(
        self, folder: str | Path, *, batch_size: int = 32
    ) -> Iterator[ImageResult]:
        """Find the faces in all images of a folder and its subfolders.

        Args:
            folder: The folder; hidden files and files of other kinds are left out.
            batch_size: Images per batch.

        Returns:
            One result per image, sorted by path; see ``recognize_rows``.

        Raises:
            ImageError: There is no such folder.
        """
        return self.recognize_rows(list_images(folder), batch_size=batch_size)

    def _each(
        self, find: Callable[[Source], Answer], sources: Iterable[Source]
    ) -> Iterator[Answer]:
        """Find the faces of each image, in order; the next ones are read and searched meanwhile."""
        threads = min(_AT_ONCE, self.options.threads or os.cpu_count() or 1)
        if threads < 2:
            yield from map(find, sources)
            return
        waiting: deque[Future[Answer]] = deque()
        pool = ThreadPoolExecutor(threads, thread_name_prefix="find")
        try:
            for source in sources:
                waiting.append(pool.submit(find, source))
                if not isinstance(source, _SAFE):
                    wait(waiting)
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _find(self, source: ImageSource) -> _Named:
        image = plain_source(source)
        return source_name(source), image, self._finder.find(image)

    def _try_find(self, source: ImageSource) -> tuple[ImageSource, Found | ImageResult]:
        try:
            return source, self._finder.find(source)
        except ImageError as error:
            return source, ImageResult("", "rejected", error=str(error))
        except (FacialExpressionsError, MemoryError) as error:
            return source, _failed(error)

    def _answer(self, found: Sequence[Found], *, explain: bool) -> list[ImageResult]:
        """Return the results of images, yet without names; if all at once fail, one by one."""
        try:
            return self._rows(found, explain=explain)
        except (FacialExpressionsError, MemoryError) as error:
            if len(found) == 1:
                return [_failed(error)]
            return [self._answer([one], explain=explain)[0] for one in found]

    def _rows(self, found: Sequence[Found], *, explain: bool = False) -> list[ImageResult]:
        """Name the expressions of all faces of some images in one pass, and say why if asked."""
        if not found:
            return []
        crops = np.concatenate([one.crops for one in found])
        probabilities = iter(self.classifier.predict_proba(crops).astype(float).tolist())
        maps = iter(self.classifier.explain(crops)) if explain else None
        rows = []
        for one in found:
            faces = tuple(
                self._face(one, detection, crop, next(probabilities))
                for detection, crop in zip(
                    one.detections, to_grey_crops(one.crops, CROP_SIDE), strict=True
                )
            )
            reasons = tuple(
                _explained(face, next(maps), detection, self._finder.detector.framing)
                for face, detection in zip(faces, one.detections, strict=True)
                if maps is not None
            )
            rows.append(ImageResult("", "ok", one.width, one.height, faces, explanations=reasons))
        return rows

    def _faces(self, found: Sequence[_Named]) -> list[Faces]:
        """Return the faces of some images with the name and source of each."""
        rows = self._rows([one for _, _, one in found])
        return [
            Faces(row.faces, image, replace(row, source=name))
            for (name, image, _), row in zip(found, rows, strict=True)
        ]

    def _face(
        self, found: Found, detection: Detection, crop: NDArray[np.uint8], values: Sequence[float]
    ) -> Face:
        labels = self.classifier.labels.names
        prediction = Prediction(labels, tuple(values), self.uncertain_below)
        quality = measure_quality(detection.box.width, detection.landmarks, crop)
        box = _clip(detection.box, found.width, found.height)
        return Face(box, detection.score, detection.landmarks, prediction, quality=quality)

    def __reduce__(self) -> tuple[Any, ...]:
        return (ExpressionRecognizer, (self.classifier, self._finder.detector, self.options))

    def __repr__(self) -> str:
        return f"ExpressionRecognizer({self.classifier!r})"


@with_keywords_of(RecognizerOptions)
def load_recognizer(options: RecognizerOptions) -> ExpressionRecognizer:
    """Load a model and a detector; keep the recognizer for repeated use.

    Args:
        options: One value, or its keywords: ``load_recognizer("compact", threads=2)``.

    Raises:
        ModelError: The model or the detector is missing, changed, damaged or of another kind, or
            does not run on the device.
        ValueError: An option is out of its range.

    Examples:
        >>> load_recognizer(min_confidence=0.5).recognize(np.full((64, 64, 3), 255, np.uint8))
        []
    """
    return ExpressionRecognizer(load_classifier(options), open_detector(options), options)


def recognize(image: ImageSource) -> Faces:
    """Find the faces in one image with the default model, loaded once per process.

    Args:
        image: A path, bytes, open file, RGB ``uint8 (H, W, 3)`` array or tensor, or Pillow image;
            see ``images.load_image``.

    Returns:
        The faces from left to right, an empty list if there is none; with ``show()``, ``save()``
        and ``to_dataframe()``.

    Raises:
        ImageError: The image cannot be read.

    Examples:
        >>> recognize(np.zeros((64, 64, 3), np.uint8))
        []
    """
    return _default_recognizer().recognize(image)


def recognize_folder(folder: str | Path) -> Iterator[ImageResult]:
    """Find the faces in all images of a folder and its subfolders, with the default model.

    Args:
        folder: The folder; hidden files and files of other kinds are left out.

    Returns:
        One result per image, sorted by path; each image is read when its result is due.

    Raises:
        ImageError: There is no such folder.

    Examples:
        >>> import os
        >>> os.mkdir("photos")
        >>> list(recognize_folder("photos"))
        []
    """
    return _default_recognizer().recognize_folder(folder)


_default_recognizer: Final = functools.cache(load_recognizer)


def _chunks(items: Iterable[Answer], size: int) -> Iterator[tuple[Answer, ...]]:
    if size < 1:
        raise ValueError(f"batch_size: must be 1 or more, not {size}")
    iterator = iter(items)
    while chunk := tuple(itertools.islice(iterator, size)):
        yield chunk


def _failed(error: Exception) -> ImageResult:
    return ImageResult("", "failed", error=str(error) or type(error).__name__)


def _clip(box: Box, width: int, height: int) -> Box:
    return Box(
        max(box.left, 0.0), max(box.top, 0.0), min(box.right, width), min(box.bottom, height)
    )


def _explained(
    face: Face, maps: NDArray[np.float32], detection: Detection, framing: Framing
) -> Explanation:
    """Return what in a face speaks for its answer, by the maps of all classes.

    That is the answer's map less the mean of all: the softmax does not see what all share.
    """
    chosen = face.prediction.labels.index(face.expression)
    heat = (maps[chosen] - maps.mean(axis=0)).astype(float)
    corners = crop_corners(detection.box, detection.landmarks, framing)
    return Explanation(face.expression, tuple(map(tuple, heat.tolist())), corners)
