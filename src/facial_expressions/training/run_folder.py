"""The run folder: everything that is needed to repeat, resume, export and judge one run.

What makes two runs the same run stands here too, and in words what differs where they are not.
"""

from __future__ import annotations

import csv
import io
import json
import platform
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from facial_expressions.data.dataset import Dataset
from facial_expressions.evaluation.provenance import installed_version, source_commit
from facial_expressions.files import storage_errors, write_file
from facial_expressions.training.devices import list_devices
from facial_expressions.training.recipe import Recipe

EpochRow = dict[str, float]
"""One row of ``history.csv`` by column.

``epoch`` counts the epochs finished, from 1; ``loss`` and ``accuracy``, 0 to 1, are the means over
training images, with augmentation and smoothing; ``val_loss`` and ``val_accuracy`` are those of the
averaged weights on validation images; ``learning_rate`` is that of the epoch's last step, and
``seconds`` its wall time, validation included. ``val_`` and the name of a further head is its
accuracy on the validation images that it has a truth for; for FER+ those with a strict majority.
"""


class RunFolder:
    """Names and files of one run, whose folder need not be there.

    Final weights are there only when the run is finished.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recipe = path / "recipe.toml"
        self.dataset = path / "dataset.json"
        self.environment = path / "environment.json"
        self.origins = path / "origins.json"
        self.history = path / "history.csv"
        self.checkpoints = path / "checkpoints"
        self.weights = path / "model.weights.h5"
        self.validation = path / "validation.npz"

    def read_history(self) -> list[EpochRow]:
        """Return the rows of the history; none when there is no file."""
        if not self.history.is_file():
            return []
        with self.history.open(newline="", encoding="utf-8") as file:
            return [
                {
                    name: int(value) if name == "epoch" else float(value)
                    for name, value in row.items()
                }
                for row in csv.DictReader(file)
            ]

    def write_history(self, rows: Sequence[EpochRow]) -> None:
        """Replace the history by these rows, at least one."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(rows[-1]))
        writer.writeheader()
        writer.writerows(rows)
        write_file(self.history, text.getvalue())

    def begin(
        self, recipe: Recipe, facts: Mapping[str, Any], origins: Mapping[str, object]
    ) -> None:
        """Make the folder, if absent, and write what the run is made of and made with.

        Raises:
            StorageError: The folder cannot be written.
        """
        with storage_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        write_file(self.recipe, recipe.to_toml())
        described = {self.dataset: facts, self.environment: _environment(), self.origins: origins}
        for path, data in described.items():
            if data:
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


def _environment() -> dict[str, Any]:
    """Return what a run is made with: versions, commit, backend, device, dtype policy."""
    packages = ("facial-expressions", "keras", "numpy", keras.backend.backend(), "pillow")
    return {
        "backend": keras.backend.backend(),
        "devices": list_devices(),
        "precision": keras.config.dtype_policy().name,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {
            name: installed_version(name) or installed_version(f"{name}-cpu") or "unknown"
            for name in packages
        },
        "commit": source_commit(),
        "command": shlex.join(["facial-expressions", *sys.argv[1:]]),
    }


def identity_text(
    recipe: Recipe, facts: Mapping[str, Any], origins: Mapping[str, object] | None = None
) -> str:
    """Return the text that says which run this is.

    Of the ``facts`` of its ``dataset.json``, ``digest`` and ``ferplus_digest`` count; ``origins``
    are what ``origins.json`` says of weights and teachers.
    """
    parts: dict[str, object] = {"recipe": recipe.to_dict(), "data": facts["digest"]}
    if "ferplus_digest" in facts:
        parts["votes"] = facts["ferplus_digest"]
    return json.dumps(parts | dict(origins or {}), sort_keys=True)


def describe_differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Return one text for each value that differs between two nested dictionaries.

    Examples:
        >>> describe_differences({"a": {"b": 1}}, {"a": {"b": 2}, "c": 3})
        ['a.b is 1 there, 2 here', 'c is absent there, 3 here']
    """
    first, second = dict(_flat(there)), dict(_flat(here))
    return [
        f"{key} is {first.get(key, 'absent')} there, {second.get(key, 'absent')} here"
        for key in dict.fromkeys([*first, *second])
        if first.get(key) != second.get(key)
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield dotted keys with their values as texts."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
            yield from _flat({str(i): one for i, one in enumerate(value)}, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", repr(value)
