"""Face detectors, one file each: a name that is registered can be asked for on the command line.

A file of this package is found by itself. One elsewhere registers its detector in the same way, and
is imported before the name is used.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from facial_expressions.errors import ModelError, suggest
from facial_expressions.inference.contracts import Detection, FaceDetector
from facial_expressions.inference.options import RecognizerOptions
from facial_expressions.preprocessing import Framing
from facial_expressions.results import Box

Opener = Callable[[RecognizerOptions], FaceDetector]
AnyOpener = TypeVar("AnyOpener", bound=Opener)

_OPENERS: dict[str, Opener] = {}


def register_detector(name: str) -> Callable[[AnyOpener], AnyOpener]:
    """Register a detector's class, or a function that opens one; used as a decorator.

    Args:
        name: The name that selects it; must be new.

    Raises:
        ValueError: ``name`` is taken.
    """

    def decorate(opener: AnyOpener) -> AnyOpener:
        if name in _OPENERS:
            raise ValueError(f"detector {name!r}: registered twice. Choose another name")
        _OPENERS[name] = opener
        return opener

    return decorate


def list_detectors() -> tuple[str, ...]:
    """Return the names of all registered detectors, sorted.

    Examples:
        >>> "centerface" in list_detectors()
        True
    """
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return tuple(sorted(_OPENERS))


def open_detector(options: RecognizerOptions) -> FaceDetector:
    """Open the detector that options name; one that is an object already is returned as it is.

    With ``crops`` no detector is opened: the whole image is the face.

    Raises:
        ModelError: There is no detector of that name, or it cannot be opened.

    Examples:
        >>> open_detector(RecognizerOptions(threads=1)).framing.box_height_fraction
        0.929
    """
    if options.crops:
        return _WholeImageDetector()
    if not isinstance(options.detector, str):
        return options.detector
    names = list_detectors()
    if options.detector not in names:
        raise ModelError(
            f"{options.detector!r}: no such face detector. {suggest(options.detector, names)}"
        )
    return _OPENERS[options.detector](options)


class _WholeImageDetector:
    """Finds one face in every image: the image, whose square in the middle is the crop."""

    framing: Final = Framing(1.0, 1.0, 0.5, 0.5, 0.0)

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        return [Detection(Box(0, 0, image.shape[1], image.shape[0]), 1.0)]
