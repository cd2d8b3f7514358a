"""The shapes of the API's answers, for its OpenAPI description."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "ERRORS", "EXPLAIN_PARAMETER", "PICTURE_BODY", "CropAnswer", "ErrorAnswer",
    "ExplanationAnswer", "FaceAnswer", "LabelsAnswer", "ModelAnswer", "ModelsAnswer",
    "PictureAnswer", "StateAnswer",
]  # fmt: skip


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ExplanationAnswer(_Answer):
    """What in a face speaks for its answer."""

    expression: str
    heat: list[list[float]] = Field(
        description="rows of a grid over the face, top first; above 0 speaks for the expression"
    )
    corners: list[list[float]] = Field(
        description="the grid's corners in pixels: top left, top right, bottom right, bottom left"
    )


class FaceAnswer(_Answer):
    """One face of a picture."""

    box: list[float] = Field(description="left, top, right, bottom in pixels of the upright image")
    landmarks: list[list[float]] = Field(description="eyes, nose and corners of the mouth, x and y")
    detection_score: float
    expression: str
    confidence: float = Field(description="probability of the expression, 0 to 1")
    uncertain: bool = Field(description="whether the confidence is under uncertain_below")
    uncertain_below: float
    probabilities: dict[str, float]
    explanation: ExplanationAnswer | None = Field(None, description="there with explain=true")


class PictureAnswer(_Answer):
    """The faces of one picture, from left to right; an empty list when there is none."""

    schema_: int = Field(alias="schema")
    source: str
    status: Literal["ok"]
    width: int
    height: int
    truncated: bool | None = Field(
        None, description="there and true with 100 faces: the picture may show more"
    )
    faces: list[FaceAnswer]


class CropAnswer(_Answer):
    """The expression of one cropped face."""

    schema_: int = Field(alias="schema")
    status: Literal["ok"]
    expression: str
    confidence: float
    uncertain: bool
    uncertain_below: float
    probabilities: dict[str, float]


class ModelAnswer(_Answer):
    """What a model says of itself."""

    name: str
    architecture: str
    labels: list[str]
    explains: bool = Field(description="whether explain=true is answered")
    crop_side_px: int
    uncertain_below: float
    licence: str
    data: str
    figures: dict[str, float]


class ModelsAnswer(_Answer):
    """The model that is served."""

    schema_: int = Field(alias="schema")
    models: list[ModelAnswer]


class LabelsAnswer(_Answer):
    """The label set, in order."""

    schema_: int = Field(alias="schema")
    name: str
    labels: list[str]


class StateAnswer(_Answer):
    """Whether the server is alive, or ready."""

    status: str


class ErrorAnswer(_Answer):
    """What went wrong."""

    code: str = Field(description="a name that never changes")
    message: str
    request_id: str


PICTURE_BODY: Final[dict[str, Any]] = {
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
"""The body of a request that brings a picture."""

EXPLAIN_PARAMETER: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": "explain",
            "in": "query",
            "required": False,
            "description": "Add to each face a map of what in it speaks for the answer.",
            "schema": {"type": "boolean", "default": False},
        }
    ]
}
"""The parameter of a request for faces."""

ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": ErrorAnswer, "description": text}
    for status, text in {
        400: "the form or a parameter is malformed",
        403: "the request comes from a page of another site",
        408: "the request did not arrive in time",
        413: "too many bytes or too many pixels",
        415: "the format is not read",
        422: "the picture is damaged",
        503: "not ready, or too much to do; see Retry-After",
        504: "the answer took too long",
    }.items()
}
"""The errors of a request that brings a picture."""
