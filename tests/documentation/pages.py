"""The pages of the documentation and the blocks of code in them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

__all__ = ["ROOT", "Block", "blocks", "chains", "commands", "link", "pages"]

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
    """Return the commands of a page's bash and console blocks, without prompt and comment."""
    plain = [line for block in blocks(page, "bash") for line in block.text.splitlines()]
    lines = [line for block in blocks(page, "console") for line in block.text.splitlines()]
    plain += [line[2:] for line in lines if line.startswith("$ ")]
    typed = [line.split("  #")[0].strip() for line in plain]
    return [part for line in typed for part in line.split(" && ")]


def chains() -> list[list[str]]:
    """Return the package's commands on all pages, those that need one another together.

    A chain is left out when all its commands stand in earlier ones: pages repeat each other.
    """
    found: list[list[str]] = []
    for page in pages():
        typed = [one for one in commands(page) if one.startswith("facial-expressions ")]
        seen = {command for chain in found for command in chain}
        found += [chain for chain in link(typed) if not seen.issuperset(chain)]
    return found


def link(typed: list[str]) -> list[list[str]]:
    """Return a page's commands in chains: each with those before it whose output it uses."""
    linked: list[list[int]] = []
    maker: dict[str, int] = {}
    for index, command in enumerate(typed):
        words = shlex.split(command)
        made = {value for option, value in pairwise(words) if option == "--out"}
        made |= {*words[3:4]} if words[1] == "batch" else set()
        used = {*words} if "--resume" in words else {*words} - made
        makers = {maker[name] for name in used & maker.keys()}
        needed = [chain for chain in linked if makers & {*chain}]
        linked = [chain for chain in linked if chain not in needed]
        linked.append(sorted({index, *(one for chain in needed for one in chain)}))
        maker |= dict.fromkeys(made, index)
    return [[typed[index] for index in chain] for chain in sorted(linked)]
