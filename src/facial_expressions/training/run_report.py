"""Writes a run's HTML page into its folder, from what the folder holds: it can be made again."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np

from facial_expressions.evaluation.predictions import Predictions
from facial_expressions.evaluation.samples import Sample, choose_mistakes
from facial_expressions.evaluation.training_page import TrainingRecord, render_training_page
from facial_expressions.evaluation.training_plots import read_history
from facial_expressions.labels import LabelSet
from facial_expressions.training.checkpoints import write_atomically
from facial_expressions.training.run_folder import RunFolder

__all__ = ["read_record", "write_run_report"]


def write_run_report(folder: RunFolder) -> Path:
    """Replace the run's ``report.html`` by one of the epochs that are done.

    The page of a finished run shows pictures of the data set (the most confident mistakes on
    validation): mind its licence before publishing it.

    Args:
        folder: The run's folder; recipe, data and environment are there.

    Returns:
        The page.

    Raises:
        StorageError: The folder cannot be written.
    """
    text = render_training_page(read_record(folder))
    write_atomically(folder.report, lambda temporary: _write_text(temporary, text))
    return folder.report


def read_record(folder: RunFolder) -> TrainingRecord:
    """Return what a run's folder says, finished or not.

    Args:
        folder: The run's folder.

    Raises:
        DatasetError: Its history holds no numbers.
    """
    recipe = tomllib.loads(folder.recipe.read_text(encoding="utf-8"))
    dataset = _read_json(folder.dataset)
    validation: Predictions | None = None
    mistakes: tuple[Sample, ...] = ()
    if folder.weights.is_file() and folder.validation.is_file():
        labels = LabelSet(dataset["labels"]["name"], tuple(dataset["labels"]["names"]))
        validation, mistakes = _read_validation(folder.validation, labels)
    return TrainingRecord(
        name=recipe["run"]["name"],
        recipe=recipe,
        dataset=dataset,
        environment=_read_json(folder.environment),
        origins=_read_json(folder.origins),
        history=read_history(folder.history) if folder.history.is_file() else {},
        validation=validation,
        mistakes=mistakes,
    )


def _read_validation(path: Path, labels: LabelSet) -> tuple[Predictions, tuple[Sample, ...]]:
    """Return the first head's answers on validation, and their surest mistakes."""
    with np.load(path, allow_pickle=False) as file:
        crops, truth, logits = file["crops"], file["labels"], file["logits"]
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    predictions = Predictions(
        labels=labels,
        sources=tuple(f"validation {row}" for row in range(len(truth))),
        truth=truth.astype(np.int64),
        probabilities=(shifted / shifted.sum(axis=1, keepdims=True)).astype(np.float32),
    )
    return predictions, choose_mistakes(predictions, crops)


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return facts


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
