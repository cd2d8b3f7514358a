"""The shapes of the API's answers, for its OpenAPI description.

Those of faces and images follow from the columns in ``rows.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import GenericAlias
from typing import Any, Final, Literal

from pydantic import ConfigDict, Field, create_model

from facial_expressions.rows import CROP, EXPLANATION, FACE, IMAGE, QUALITY, Column, Kind
from facial_expressions.server.answers import MODEL

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
    "ExplanationAnswer", "Which parts of a face support the answer.", EXPLANATION
)
QualityAnswer = _answer("QualityAnswer", "How well a face can be seen.", QUALITY)
FaceAnswer = _answer(
    "FaceAnswer",
    "One face of an image.",
    FACE,
    explanation=ExplanationAnswer,
    quality=QualityAnswer,
)
ImageAnswer = _answer(
    "ImageAnswer",
    "The faces of one image, from left to right; may be empty.",
    [column for column in IMAGE if column.name not in ("error", "drawn")],
    status=Literal["ok"],
    faces=FaceAnswer,
)
CropAnswer = _answer(
    "CropAnswer", "The expression of one cropped face.", CROP, status=Literal["ok"]
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
