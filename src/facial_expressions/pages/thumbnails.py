"""Small copies of faces and photos, and their colors, as pages hold them inside."""

from __future__ import annotations

import base64
import io
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.colors import expression_color
from facial_expressions.results import Box

_FACE_PX: Final = 112
_QUALITY: Final = 80
_MARGIN: Final = 0.25
"""Around a face, as a fraction of its box."""


def face_thumbnail(image: NDArray[np.uint8], box: Box) -> Image.Image:
    """Cut a small square around a face; outside the image it is black.

    Args:
        image: RGB ``uint8 (H, W, 3)``.
        box: The face, in pixels of the image.
    """
    half = max(box.width, box.height) * (0.5 + _MARGIN)
    x, y = box.center
    corners = (round(x - half), round(y - half), round(x + half), round(y + half))
    return Image.fromarray(image).crop(corners).resize((_FACE_PX, _FACE_PX), reducing_gap=2.0)


def jpeg_uri(image: Image.Image) -> str:
    """Return an image as the address of an ``img`` that holds it as JPEG."""
    content = io.BytesIO()
    image.save(content, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"


def css_color(expression: str) -> str:
    """Return an expression's color as style sheets write it.

    Examples:
        >>> css_color("happy")
        '#c58600'
    """
    return "#{:02x}{:02x}{:02x}".format(*expression_color(expression))
