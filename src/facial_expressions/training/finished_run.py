"""Finished runs as what later ones build on: their network, and what it belongs to."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import keras

from facial_expressions.errors import ModelError
from facial_expressions.labels import FERPLUS, LabelSet
from facial_expressions.training.network import build_network
from facial_expressions.training.recipe import Recipe
from facial_expressions.training.run_folder import RunFolder

__all__ = ["FinishedRun", "read_finished_run"]


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A finished run.

    Attributes:
        folder: Its files.
        recipe: What it was trained by.
        labels: Label set of its first head.
        data: What it learnt from, in words.
        data_digest: Digest of the data set that it learnt from, all parts of it.
        sha256: SHA-256 of its final weights, as hexadecimal digits.
    """

    folder: RunFolder
    recipe: Recipe
    labels: LabelSet
    data: str
    data_digest: str
    sha256: str

    @property
    def heads(self) -> dict[str, LabelSet]:
        """Label set of each head, by the head's name, in the order of the network's outputs."""
        with_votes = self.recipe.optimization.ferplus_weight > 0
        label_sets = (self.labels, FERPLUS) if with_votes else (self.labels,)
        return {labels.name: labels for labels in label_sets}

    def build(self, *, any_size: bool = False) -> keras.Model:
        """Return the run's network with its final weights.

        Args:
            any_size: As in ``build_network``.

        Raises:
            ModelError: The weights are damaged, or not of this version's architecture.
        """
        model = build_network(self.recipe, len(self.labels), any_size=any_size)
        try:
            model.load_weights(self.folder.weights)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(
                f"weights {self.folder.weights} cannot be read into "
                f"{self.recipe.network.architecture!r}; received: {error}; train the run again"
            ) from error
        return model

    def describe(self) -> dict[str, object]:
        """Return what identifies the run, as plain values."""
        data = self.recipe.data
        return {
            "name": self.folder.path.name,
            "weights_sha256": self.sha256,
            "fold": [data.fold, data.folds],
        }


def read_finished_run(path: str | Path) -> FinishedRun:
    """Read a finished run's folder.

    Args:
        path: The folder.

    Raises:
        ModelError: It is no run's folder, the run is not finished, or a file is damaged.
    """
    folder = RunFolder(Path(path))
    needed = (folder.recipe, folder.dataset, folder.weights)
    missing = [one.name for one in needed if not one.is_file()]
    if missing:
        raise ModelError(
            f"{path} is not the folder of a finished run; missing {missing}; give one that "
            "'facial-expressions train' has finished"
        )
    try:
        facts = json.loads(folder.dataset.read_text(encoding="utf-8"))
        labels = LabelSet(facts["labels"]["name"], tuple(facts["labels"]["names"]))
        counts, digest = facts["counts"], str(facts["digest"])
        data = f"{facts['name']} ({facts['protocol']}, train {counts['train']})"
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{folder.dataset} is damaged; received: {error!r}; train the run again"
        ) from error
    with folder.weights.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return FinishedRun(folder, Recipe.load(folder.recipe), labels, data, digest, sha256)
