"""What the scripts that write pages share: Markdown tables, marked blocks, writing or checking."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
MISSING: Final = "not measured"


def fill_blocks(text: str, mark: str, write: Callable[[str, list[str]], list[str]]) -> str:
    """Return a page with its blocks of one mark filled; nothing else changes.

    A block stands between ``<!-- MARK: KIND WORD ... -->`` and ``<!-- /MARK -->``; the words may be
    missing. ``write`` returns a block's lines, given its kind and its words.
    """
    block = re.compile(rf"(<!-- {mark}: (\w+)([\w -]*) -->\n).*?(<!-- /{mark} -->)", re.DOTALL)
    return block.sub(lambda m: "\n".join([m[1][:-1], *write(m[2], m[3].split()), m[4]]), text)


def write_or_check(pages: Mapping[Path, str], arguments: Sequence[str], *, task: str) -> int:
    """Write the pages that changed, or with ``--check`` name them and return an exit code of 1.

    ``pages`` has by file what it should hold; ``task`` is the one of ``make`` that writes them.
    """
    stale = [path for path, text in pages.items() if path.read_text(encoding="utf-8") != text]
    names = ", ".join(path.name for path in stale)
    if "--check" in arguments:
        if stale:
            print(f"{names}: out of date; run: make {task}", file=sys.stderr)
        return int(bool(stale))
    for path in stale:
        path.write_text(pages[path], encoding="utf-8")
    print(f"changed: {names or 'nothing'}")
    return 0


def markdown_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1
) -> list[str]:
    """Return the lines of a Markdown table; only its first columns are aligned to the left.

    Without rows it says so.
    """
    rule = ["---"] * left + ["---:"] * (len(header) - left)
    rows = rows or [(MISSING, *[""] * (len(header) - 1))]
    return ["| " + " | ".join(cells) + " |" for cells in (header, rule, *rows)]


def percent(fraction: float) -> str:
    """Return a share in per cent with two decimals."""
    return f"{100 * fraction:.2f}%"
