"""Facial Expressions: faces and their expressions in images, with networks trained on FER-2013.

Every public name is imported when it is first used, so that ``import facial_expressions`` is quick
and loads neither Keras, TensorFlow, PyTorch, OpenCV nor Matplotlib.

    >>> import facial_expressions as fx
    >>> fx.Box(10, 20, 40, 60).center
    (25.0, 40.0)
"""

from __future__ import annotations

import importlib
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from facial_expressions.data import load_dataset
    from facial_expressions.dataframes import to_dataframe
    from facial_expressions.errors import FacialExpressionsError
    from facial_expressions.evaluation import evaluate
    from facial_expressions.inference.classifier import ExpressionClassifier, load_classifier
    from facial_expressions.inference.contracts import Detection, FaceDetector
    from facial_expressions.inference.model_store import list_models
    from facial_expressions.inference.options import RecognizerOptions
    from facial_expressions.inference.recognizer import (
        ExpressionRecognizer,
        load_recognizer,
        recognize,
        recognize_folder,
    )
    from facial_expressions.labels import LabelSet
    from facial_expressions.media.analysis import analyze_video
    from facial_expressions.media.draw import draw_faces
    from facial_expressions.preprocessing import Framing, Preprocessing
    from facial_expressions.results import (
        Box,
        Explanation,
        Face,
        FrameResult,
        ImageResult,
        Prediction,
        TrackedFace,
    )

    __version__: str

__all__ = [
    "Box", "Detection", "Explanation", "ExpressionClassifier", "ExpressionRecognizer", "Face",
    "FaceDetector", "FacialExpressionsError", "FrameResult", "Framing", "ImageResult", "LabelSet",
    "Prediction", "Preprocessing", "RecognizerOptions", "TrackedFace", "analyze_video",
    "draw_faces", "evaluate", "list_models", "load_classifier", "load_dataset", "load_recognizer",
    "recognize", "recognize_folder", "to_dataframe",
]  # fmt: skip

_NAMES: Final = {
    "data": ("load_dataset",),
    "dataframes": ("to_dataframe",),
    "errors": ("FacialExpressionsError",),
    "evaluation": ("evaluate",),
    "inference.classifier": ("ExpressionClassifier", "load_classifier"),
    "inference.contracts": ("Detection", "FaceDetector"),
    "inference.model_store": ("list_models",),
    "inference.options": ("RecognizerOptions",),
    "inference.recognizer": (
        "ExpressionRecognizer", "load_recognizer", "recognize", "recognize_folder",
    ),
    "labels": ("LabelSet",),
    "media.analysis": ("analyze_video",),
    "media.draw": ("draw_faces",),
    "preprocessing": ("Framing", "Preprocessing"),
    "results": (
        "Box", "Explanation", "Face", "FrameResult", "ImageResult", "Prediction", "TrackedFace",
    ),
}  # fmt: skip
"""The public names that each module has."""

_HOMES: Final = {name: module for module, names in _NAMES.items() for name in names}


if not TYPE_CHECKING:  # type checkers know the names above, and no others

    def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's attribute can be anything
        """Import a public name when it is first asked for."""
        if name == "__version__":
            from importlib.metadata import version

            value: Any = version("facial-expressions")
        elif name in _HOMES:
            module = importlib.import_module(f"facial_expressions.{_HOMES[name]}")
            value = getattr(module, name)
        else:
            near = get_close_matches(name, _HOMES, n=1)
            hint = f". Did you mean {near[0]!r}?" if near else ""
            raise AttributeError(f"module 'facial_expressions' has no attribute {name!r}{hint}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, "__version__"])
