"""Keeps decoded data sets in the user's cache folder, so that the second start takes a second.

One uncompressed ``.npz`` a path, whole or not there; the zip inside carries a checksum of its
content. It holds the path in one state (size and time of change, of every file for a folder): in
another state, or where it cannot be read back, which is logged, it is written again.
``FACIAL_EXPRESSIONS_CACHE`` names another folder.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from facial_expressions.data.archives import walk_files
from facial_expressions.data.dataset import Reading, make_reading
from facial_expressions.files import atomic_write
from facial_expressions.labels import LabelSet

CACHE_VARIABLE: Final = "FACIAL_EXPRESSIONS_CACHE"
"""Environment variable that names another cache folder."""

_VERSION: Final = 4  # raised whenever a reader would decode the same file to something else
_DAMAGED: Final = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return the folder for decoded data sets, by the platform's convention; it may not exist yet.

    Examples:
        >>> cache_folder().name
        'datasets'
    """
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named).expanduser() / "datasets"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "facial-expressions" / "datasets"


def cached_reading(path: Path, read: Callable[[Path], Reading]) -> Reading:
    """Return the reading of an existing path from the cache, or read it and keep it.

    A cache folder that cannot be written is logged and changes nothing else.
    """
    entry = cache_folder() / f"{_digest(str(path.resolve()))}.npz"
    state = path_state(path)
    reading = _load(entry, state)
    if reading is None:
        reading = read(path)
        try:
            _store(entry, state, reading)
        except OSError as error:
            _log.warning("decoded data set cannot be kept in %s: %s", entry.parent, error)
    return reading


def path_state(path: Path) -> str:
    """Return a text that changes when a file, or any file of a folder, does."""
    states = [str(_VERSION)]
    for name, file in sorted(walk_files(path)) if path.is_dir() else [("", path)]:
        status = file.stat() if file.exists() else file.lstat()  # a link that leads nowhere
        states.append(f"{name}\0{status.st_size} {status.st_mtime_ns}")
    return _digest("\n".join(states))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _load(entry: Path, state: str) -> Reading | None:
    if not entry.is_file():
        return None
    try:
        with entry.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            kept = json.loads(stored["facts"].tobytes())
            if kept.pop("state") != state:
                return None
            name, names = kept.pop("labels")
            labels = LabelSet(name, tuple(names))
            return make_reading(label_set=labels, images=stored["images"], **kept)
    except _DAMAGED as error:
        _log.warning("cache file %s is damaged and is rebuilt: %s", entry, error)
        return None


def _store(entry: Path, state: str, reading: Reading) -> None:
    rows, labels = reading.rows, reading.label_set
    columns = rows.labels.tolist(), rows.usages.tolist(), rows.sources, reading.parts.tolist()
    facts = {
        "state": state,
        "labels": (labels.name, labels.names),
        "kind": reading.kind,
        "name": reading.name,
        "rows": [*zip(*columns, strict=True)],
        "left_out": reading.left_out,
    }
    entry.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(entry) as stream:
        text = np.frombuffer(json.dumps(facts).encode(), np.uint8)
        np.savez(stream, allow_pickle=False, facts=text, images=rows.images)
