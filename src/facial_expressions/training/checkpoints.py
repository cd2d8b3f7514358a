"""Checkpoints: whole or absent.

A checkpoint is one ``.npz`` file with every number that training needs to go on. It is written to a
temporary name, flushed to disk and renamed; then the pointer ``latest.json``, with the file's
SHA-256, is replaced in the same way. A kill at any moment leaves the previous one usable. Random
numbers are not stored: they are derived from the seed and the epoch.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.errors import CheckpointError

__all__ = ["KEPT", "Checkpoint", "load_latest", "save", "write_atomically"]

KEPT: Final = 2
"""Number of checkpoints kept; older ones are deleted once a newer one is whole."""

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """State of a run after some epochs.

    Attributes:
        epochs: Epochs finished.
        identity: Text that says which run this is; another run's checkpoint is refused.
        arrays: Weights, optimiser and averages by name.
    """

    epochs: int
    identity: str
    arrays: Mapping[str, NDArray[np.generic]]


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file so that it is either whole or what it was before.

    Args:
        path: The file.
        write: Called with a temporary path in the same folder; must create that file.

    Raises:
        CheckpointError: The folder cannot be written: full, read-only or gone.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise CheckpointError(
            f"{path.name} cannot be written to {path.parent}; received: {error}; free some space "
            "or give another --out, then run the same command again: it resumes"
        ) from error


def save(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint, point to it, and delete those older than the last ``KEPT``.

    Args:
        folder: The run's folder of checkpoints; made if absent.
        checkpoint: The state.

    Returns:
        The file.

    Raises:
        CheckpointError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"epoch-{checkpoint.epochs:05d}.npz"

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **checkpoint.arrays)

    write_atomically(path, write)
    entry = {
        "file": path.name,
        "epochs": checkpoint.epochs,
        "sha256": _digest(path),
        "identity": checkpoint.identity,
    }
    manifest = path.with_suffix(".json")
    text = json.dumps(entry, indent=1)
    write_atomically(manifest, lambda temporary: _write_text(temporary, text))
    write_atomically(folder / "latest.json", lambda temporary: _write_text(temporary, text))
    for old in sorted(folder.glob("epoch-*.npz"))[:-KEPT]:
        old.with_suffix(".json").unlink(missing_ok=True)
        old.unlink()
    return path


def load_latest(
    folder: Path, identity: str, differences: Callable[[str, str], list[str]] | None = None
) -> Checkpoint | None:
    """Load the newest whole checkpoint of a run.

    A damaged one is passed over, with a warning, for the one before it; nothing is deleted.

    Args:
        folder: The run's folder of checkpoints.
        identity: What the run is; see ``Checkpoint``.
        differences: Says in words what differs between the identity found and this one; nothing
            means the same run. None takes the texts as they are.

    Returns:
        None when there is no checkpoint.

    Raises:
        CheckpointError: The checkpoints belong to another recipe or data, or all are damaged.
    """
    manifests = sorted(folder.glob("epoch-*.json"), reverse=True)
    for manifest in manifests:
        try:
            entry = json.loads(manifest.read_text(encoding="utf-8"))
            path = folder / entry["file"]
            epochs, found, digest = int(entry["epochs"]), str(entry["identity"]), entry["sha256"]
            whole = path.is_file() and _digest(path) == digest
        except (OSError, ValueError, KeyError, TypeError) as error:
            _LOGGER.warning("checkpoint %s is damaged (%s): using an older one", manifest, error)
            continue
        if not whole:
            _LOGGER.warning("checkpoint %s is cut or changed: using an older one", path)
            continue
        other = (differences or _as_texts)(found, identity)
        if other:
            raise CheckpointError(
                f"run folder {folder.parent} belongs to another recipe or other data; received "
                f"{'; '.join(other)}; give another --out"
            )
        return Checkpoint(epochs=epochs, identity=found, arrays=_load_arrays(path))
    if manifests:
        raise CheckpointError(
            f"no checkpoint in {folder} is whole; received {len(manifests)} damaged ones; "
            "start again in another --out"
        )
    return None


def _as_texts(found: str, expected: str) -> list[str]:
    return [] if found == expected else [f"{found}, expected {expected}"]


def _load_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"checkpoint {path} cannot be read; received: {error}; delete it and run again"
        ) from error


def _write_text(path: Path, text: str) -> None:
    path.write_text(text + "\n", encoding="utf-8")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush_folder(folder: Path) -> None:
    """Make a rename durable; Windows cannot open folders and needs none of this."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
