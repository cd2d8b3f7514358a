"""The page of a training run, made from what its folder holds: it can be made at any time."""

from __future__ import annotations

import json
import math
import tomllib
from pathlib import Path
from typing import Any, Final

import numpy as np

from facial_expressions.errors import DatasetError
from facial_expressions.evaluation.predictions import Predictions
from facial_expressions.evaluation.report import Report, build_report
from facial_expressions.evaluation.samples import Sample, choose_mistakes
from facial_expressions.files import write_file
from facial_expressions.inference.probabilities import softmax
from facial_expressions.labels import LabelSet
from facial_expressions.pages.drawing import png_of, svg_of
from facial_expressions.pages.run_charts import History, history_chart, read_history
from facial_expressions.pages.tables import Table
from facial_expressions.pages.templating import render

Facts = dict[str, Any]

_COLUMNS: Final = {
    "epoch": ("Epoch", "{:.0f}"),
    "loss": ("Loss", "{:.4f}"),
    "accuracy": ("Accuracy", "{:.4f}"),
    "val_loss": ("Validation loss", "{:.4f}"),
    "val_accuracy": ("Validation accuracy", "{:.4f}"),
    "val_ferplus": ("Validation FER+", "{:.4f}"),
    "learning_rate": ("Learning rate", "{:.3g}"),
    "seconds": ("Seconds", "{:.0f}"),
}
_CHART: Final = "Loss, accuracy, learning rate and seconds over the epochs"


def write_run_page(folder: Path) -> Path:
    """Write a run's ``report.html``, and its ``history.png``, as far as the run is done.

    The page of a finished run shows images of the data set (the most confident mistakes on
    validation): mind its licence before publishing it.

    Args:
        folder: The run's folder, finished or not.

    Returns:
        The page.

    Raises:
        DatasetError: This is no run's folder, or its history holds no numbers.
        MissingExtraError: Jinja2 or Matplotlib is not installed.
        OSError: The folder cannot be written.
    """
    if not (folder / "recipe.toml").is_file():
        raise DatasetError(
            f"{folder} holds no training run; received no recipe.toml; give its --out"
        )
    recipe = _read(folder / "recipe.toml")
    dataset, environment = _read(folder / "dataset.json"), _read(folder / "environment.json")
    history_file = folder / "history.csv"
    history = read_history(history_file) if history_file.is_file() else {}
    chart = ""
    if history:
        figure = history_chart(history)
        write_file(folder / "history.png", png_of(figure))
        chart = svg_of(figure, _CHART)
    report, mistakes = _validation(folder, dataset)
    command = environment.pop("command", "")
    page = render(
        "run.html",
        recipe=recipe,
        dataset=dataset,
        facts=_rows(_sorted_facts(dataset)),
        history=history,
        chart=chart,
        epochs=_epoch_table(history),
        report=report,
        mistakes=mistakes,
        environment=_rows(environment | {"origins": _read(folder / "origins.json")}),
        command=command,
    )
    write_file(folder / "report.html", page)
    return folder / "report.html"


def _read(path: Path) -> Facts:
    if not path.is_file():
        return {}
    text = path.read_text(encoding="utf-8")
    facts: Facts = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    return facts


def _sorted_facts(dataset: Facts) -> Facts:
    """Return what the page lists of the data: name and protocol first, the counts last."""
    facts = {key: dataset[key] for key in ("name", "protocol") if key in dataset} | dataset
    counts = facts.pop("counts", {})
    apart = ("labels", "train_by_class")  # these have a table of their own
    return {key: facts[key] for key in facts if key not in apart} | {"images": counts}


def _validation(folder: Path, dataset: Facts) -> tuple[Report | None, tuple[Sample, ...]]:
    """Return the first head's figures on validation and its surest mistakes, of a finished run."""
    file = folder / "validation.npz"
    if not (file.is_file() and (folder / "model.weights.h5").is_file()):
        return None, ()
    labels = LabelSet(dataset["labels"]["name"], tuple(dataset["labels"]["names"]))
    with np.load(file, allow_pickle=False) as arrays:
        crops, truth = arrays["crops"], arrays[f"{labels.name}_labels"]
        logits = arrays[f"{labels.name}_logits"]
    predictions = Predictions(
        labels=labels,
        sources=tuple(f"validation {row}" for row in range(len(truth))),
        truth=truth.astype(np.int64),
        probabilities=softmax(logits).astype(np.float32),
    )
    return build_report(predictions), choose_mistakes(predictions, crops)


def _epoch_table(history: History) -> Table:
    """Return one row per epoch; a column without any number is left out."""
    shown = [name for name in _COLUMNS if any(map(math.isfinite, history.get(name, ())))]
    columns = [[_COLUMNS[name][1].format(value) for value in history[name]] for name in shown]
    return Table(tuple(_COLUMNS[name][0] for name in shown), list(zip(*columns, strict=True)))


def _rows(facts: Facts, prefix: str = "") -> list[tuple[str, object]]:
    """Return nested facts as names and values; empty texts are left out."""
    rows: list[tuple[str, object]] = []
    for key, value in facts.items():
        if isinstance(value, dict):
            rows += _rows(value, f"{prefix}{key} ")
        elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
            rows += _rows({f"{key} {i + 1}": one for i, one in enumerate(value)}, prefix)
        elif value not in ("", None):
            rows.append((f"{prefix}{key}".replace("_", " "), value))
    return rows
