"""Averages the weights of several runs of one network into one run folder, ready to export.

The mean of weights that lie in one basin, as those of runs that began from the same weights do, is
often better than each (Wortsman et al. 2022, arXiv:2203.05482). The statistics of normalisation
layers cannot be averaged: they are re-measured on training images (Izmailov et al. 2018,
arXiv:1803.05407).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import keras
import numpy as np
from keras import layers

from facial_expressions.data.dataset import Dataset, Floats
from facial_expressions.data.ferplus import Votes
from facial_expressions.errors import CheckpointError, ModelError
from facial_expressions.training.material import Material
from facial_expressions.training.network import build_network
from facial_expressions.training.recipe import DistillationRecipe
from facial_expressions.training.run_folder import RunFolder, describe_differences
from facial_expressions.training.trained_networks import FinishedRun, save_final_weights

_N_BATCHES: Final = 100
"""Training batches that the statistics of normalisation layers are measured on, at most one epoch;
as the first run's recipe makes them in its last epoch."""


def average_runs(
    run_dirs: Sequence[str | Path], out: str | Path, dataset: Dataset, *, votes: Votes | None = None
) -> float:
    """Average the final weights of finished runs, with the first run's recipe.

    Args:
        run_dirs: Folders of two or more finished runs of one network on one data set.
        out: Folder to write, which ``export`` takes like a finished run's; must not hold a run yet.
        dataset: The data set of the runs.
        votes: FER+ votes; needed when the runs have a FER+ head.

    Returns:
        Accuracy of the first head of the average on validation, 0 to 1.

    Raises:
        ModelError: There are fewer than two runs, one is not finished, or they differ in network,
            label set or data; the message says in what.
        DatasetError: The FER+ votes are needed and not given.
        CheckpointError: ``out`` holds a run already, or cannot be written.
    """
    runs = [FinishedRun(path) for path in run_dirs]
    _check_alike(runs, dataset.digest())
    folder = RunFolder(Path(out))
    if folder.weights.exists() or folder.checkpoints.exists():
        raise CheckpointError(f"{folder.path}: holds a run already. Give another folder")
    recipe = replace(runs[0].recipe, distillation=DistillationRecipe())
    material = Material(recipe, dataset, votes)
    model = build_network(recipe, runs[0].heads, any_size=bool(recipe.augmentation.sizes))
    model.set_weights(_mean_weights(runs))
    _measure_statistics(model, material)
    origins = {"average_of": [run.describe() for run in runs]}
    folder.begin(runs[0].recipe, material.facts, origins)
    logits = save_final_weights(folder, model, dataset.validation, material.truths())
    right = logits[0].argmax(axis=1) == dataset.validation.labels
    return float(right.mean())


def _measure_statistics(model: keras.Model, material: Material) -> None:
    """Set the statistics of normalisation layers to their mean over training batches."""
    norms = [one for one in model._flatten_layers() if isinstance(one, layers.BatchNormalization)]
    batches, last = material.batches(), material.recipe.optimization.epochs - 1
    keras.utils.set_random_seed(material.recipe.run.seed)
    for step in range(min(_N_BATCHES, len(batches)) if norms else 0):
        for layer in norms:
            layer.momentum = 1 - 1 / (step + 1)  # makes the moving average a plain mean
        model(batches.load(last, step).inputs, training=True)


def _check_alike(runs: Sequence[FinishedRun], digest: str) -> None:
    if len(runs) < 2:
        raise ModelError(f"runs: an average needs two or more, not {len(runs)}")
    wanted = _essence(runs[0]) | {"data": digest}
    for run in runs:
        differences = describe_differences(_essence(run), wanted)
        if differences:
            raise ModelError(
                f"{run.folder.path}: cannot be averaged with {runs[0].folder.path} on this data: "
                f"{'; '.join(differences)}. Average runs of one network and data set"
            )


def _essence(run: FinishedRun) -> dict[str, object]:
    """Return what runs to be averaged must have in common."""
    return {
        "architecture": run.architecture,
        "size": run.preprocessing.size,
        "label sets": list(run.heads),
        "data": run.data_digest,
    }


def _mean_weights(runs: Sequence[FinishedRun]) -> list[Floats]:
    weights = zip(*(run.build().get_weights() for run in runs), strict=True)
    return [np.asarray(np.mean(some, axis=0, dtype=np.float64), np.float32) for some in weights]
