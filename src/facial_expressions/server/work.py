"""The work behind the API, in plain functions of bytes: no routes, no event loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facial_expressions.errors import ImageError
from facial_expressions.inference.recognizer import ExpressionRecognizer
from facial_expressions.results import SCHEMA, ImageResult, Prediction
from facial_expressions.rows import CROP, IMAGE, as_row, rounded
from facial_expressions.server.bodies import picture_in_form
from facial_expressions.server.failures import RequestError, from_image_error
from facial_expressions.server.gate import Dropped

__all__ = [
    "SOURCE", "classify_crop", "describe_labels", "describe_models", "explain_picture",
    "recognize_picture", "take_picture", "warm_up",
]  # fmt: skip

SOURCE = "upload"
"""What an answer calls its picture; the client's name for it is not repeated."""

TimeStage = Callable[[str, float], None]
Decode = Callable[[bytes], NDArray[np.uint8]]


def take_picture(
    body: bytes,
    content_type: str,
    *,
    decode: Decode,
    max_pixels: int,
    is_wanted: Callable[[], bool],
) -> NDArray[np.uint8]:
    """Read the picture of a request: the body itself, or the one file of a multipart form.

    The kind of picture is told by its content; the content type matters for forms only.

    Args:
        body: The whole body.
        content_type: The request's content type; may be empty.
        decode: Decodes the bytes of a file.
        max_pixels: What ``decode`` allows, for the words of a refusal.
        is_wanted: Whether anyone still waits.

    Returns:
        RGB ``uint8 (H, W, 3)``, upright.

    Raises:
        RequestError: 400, 413, 415 or 422: the form or the picture cannot be read.
        Dropped: Nobody waits.
    """
    is_form = content_type.lower().startswith("multipart/")
    data = picture_in_form(body, content_type) if is_form else body
    if not is_wanted():
        raise Dropped
    try:
        image = decode(data)
    except ImageError as error:
        raise from_image_error(error, max_pixels=max_pixels) from error
    if not is_wanted():
        raise Dropped
    return image


def recognize_picture(
    recognizer: ExpressionRecognizer, image: NDArray[np.uint8], time_stage: TimeStage
) -> dict[str, Any]:
    """Find the faces of a picture.

    Args:
        recognizer: What finds them.
        image: RGB ``uint8 (H, W, 3)``.
        time_stage: Told how long it took.

    Returns:
        The row that ``predict --format json`` prints.
    """
    start = time.perf_counter()
    faces = tuple(recognizer.recognize(image))
    time_stage("recognize", time.perf_counter() - start)
    row = ImageResult(SOURCE, "ok", image.shape[1], image.shape[0], faces)
    return rounded(IMAGE, row.to_dict())


def explain_picture(
    recognizer: ExpressionRecognizer, image: NDArray[np.uint8], time_stage: TimeStage
) -> dict[str, Any]:
    """Find the faces of a picture and where in each the answer was found.

    Args:
        recognizer: What finds them; its model has class activation maps.
        image: RGB ``uint8 (H, W, 3)``.
        time_stage: Told how long it took.

    Returns:
        The row that ``predict --explain --format json`` prints.
    """
    start = time.perf_counter()
    pairs = recognizer.explain(image)
    time_stage("recognize", time.perf_counter() - start)
    faces, explanations = (tuple(part) for part in zip(*pairs, strict=True)) if pairs else ((), ())
    height, width = image.shape[:2]
    row = ImageResult(SOURCE, "ok", width, height, faces, explanations=explanations)
    return rounded(IMAGE, row.to_dict())


def classify_crop(
    recognizer: ExpressionRecognizer, image: NDArray[np.uint8], time_stage: TimeStage
) -> dict[str, Any]:
    """Name the expression of one face that is cropped already.

    Args:
        recognizer: Its classifier answers.
        image: RGB ``uint8 (S, S, 3)``, a square of any side.
        time_stage: Told how long it took.

    Returns:
        Expression, confidence, whether it is uncertain, and all probabilities.

    Raises:
        RequestError: 422, the picture is no square.
    """
    if image.shape[0] != image.shape[1]:
        raise RequestError(
            422, "no_square", "A crop is a square; send whole photos to /v1/recognize."
        )
    start = time.perf_counter()
    values = recognizer.classifier.predict_proba(image[None])[0].astype(float).tolist()
    time_stage("recognize", time.perf_counter() - start)
    labels = recognizer.classifier.labels.names
    answer = Prediction(labels, tuple(values), recognizer.uncertain_below)
    return rounded(CROP, as_row(CROP, answer, schema=SCHEMA, status="ok"))


def describe_models(recognizer: ExpressionRecognizer) -> dict[str, Any]:
    """Return what the model that is served says of itself, without where its file lies."""
    metadata = recognizer.classifier.metadata
    model = {
        "name": metadata.name,
        "architecture": metadata.architecture,
        "labels": list(metadata.labels),
        "explains": recognizer.classifier.explains,
        "crop_side_px": metadata.preprocessing.size,
        "uncertain_below": recognizer.uncertain_below,
        "licence": metadata.licence,
        "data": metadata.data,
        "figures": dict(metadata.figures),
    }
    return {"schema": SCHEMA, "models": [model]}


def describe_labels(recognizer: ExpressionRecognizer) -> dict[str, Any]:
    """Return the label set and its names in order."""
    labels = recognizer.classifier.labels
    return {"schema": SCHEMA, "name": labels.name, "labels": list(labels)}


def warm_up(recognizer: ExpressionRecognizer) -> None:
    """Run both networks once, so that the first request is as quick as the others."""
    recognizer.recognize(np.zeros((480, 640, 3), np.uint8))
    side = recognizer.classifier.metadata.preprocessing.size
    recognizer.classifier.predict_proba(np.zeros((1, side, side), np.uint8))
