"""The run folder: everything that is needed to repeat, resume, export and judge one run.

::

    runs/standardized-cnn/
    ├── recipe.toml            resolved: every key written out
    ├── dataset.json           name, protocol, label set, counts and digest of the data
    ├── environment.json       versions, commit, backend, device, precision, data digest, command
    ├── origins.json           weights and teachers of earlier runs, by SHA-256; only with them
    ├── history.csv            one row an epoch
    ├── history.png            loss, accuracy, learning rate and seconds
    ├── report.html            the run as one page; pages/run_page.py writes both at the end
    ├── checkpoints/           state to resume from
    ├── model.weights.h5       final weights (averaged ones, when the recipe averages)
    └── validation.npz         crops, and each head's labels and logits, of validation, for export
"""

from __future__ import annotations

import csv
import io
import json
import math
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import numpy as np

from facial_expressions.data.dataset import Dataset
from facial_expressions.files import write_file
from facial_expressions.training.precision import list_devices

__all__ = ["EpochRow", "RunFolder", "describe_dataset", "describe_environment"]


@dataclass(frozen=True, slots=True)
class EpochRow:
    """One row of ``history.csv``.

    Attributes:
        epoch: Epochs finished, from 1.
        loss: Mean training loss, with augmentation and smoothing.
        accuracy: Training accuracy, with augmentation, 0 to 1.
        val_loss: Loss on validation, of the averaged weights.
        val_accuracy: Accuracy on validation, of the averaged weights, 0 to 1.
        learning_rate: Rate after the epoch's last step.
        seconds: Wall time of the epoch, validation included.
        val_ferplus: Accuracy of the FER+ head on the validation pictures with a strict majority;
            not a number without that head.
    """

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    seconds: float
    val_ferplus: float = math.nan


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Names and files of one run.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.toml"

    @property
    def dataset(self) -> Path:
        """What the run learnt from."""
        return self.path / "dataset.json"

    @property
    def environment(self) -> Path:
        """Where and with what the run was made."""
        return self.path / "environment.json"

    @property
    def origins(self) -> Path:
        """Weights and teachers of earlier runs; there only where the run had any."""
        return self.path / "origins.json"

    @property
    def history(self) -> Path:
        """One row an epoch."""
        return self.path / "history.csv"

    @property
    def checkpoints(self) -> Path:
        """State to resume from."""
        return self.path / "checkpoints"

    @property
    def weights(self) -> Path:
        """Final weights; there only when the run is finished."""
        return self.path / "model.weights.h5"

    @property
    def validation(self) -> Path:
        """Crops, labels and logits of the validation split."""
        return self.path / "validation.npz"

    def read_history(self) -> list[EpochRow]:
        """Return the rows of the history; none when there is no file."""
        if not self.history.is_file():
            return []
        with self.history.open(newline="", encoding="utf-8") as file:
            return [
                EpochRow(int(row.pop("epoch")), **{key: float(value) for key, value in row.items()})
                for row in csv.DictReader(file)
            ]

    def write_history(self, rows: Sequence[EpochRow]) -> None:
        """Replace the history by these rows."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, [one.name for one in fields(EpochRow)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
        write_file(self.history, text.getvalue())

    def write_json(self, path: Path, data: Mapping[str, Any]) -> None:
        """Write a dictionary as readable JSON."""
        write_file(path, json.dumps(data, indent=2, sort_keys=True) + "\n")


def describe_dataset(dataset: Dataset) -> dict[str, Any]:
    """Return what identifies a data set: name, protocol, label set, counts and digest."""
    return {
        "name": dataset.name,
        "protocol": dataset.protocol,
        "labels": {"name": dataset.labels.name, "names": list(dataset.labels.names)},
        "counts": {split.name: len(split) for split in dataset.splits()},
        "train_by_class": np.bincount(dataset.train.labels, minlength=len(dataset.labels)).tolist(),
        "digest": dataset.digest(),
    }


def describe_environment(*, precision: str) -> dict[str, Any]:
    """Return what a run was made with: versions, commit, backend, device.

    Args:
        precision: Dtype policy of the run.
    """
    packages = ("facial-expressions", "keras", "numpy", keras.backend.backend(), "pillow")
    return {
        "backend": keras.backend.backend(),
        "devices": list_devices(),
        "precision": precision,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: _version(name) for name in packages},
        "commit": _commit(),
        "command": shlex.join(["facial-expressions", *sys.argv[1:]]),
    }


def _version(package: str) -> str:
    for name in (package, f"{package}-cpu"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "unknown"


def _commit() -> str:
    """Return the commit of the source tree, or an empty text outside of one."""
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip()
