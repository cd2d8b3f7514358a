"""What the API answers, in plain functions of pixels, and the shapes of it for its OpenAPI page.

No routes, no event loop. The shapes of faces and images follow from the columns in ``rows.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import GenericAlias
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, create_model

from facial_expressions import rows
from facial_expressions.inference.recognizer import ExpressionRecognizer
from facial_expressions.results import SCHEMA, Explanation, Face, ImageResult, Prediction
from facial_expressions.rows import Column, Kind, as_row, rounded
from facial_expressions.server.limits import RequestError

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
    return rounded(rows.IMAGE, row.to_dict())


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
    return rounded(rows.CROP, as_row(rows.CROP, answer, schema=SCHEMA, status="ok"))


def warm_up(recognizer: ExpressionRecognizer) -> None:
    """Run both networks once, so that the first request is as quick as the others."""
    recognizer.recognize(np.zeros((480, 640, 3), np.uint8))
    side = recognizer.classifier.metadata.preprocessing.size
    recognizer.classifier.predict_proba(np.zeros((1, side, side), np.uint8))


_VERSION: Final = Column("schema", "int32")

_KINDS: Final[dict[Kind, type]] = {
    "bool": bool, "float32": float, "float64": float, "int32": int, "int64": int, "string": str,
}  # fmt: skip


def _answer(name: str, meaning: str, columns: Sequence[Column], **kinds: Any) -> Any:  # noqa: ANN401
    """Build the shape of a row; ``kinds`` holds types of values that are not plain ones."""
    fields: dict[str, Any] = {}
    for column in columns:
        if "object" not in column.outputs:
            continue
        kind = kinds.get(column.name) or _KINDS[column.kind]
        kind = GenericAlias(dict, (str, kind)) if column.is_by_label else kind
        for _ in column.shape:
            kind = GenericAlias(list, (kind,))
        default = None if column.is_optional else ...
        field = Field(default, alias=column.name, description=column.meaning or None)
        fields[f"{column.name}_"] = (kind | None if column.is_optional else kind, field)
    return create_model(name, __config__=ConfigDict(extra="forbid"), __doc__=meaning, **fields)


ExplanationAnswer = _answer(
    "ExplanationAnswer", "Which parts of a face support the answer.", rows.EXPLANATION
)
QualityAnswer = _answer("QualityAnswer", "How well a face can be seen.", rows.QUALITY)
FaceAnswer = _answer(
    "FaceAnswer",
    "One face of an image.",
    rows.FACE,
    explanation=ExplanationAnswer,
    quality=QualityAnswer,
)
ImageAnswer = _answer(
    "ImageAnswer",
    "The faces of one image, from left to right; may be empty.",
    [column for column in rows.IMAGE if column.name not in ("error", "drawn")],
    status=Literal["ok"],
    faces=FaceAnswer,
)
CropAnswer = _answer(
    "CropAnswer", "The expression of one cropped face.", rows.CROP, status=Literal["ok"]
)
ModelAnswer = _answer("ModelAnswer", "A model's metadata.", MODEL)
ModelsAnswer = _answer(
    "ModelsAnswer",
    "The model that is served.",
    (_VERSION, Column("models", "row", shape=(None,))),
    models=ModelAnswer,
)
LabelsAnswer = _answer(
    "LabelsAnswer",
    "The label set, in order.",
    (_VERSION, Column("name", "string"), Column("labels", "string", shape=(None,))),
)
StateAnswer = _answer(
    "StateAnswer", "Whether the server is alive, or ready.", [Column("status", "string")]
)
ErrorAnswer = _answer(
    "ErrorAnswer",
    "What went wrong.",
    [Column("code", "string", "a stable name of the error")]
    + [Column(name, "string") for name in ("message", "request_id")],
)

IMAGE_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {"image": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}
"""The body of a request that brings an image."""

SESSION_HEADER: Final = "X-Camera-Session"

RECOGNIZE_PARAMETERS: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": "explain",
            "in": "query",
            "required": False,
            "description": "Add a heat map of the parts that support the answer to each face.",
            "schema": {"type": "boolean", "default": False},
        },
        {
            "name": SESSION_HEADER,
            "in": "header",
            "required": False,
            "description": "16 to 64 random letters, digits, - and _, the same for all frames of "
            "one camera. Most frames are then searched only where the faces were; a new face is "
            "found within half a second.",
            "schema": {"type": "string", "default": ""},
        },
    ]
}
"""The parameters of a request for faces."""

ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": ErrorAnswer, "description": text}
    for status, text in {
        400: "malformed form or parameter",
        403: "request from a page of another site",
        408: "request did not arrive in time",
        413: "too many bytes or too many pixels",
        415: "format not supported",
        422: "damaged image",
        503: "not ready or overloaded; see Retry-After",
        504: "answer took too long",
    }.items()
}
"""The errors of a request that brings an image."""
