"""Writes a file of a report, a run or a video: the one place that does."""

from __future__ import annotations

from pathlib import Path

__all__ = ["write_file"]


def write_file(path: Path, content: str | bytes) -> None:
    """Replace a file.

    Args:
        path: The file; its folder is there.
        content: Bytes; or text, written as UTF-8 with line feeds on every system. What UTF-8 cannot
            hold, as part of an odd file name, is written as its number.

    Raises:
        OSError: It cannot be written.
    """
    if isinstance(content, str):
        content = content.encode("utf-8", "backslashreplace")
    path.write_bytes(content)
