"""Parts that the HTML pages of reports and comparisons are put together from.

A page needs no other file, no script and no network; it is light or dark as the reader's system is,
and readable from 360 px on.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["card", "page", "scroll", "table_head", "table_row"]


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

    Example:
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
