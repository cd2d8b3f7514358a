"""Parts that the HTML pages of reports, comparisons and runs are put together from.

A page needs no other file, no script and no network; it is light or dark as the reader's system is,
and readable from 360 px on.
"""

from __future__ import annotations

import base64
import importlib.resources
import io
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = [
    "card",
    "headline",
    "page",
    "page_header",
    "picture",
    "scroll",
    "setting_list",
    "table_head",
    "table_row",
]


def page(title: str, content: str) -> str:
    """Return a whole page.

    Args:
        title: Plain text.
        content: HTML of its main part.
    """
    style = importlib.resources.files(__package__).joinpath("report.css").read_text("utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n{content}</main>\n</body>\n</html>\n"
    )


def page_header(title: str, text: str) -> str:
    """Return the page's heading with a line below it; both are plain text."""
    return f'<header>\n<h1>{escape(title)}</h1>\n<p class="muted">{escape(text)}</p>\n</header>\n'


def headline(rows: Iterable[Sequence[str]]) -> str:
    """Return the large figures at the top of a page, the first of them marked.

    Args:
        rows: Name, value and how to read it; plain texts.
    """
    cells = []
    for i, (label, value, meaning) in enumerate(rows):
        kind = "figure main" if i == 0 else "figure"
        cells.append(
            f'<div class="{kind}"><dt>{escape(label)}</dt><dd class="value">{escape(value)}</dd>'
            f'<dd class="meaning">{escape(meaning)}</dd></div>\n'
        )
    return f'<dl class="headline">\n{"".join(cells)}</dl>\n'


def setting_list(rows: Iterable[Sequence[str]]) -> str:
    r"""Return names with their values, plain texts.

    Examples:
        >>> setting_list([("seed", "1")])
        '<dl class="settings">\n<dt>seed</dt><dd>1</dd>\n</dl>\n'
    """
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>\n" for name, value in rows)
    return f'<dl class="settings">\n{items}</dl>\n'


def picture(image: NDArray[np.uint8], alt: str, *, side_px: int) -> str:
    """Return an ``img`` element that holds the picture itself, as PNG.

    Args:
        image: Grey ``(H, W)`` or RGB ``(H, W, 3)``.
        alt: What it shows, plain text.
        side_px: It is scaled to a square of this side.
    """
    buffer = io.BytesIO()
    scaled = Image.fromarray(image).resize((side_px, side_px), Image.Resampling.BICUBIC)
    scaled.save(buffer, format="PNG", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img src="data:image/png;base64,{data}" alt="{escape(alt)}">'


def card(title: str, content: str) -> str:
    """Return a section with a heading.

    Args:
        title: Plain text.
        content: HTML below it.
    """
    return f'<section class="card">\n<h2>{escape(title)}</h2>\n{content}</section>\n'


def scroll(label: str, content: str) -> str:
    """Let a wide table scroll by itself, with the keyboard too.

    Args:
        label: Plain text, for screen readers.
        content: HTML of the table.
    """
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}">\n'
        f"{content}</div>\n"
    )


def table_head(names: Iterable[str]) -> str:
    r"""Return the head of a table; names are plain text.

    Examples:
        >>> table_head(["a < b"])
        '<thead><tr><th scope="col">a &lt; b</th></tr></thead>\n'
    """
    cells = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    return f"<thead><tr>{cells}</tr></thead>\n"


def table_row(cells: Sequence[str], *, raw: bool = False) -> str:
    """Return one row of a table, its first cell as heading.

    Args:
        cells: Texts.
        raw: Whether they are HTML already.
    """
    first, *rest = cells if raw else map(escape, cells)
    return f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>\n'
