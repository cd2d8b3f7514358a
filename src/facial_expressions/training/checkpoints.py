"""Checkpoints: whole or absent.

A checkpoint is one ``.npz`` file with every number that training needs to continue. It is written
first, then its manifest, with the payload's SHA-256 and a digest of itself. A kill, a full disk or
a power cut at any moment leaves the previous one usable. Random numbers are not stored: they are
derived from the seed and the epoch.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.errors import CheckpointError, parsed
from facial_expressions.files import remove_leftovers, storage_errors, write_file

KEPT: Final = 3
"""Number of newest checkpoints kept, beside the best; others are deleted once a newer is whole."""

_CHECK: Final = "manifest_sha256"

_DAMAGED: Final = (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile)
_LOGGER = logging.getLogger(__name__)

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """State of a run after some epochs.

    Attributes:
        epochs: Epochs finished.
        identity: Text that says which run this is.
        arrays: Weights, optimiser and averages by name.
        score: How good it is, more is better; the best is kept beside the newest.
    """

    epochs: int
    identity: str
    arrays: Mapping[str, NDArray[np.generic]]
    score: float


def save(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint, and delete those that are neither among the newest nor the best.

    The run's folder of checkpoints is made if absent. Returns the file.

    Raises:
        StorageError: The folder cannot be written: full, read-only or gone.
    """
    path = folder / f"epoch-{checkpoint.epochs:05d}.npz"
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    payload = io.BytesIO()
    np.savez(payload, allow_pickle=False, **checkpoint.arrays)
    content = payload.getbuffer()
    write_file(path, content)
    entry: Entry = {
        "file": path.name,
        "epochs": checkpoint.epochs,
        "sha256": hashlib.sha256(content).hexdigest(),
        "identity": checkpoint.identity,
        "score": checkpoint.score,
    }
    entry[_CHECK] = _digest_of_entry(entry)
    text = json.dumps(entry, indent=1) + "\n"
    write_file(path.with_suffix(".json"), text)
    _prune(folder)
    return path


def load_latest(folder: Path) -> Checkpoint | None:
    """Load the newest whole checkpoint of a run's folder of checkpoints; None when there is none.

    A damaged one is passed over, with a warning, for the one before it; nothing is deleted.

    Raises:
        CheckpointError: All checkpoints are damaged.
    """
    manifests = sorted(folder.glob("epoch-*.json"), reverse=True)
    for manifest in manifests:
        try:
            entry = _read_manifest(manifest)
            content = (folder / entry["file"]).read_bytes()
            if hashlib.sha256(content).hexdigest() != entry["sha256"]:
                raise ValueError(f"{entry['file']} is cut or changed")
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            return Checkpoint(entry["epochs"], entry["identity"], arrays, entry["score"])
        except _DAMAGED as error:
            _LOGGER.warning("checkpoint %s is damaged (%s): using an older one", manifest, error)
    if manifests:
        raise CheckpointError(
            f"{folder}: no checkpoint is whole, {len(manifests)} damaged. Start again in another "
            "--out"
        )
    return None


def _read_manifest(path: Path) -> Entry:
    """Return a manifest's entry; raise ValueError when it is not what was written."""
    entry = parsed(json.loads, path.read_text(encoding="utf-8"))
    is_whole = entry.pop(_CHECK, None) == _digest_of_entry(entry)
    if not is_whole or entry["file"] != f"epoch-{entry['epochs']:05d}.npz":
        raise ValueError(f"{path.name} is cut or changed")
    return dict(entry)


def _digest_of_entry(entry: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()


def _prune(folder: Path) -> None:
    """Delete what is neither among the newest nor the best, and what kills have left behind."""
    entries: dict[Path, Entry] = {}
    for manifest in sorted(folder.glob("epoch-*.json")):
        with contextlib.suppress(*_DAMAGED):  # a damaged one is left for its owner to look at
            entries[manifest] = _read_manifest(manifest)
    best = max(entries, key=lambda path: float(entries[path]["score"]), default=None)
    kept = {*list(entries)[-KEPT:], best}
    with contextlib.suppress(OSError):  # the new one is whole: what cannot be deleted may stay
        for manifest in set(entries) - kept:
            (folder / entries[manifest]["file"]).unlink(missing_ok=True)
            manifest.unlink(missing_ok=True)
    remove_leftovers(folder)
