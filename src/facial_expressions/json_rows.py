"""One picture's result as a line of JSON, rounded: what ``predict`` prints and ``batch`` writes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from facial_expressions.results import ImageResult

__all__ = ["to_json"]

_DECIMALS: Final = 6
_PIXEL_DECIMALS: Final = 2
_HEAT_DECIMALS: Final = 3


def to_json(row: ImageResult) -> str:
    """Return one line: the object that ``ImageResult.to_dict`` gives, rounded.

    Args:
        row: Probabilities get six decimals, pixels two.

    Examples:
        >>> from facial_expressions.results import ImageResult
        >>> to_json(ImageResult("a.jpg", "ok", 640, 480))
        '{"schema": 1, "source": "a.jpg", "status": "ok", "width": 640, "height": 480, "faces": []}'
    """
    data = row.to_dict()
    for face in data.get("faces", ()):
        face["box"] = _rounded(face["box"])
        face["landmarks"] = [_rounded(point) for point in face["landmarks"]]
        for name in ("detection_score", "confidence", "uncertain_below"):
            face[name] = round(face[name], _DECIMALS)
        if "explanation" in face:
            _round_explanation(face["explanation"])
        probabilities = face["probabilities"]
        face["probabilities"] = {
            label: round(value, _DECIMALS) for label, value in probabilities.items()
        }
    return json.dumps(data, ensure_ascii=False, allow_nan=False)


def _round_explanation(explanation: dict[str, Any]) -> None:
    explanation["heat"] = [_rounded(row, _HEAT_DECIMALS) for row in explanation["heat"]]
    explanation["corners"] = [_rounded(point) for point in explanation["corners"]]


def _rounded(values: Iterable[float], decimals: int = _PIXEL_DECIMALS) -> list[float]:
    return [round(value, decimals) for value in values]
