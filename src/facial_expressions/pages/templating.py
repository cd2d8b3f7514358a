"""Fills the templates: pages that need no other file and no network, and Markdown.

A page is light or dark as the reader's system is, and readable from 360 px on.
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

from facial_expressions.errors import needs_extra
from facial_expressions.evaluation.samples import Sample
from facial_expressions.pages import tables

if TYPE_CHECKING:
    from jinja2 import Environment

_SIDE_PX: Final = 144


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
    """Return what knows the templates and what they may call.

    Args:
        extra: What installs Jinja2, for the message.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
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
        "data_uri": _data_uri,
        "heated": heated,
        "median": statistics.median,
        "name": tables.display_name,
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


def _data_uri(image: NDArray[np.uint8]) -> str:
    """Return an image, grey or RGB, as the address of an ``img`` that holds it as PNG."""
    buffer = io.BytesIO()
    scaled = Image.fromarray(image).resize((_SIDE_PX, _SIDE_PX), Image.Resampling.BICUBIC)
    scaled.save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _cell(text: str) -> str:
    """Keep text from ending a cell of a Markdown table or starting markup."""
    return re.sub(r"[|\[]", r"\\\g<0>", text).replace("<", "&lt;").replace("\n", " ")
