"""What the API answers, in plain functions of pixels: no routes, no event loop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facial_expressions.inference.recognizer import ExpressionRecognizer
from facial_expressions.results import SCHEMA, Explanation, Face, ImageResult, Prediction
from facial_expressions.rows import CROP, IMAGE, Column, as_row, rounded
from facial_expressions.server.failures import RequestError

SOURCE = "upload"
"""What an answer calls its image; the client's name for it is not repeated."""

MODEL = (
    Column("name", "string", read=lambda one: one.classifier.metadata.name),
    Column("architecture", "string", read=lambda one: one.classifier.metadata.architecture),
    Column("labels", "string", shape=(None,), read=lambda one: one.classifier.labels),
    Column("explains", "bool", "whether it supports explain=true",
           read=lambda one: one.classifier.explains),
    Column("crop_side_px", "int64", read=lambda one: one.classifier.metadata.preprocessing.size),
    Column("uncertain_below", "float64"),
    Column("licence", "string", read=lambda one: one.classifier.metadata.licence),
    Column("data", "string", read=lambda one: one.classifier.metadata.data),
    Column("figures", "float64", is_by_label=True,
           read=lambda one: dict(one.classifier.head.figures)),
)  # fmt: skip
"""What is said of the model that is served."""


def recognize_image(
    recognizer: ExpressionRecognizer, image: NDArray[np.uint8], *, explain: bool = False
) -> dict[str, Any]:
    """Find the faces of an image.

    Args:
        recognizer: What finds them.
        image: RGB ``uint8 (H, W, 3)``.
        explain: Whether to say where in each the answer was found; only with a model that has class
            activation maps.

    Returns:
        The row that ``predict --format json`` prints.
    """
    if not explain:
        return image_row(image, recognizer.recognize(image))
    pairs = recognizer.explain(image)
    return image_row(image, [face for face, _ in pairs], [why for _, why in pairs])


def image_row(
    image: NDArray[np.uint8], faces: Iterable[Face], explanations: Iterable[Explanation] = ()
) -> dict[str, Any]:
    """Return the row of an image, RGB ``uint8 (H, W, 3)``, in which faces were found."""
    height, width = image.shape[:2]
    why = tuple(explanations)
    row = ImageResult(SOURCE, "ok", width, height, tuple(faces), explanations=why)
    return rounded(IMAGE, row.to_dict())


def classify_crop(recognizer: ExpressionRecognizer, image: NDArray[np.uint8]) -> dict[str, Any]:
    """Name the expression of one face that is cropped already.

    Args:
        recognizer: Its classifier answers.
        image: RGB ``uint8 (S, S, 3)``, a square of any side.

    Returns:
        Expression, confidence, whether it is uncertain, and all probabilities.

    Raises:
        RequestError: 422, the image is not a square.
    """
    if image.shape[0] != image.shape[1]:
        raise RequestError(
            422, "no_square", "A crop must be square. Send whole photos to /v1/recognize."
        )
    values = recognizer.classifier.predict_proba(image[None])[0].astype(float).tolist()
    labels = recognizer.classifier.labels.names
    answer = Prediction(labels, tuple(values), recognizer.uncertain_below)
    return rounded(CROP, as_row(CROP, answer, schema=SCHEMA, status="ok"))


def warm_up(recognizer: ExpressionRecognizer) -> None:
    """Run both networks once, so that the first request is as quick as the others."""
    recognizer.recognize(np.zeros((480, 640, 3), np.uint8))
    side = recognizer.classifier.metadata.preprocessing.size
    recognizer.classifier.predict_proba(np.zeros((1, side, side), np.uint8))
