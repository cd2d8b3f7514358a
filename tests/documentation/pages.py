"""The pages of the documentation and the blocks of code in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["ROOT", "Block", "blocks", "commands", "pages"]

ROOT: Final = Path(__file__).resolve().parents[2]
_FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        page: The page it stands on.
        line: Line of its first row.
        language: What follows the fence.
        text: Its content.
    """

    page: Path
    line: int
    language: str
    text: str


def pages() -> list[Path]:
    """Return the pages that people write: the root's and those of docs/, without reports."""
    written = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return sorted(path for path in written if "reports" not in path.parts)


def blocks(page: Path, language: str) -> list[Block]:
    """Return a page's blocks in a language."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, match.start()) + 2, match[1], match[2])
        for match in _FENCE.finditer(text)
        if match[1] == language
    ]


def commands(page: Path) -> list[str]:
    """Return the commands of a page's console blocks, without prompt and comment."""
    lines = [line for block in blocks(page, "console") for line in block.text.splitlines()]
    typed = [line[2:].split("  #")[0].strip() for line in lines if line.startswith("$ ")]
    return [part for line in typed for part in line.split(" && ")]
