"""Finds the child processes of this one that run a module, as ``/proc`` lists them."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["children"]


def children(module: str) -> list[int]:
    """Return process ids, in no order; none where there is no ``/proc``.

    Args:
        module: What ``python -m`` was told to run.
    """
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        if parent == os.getpid() and module.encode() in words:
            found.append(int(folder.name))
    return found
