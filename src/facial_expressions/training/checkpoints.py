"""Checkpoints: whole or absent.

A checkpoint is one file with every number that training needs to continue: an ``.npz``, and behind
it the SHA-256 of all that, by which a cut or changed one is told before it is read. Random numbers
are not stored: they are derived from the seed and the epoch.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.errors import CheckpointError
from facial_expressions.files import remove_leftovers, storage_errors, write_file

KEPT: Final = 3
"""Number of newest checkpoints kept, beside the best; others are deleted once a newer is whole."""

_DIGEST_BYTES: Final = hashlib.sha256().digest_size
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """State of a run after some epochs.

    Attributes:
        epochs: Epochs finished.
        identity: Text that says which run this is.
        arrays: Weights, optimiser and averages by name.
    """

    epochs: int
    identity: str
    arrays: Mapping[str, NDArray[np.generic]]


def save(folder: Path, checkpoint: Checkpoint, *, best: int) -> Path:
    """Write a checkpoint, and delete those before it that are neither among the newest nor best.

    The run's folder of checkpoints is made if absent. ``best`` is the number of epochs after which
    the run was best so far. Returns the file.

    Raises:
        StorageError: The folder cannot be written: full, read-only or gone.
    """
    path = _path(folder, checkpoint.epochs)
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    about = {"epochs": np.array(checkpoint.epochs), "identity": np.array(checkpoint.identity)}
    np.savez(content, allow_pickle=False, **about, **checkpoint.arrays)
    digest = hashlib.sha256(content.getbuffer()).digest()
    content.seek(0, io.SEEK_END)
    content.write(digest)
    write_file(path, content.getbuffer())
    before = [one for one in sorted(folder.glob("epoch-*.npz")) if one <= path]
    with contextlib.suppress(OSError):  # the new one is whole: what cannot be deleted may stay
        for one in set(before[:-KEPT]) - {_path(folder, best)}:
            one.unlink(missing_ok=True)
    remove_leftovers(folder)
    return path


def load_latest(folder: Path) -> Checkpoint | None:
    """Load the newest whole checkpoint of a run's folder of checkpoints; None when there is none.

    A damaged one is passed over, with a warning, for the one before it; nothing is deleted.

    Raises:
        CheckpointError: All checkpoints are damaged.
    """
    files = sorted(folder.glob("epoch-*.npz"), reverse=True)
    for path in files:
        try:
            return _read(path)
        except (OSError, ValueError, KeyError) as error:
            _LOGGER.warning("checkpoint %s is damaged (%s): using an older one", path, error)
    if files:
        raise CheckpointError(
            f"{folder}: no checkpoint is whole, {len(files)} damaged. Start again in another --out"
        )
    return None


def _path(folder: Path, epochs: int) -> Path:
    return folder / f"epoch-{epochs:05d}.npz"


def _read(path: Path) -> Checkpoint:
    """Return a checkpoint; raise ValueError when the file is not what was written."""
    content = path.read_bytes()
    payload = content[:-_DIGEST_BYTES]
    if hashlib.sha256(payload).digest() != content[-_DIGEST_BYTES:]:
        raise ValueError("it is cut or changed")
    with np.load(io.BytesIO(payload), allow_pickle=False) as file:
        arrays = dict(file)
    checkpoint = Checkpoint(int(arrays.pop("epochs")), str(arrays.pop("identity")), arrays)
    if path != _path(path.parent, checkpoint.epochs):
        raise ValueError(f"it is that of epoch {checkpoint.epochs}")
    return checkpoint
