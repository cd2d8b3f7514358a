"""Fills the templates: pages that need no other file and no network, and Markdown.

A page holds the images that it shows. It is light or dark as the reader's system is, and readable
from 360 px on.
"""

from __future__ import annotations

import base64
import io
import re
import statistics
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.colors import expression_color
from facial_expressions.errors import needs_extra
from facial_expressions.evaluation.samples import Sample
from facial_expressions.pages import tables
from facial_expressions.pages.drawing import svg_of
from facial_expressions.results import Box

if TYPE_CHECKING:
    from jinja2 import Environment

_SIDE_PX: Final = 144
_FACE_PX: Final = 112
_QUALITY: Final = 80
_MARGIN: Final = 0.25
"""Around a face, as a fraction of its box."""


def render(template: str, *, extra: str = "evaluate", **values: object) -> str:
    """Fill a template.

    Args:
        template: Its file name; in ``.html`` every value is escaped.
        extra: What installs Jinja2, for the message.
        **values: What the template names; a name without a value is an error.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    return environment(extra).get_template(template).render(values)


def environment(extra: str = "evaluate") -> Environment:
    """Return what knows the templates and what they may call, or raise as ``render`` does."""
    with needs_extra(extra):
        import jinja2
    known = jinja2.Environment(
        loader=jinja2.PackageLoader("facial_expressions.pages"),
        autoescape=jinja2.select_autoescape(),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    known.globals["tables"] = tables
    known.filters |= {
        "cell": _cell,
        "color": css_color,
        "data_uri": _png_uri,
        "heated": heated,
        "lines": tables.lines,
        "median": statistics.median,
        "name": tables.display_name,
        "svg": svg_of,
    }
    return known


def heated(sample: Sample) -> NDArray[np.uint8]:
    """Return a sample darkened where its heat map is cold, warm where it is hot, RGB.

    Args:
        sample: An image; one without a heat map is all cold.
    """
    heat = np.zeros(sample.image.shape) if sample.heat is None else sample.heat.astype(np.float64)
    grey = sample.image[..., None] * np.ones(3)
    warm = np.array([255.0, 150.0, 20.0])
    weight = (0.65 * heat)[..., None]
    mixed = grey * (0.45 + 0.55 * heat[..., None]) * (1 - weight) + warm * weight
    return np.asarray(np.clip(mixed, 0, 255), dtype=np.uint8)


def face_thumbnail(image: NDArray[np.uint8], box: Box) -> Image.Image:
    """Cut a small square around a face; at an edge the square is moved into the image.

    Args:
        image: RGB ``uint8 (H, W, 3)``.
        box: The face, in pixels of the image.
    """
    height, width = image.shape[:2]
    side = min(max(box.width, box.height) * (1 + 2 * _MARGIN), width, height)
    left, top = (
        round(min(max(middle - side / 2, 0), length - side))
        for middle, length in zip(box.center, (width, height), strict=True)
    )
    side = max(1, int(side))
    cut = Image.fromarray(image).crop((left, top, left + side, top + side))
    return cut.resize((_FACE_PX, _FACE_PX), reducing_gap=2.0)


def jpeg_uri(image: Image.Image) -> str:
    """Return an image as the address of an ``img`` that holds it as JPEG."""
    return _data_uri(image, "jpeg", quality=_QUALITY)


def css_color(expression: str) -> str:
    """Return an expression's color as style sheets write it.

    Examples:
        >>> css_color("happy")
        '#c58600'
    """
    return "#{:02x}{:02x}{:02x}".format(*expression_color(expression))


def _png_uri(image: NDArray[np.uint8]) -> str:
    """Return a crop, grey or RGB, as the address of an ``img`` that holds it as PNG."""
    side = (_SIDE_PX, _SIDE_PX)
    scaled = Image.fromarray(image).resize(side, Image.Resampling.BICUBIC)
    return _data_uri(scaled, "png", optimize=True)


def _data_uri(image: Image.Image, kind: str, **options: object) -> str:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(content.getvalue()).decode()}"


def _cell(text: str) -> str:
    """Keep text from ending a cell of a Markdown table or starting markup."""
    return re.sub(r"[|\[]", r"\\\g<0>", text).replace("<", "&lt;").replace("\n", " ")
