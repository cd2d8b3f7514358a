"""What ``predict`` is given, one entry per image: files, folders in sorted order, stdin."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from facial_expressions.images import IMAGE_SUFFIXES, walk_folder
from facial_expressions.plain_text import counted

STDIN: Final = "-"
"""The argument that stands for one image on standard input."""


@dataclass(frozen=True, slots=True)
class ImageInput:
    """One input, which becomes exactly one row.

    Attributes:
        name: What the row calls it.
        path: Where it lies; None for standard input.
        inner: Its name with the folders between it and the folder that was named.
        skipped: Why it is not attempted; empty when it is.
    """

    name: str
    path: Path | None
    inner: str
    skipped: str = ""

    @property
    def is_missing(self) -> bool:
        """Whether there is nothing of that name."""
        return self.path is not None and not os.path.lexists(self.path)

    def read(self) -> str | Path | bytes:
        """Return the path, a name of no file, or the bytes on stdin: none where it is closed."""
        if self.path is not None:
            return self.name if self.is_missing else self.path
        try:
            return sys.stdin.buffer.read() if sys.stdin else b""
        except (OSError, ValueError):  # not open for reading, or closed by this program
            return b""


def list_inputs(arguments: Iterable[str]) -> list[ImageInput]:
    """Turn files, folders and ``-`` into one entry per image, sorted within folders.

    A folder is walked with all folders inside it; hidden files and folders are left out, and so are
    files of other kinds. Skipped are a file that was named before, and a folder without images.
    """
    seen: set[str] = set()
    entries = []
    for entry in itertools.chain.from_iterable(map(_expand, arguments)):
        key = STDIN if entry.path is None else str(entry.path.absolute())
        again = key in seen and not entry.skipped
        entries.append(replace(entry, skipped="named before") if again else entry)
        seen.add(key)
    return entries


def _expand(argument: str) -> Iterator[ImageInput]:
    if argument == STDIN:
        yield ImageInput(STDIN, None, "stdin")
        return
    path = Path(argument)
    if not os.path.isdir(path):  # noqa: PTH112 - also says no to a name that is too long
        yield ImageInput(argument, path, path.name)
        return
    files = list(walk_folder(path))
    images = sorted(one for one in files if one.suffix.lower() in IMAGE_SUFFIXES)
    for image in images:
        yield ImageInput(str(image), image, str(image.relative_to(path)))
    if not images:
        reason = f"no images in this folder; it holds {counted(len(files), 'other file')}"
        yield ImageInput(argument, path, "", skipped=reason)
