"""Keeps decoded data sets in the user's cache folder, so that the second start takes a second.

One uncompressed ``.npz`` a data set, whole or not there; the zip inside carries a checksum of every
array. What cannot be read back is logged, removed and rebuilt. An entry belongs to a path in one
state (size and time of change, of every file for a folder); a new state replaces the old one.
``FACIAL_EXPRESSIONS_CACHE`` names another folder.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from facial_expressions.data.archives import walk_files
from facial_expressions.data.dataset import Kind, Reading, Split
from facial_expressions.files import atomic_write
from facial_expressions.labels import LabelSet

CACHE_VARIABLE: Final = "FACIAL_EXPRESSIONS_CACHE"
"""Environment variable that names another cache folder."""

_VERSION: Final = 3  # raised whenever a reader would decode the same file to something else
_DAMAGED: Final = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
_log = logging.getLogger(__name__)

Arrays = dict[str, NDArray[Any]]


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


def path_state(path: Path) -> str:
    """Return a text that changes when a file, or any file of a folder, does."""
    sha = hashlib.sha256()
    for name, file in sorted(walk_files(path)) if path.is_dir() else [("", path)]:
        try:
            status = file.stat()
            state = f"{status.st_size} {status.st_mtime_ns}"
        except OSError as error:  # a link that leads nowhere: the reader will name it
            state = str(error.errno)
        sha.update(f"{name}\0{state}\n".encode("utf-8", "surrogateescape"))
    return sha.hexdigest()


def cached_reading(path: Path, read: Callable[[Path], Reading]) -> Reading:
    """Return the reading of an existing path from the cache, or read it and keep it."""
    arrays = cached_arrays(
        f"reading by {read.__name__}",
        owner=str(path.resolve()),
        state=path_state(path),
        build=lambda: _to_arrays(read(path)),
    )
    return _from_arrays(arrays)


def cached_arrays(kind: str, *, owner: str, state: str, build: Callable[[], Arrays]) -> Arrays:
    """Return the arrays kept for an owner in its present state, or build and keep them.

    A cache folder that cannot be written is logged and changes nothing else.

    Args:
        kind: What the arrays are; entries of different kinds do not meet.
        owner: What the arrays belong to, such as a path; it has one entry at a time.
        state: What they are made from; another state rebuilds them.
        build: Makes the arrays; none of them may hold Python objects.
    """
    key = _digest(f"{kind}\n{owner}")
    version = _digest(f"{_VERSION}\n{state}")
    entry = cache_folder() / f"{key}-{version}.npz"
    arrays = _load(entry)
    if arrays is None:
        arrays = build()
        _store(entry, key, arrays)
    return arrays


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _load(entry: Path) -> Arrays | None:
    if not entry.is_file():
        return None
    try:
        with entry.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except _DAMAGED as error:
        _log.warning("cache file %s is damaged and is rebuilt: %s", entry, error)
        return None
    _log.debug("decoded data set taken from %s", entry)
    return arrays


def _store(entry: Path, owner: str, arrays: Arrays) -> None:
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(entry) as stream:
            np.savez(stream, allow_pickle=False, **arrays)
        for old in entry.parent.glob(f"{owner}-*.npz"):
            if old != entry:
                old.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("decoded data set cannot be kept in %s: %s", entry.parent, error)


def _to_arrays(reading: Reading) -> Arrays:
    return {
        "kind": np.array([reading.kind, reading.name, reading.label_set.name]),
        "names": np.array(reading.label_set.names),
        "images": reading.rows.images,
        "labels": reading.rows.labels,
        "usages": reading.rows.usages,
        "sources": np.array(reading.rows.sources, np.str_),
        "parts": reading.parts,
        "left_out": np.array(reading.left_out, np.str_),
    }


def _from_arrays(arrays: Arrays) -> Reading:
    kind, name, label_set = arrays["kind"].tolist()
    sources = tuple(arrays["sources"].tolist())
    rows = Split("all", arrays["images"], arrays["labels"], arrays["usages"], sources)
    labels = LabelSet(label_set, tuple(arrays["names"].tolist()))
    left_out = tuple(arrays["left_out"].tolist())
    return Reading(cast(Kind, kind), name, labels, rows, arrays["parts"], left_out)
