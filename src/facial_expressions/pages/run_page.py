"""The page of a training run and its chart, made from what its folder holds, at any time."""

from __future__ import annotations

import csv
import json
import math
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from facial_expressions.calibration import softmax
from facial_expressions.errors import DatasetError, first_line
from facial_expressions.evaluation.predictions import Predictions
from facial_expressions.evaluation.report import Report, build_report
from facial_expressions.evaluation.samples import Sample, choose_mistakes
from facial_expressions.files import write_file
from facial_expressions.labels import LabelSet
from facial_expressions.pages import drawing
from facial_expressions.pages.tables import Table
from facial_expressions.pages.templating import render

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

History = dict[str, list[float]]
"""Columns of ``history.csv`` by name, as many values each as epochs are done."""

_ALONE: Final = {"learning_rate": "Learning rate", "seconds": "Seconds per epoch"}

_LEGEND_ROOM: Final = 0.4
"""Height added for the legend, as a fraction of the curves' own."""

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
_NEEDED: Final = set(_COLUMNS) - {"val_ferplus"}


def write_run_page(folder: Path) -> Path:
    """Write a run's ``report.html``, and its ``history.png``, as far as the run is done.

    The page of a finished run shows images of the data set (the most confident mistakes on
    validation): mind its licence before publishing it.

    Args:
        folder: The run's folder, finished or not.

    Returns:
        The page.

    Raises:
        DatasetError: This is not a run's folder, or its history holds no numbers.
        MissingExtraError: Jinja2 or Matplotlib is not installed.
        OSError: The folder cannot be written.
    """
    if not (folder / "recipe.toml").is_file():
        raise DatasetError(
            f"{folder}: not a training run: recipe.toml is missing. Give the folder that train "
            "wrote"
        )
    recipe = _read(folder / "recipe.toml")
    dataset, environment = _read(folder / "dataset.json"), _read(folder / "environment.json")
    history, chart = {}, None
    if (history_file := folder / "history.csv").is_file():
        history = read_history(history_file)
        chart = history_chart(history)
        write_file(folder / "history.png", drawing.png_of(chart))
    report, mistakes = _validation(folder, dataset)
    command = environment.pop("command", "")
    page = render(
        "run.html",
        recipe=recipe,
        dataset=dataset,
        history=history,
        chart=chart,
        epochs=_epoch_table(history),
        report=report,
        mistakes=mistakes,
        environment=environment | {"origins": _read(folder / "origins.json")},
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


def _validation(folder: Path, dataset: Facts) -> tuple[Report | None, tuple[Sample, ...]]:
    """Return a finished run's figures on validation, first head, and most confident mistakes."""
    file = folder / "validation.npz"
    if not (file.is_file() and (folder / "model.weights.h5").is_file()):
        return None, ()
    labels = LabelSet(dataset["labels"]["name"], tuple(dataset["labels"]["names"]))
    with np.load(file, allow_pickle=False) as arrays:
        crops, truth = arrays["crops"], arrays[f"{labels.name}_labels"].astype(np.int64)
        probabilities = softmax(arrays[f"{labels.name}_logits"]).astype(np.float32)
    sources = tuple(f"validation {row}" for row in range(len(truth)))
    predictions = Predictions(labels, sources, truth, probabilities)
    return build_report(predictions), choose_mistakes(predictions, crops)


def _epoch_table(history: History) -> Table:
    """Return one row per epoch; a column without any number is left out."""
    shown = [name for name in _COLUMNS if any(map(math.isfinite, history.get(name, ())))]
    columns = [[_COLUMNS[name][1].format(value) for value in history[name]] for name in shown]
    return Table(tuple(_COLUMNS[name][0] for name in shown), list(zip(*columns, strict=True)))


def read_history(path: Path) -> History:
    """Read a history CSV of one row per epoch: numbers by column; an empty cell is NaN.

    Raises:
        DatasetError: The file is missing, has no rows, lacks a column or holds no numbers.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        history = {name: [float(row[name] or "nan") for row in rows] for name in (rows or [{}])[0]}
    except (OSError, ValueError, TypeError) as error:
        raise DatasetError(
            f"{path}: cannot be read: {first_line(error)}. Give the history.csv of a run"
        ) from error
    if not set(history) >= _NEEDED:
        raise DatasetError(
            f"{path}: needs rows with the columns {sorted(_NEEDED)}, not {sorted(history)}. Give "
            "the history.csv of a run"
        )
    return history


def history_chart(history: History) -> Figure:
    """Draw the curves of a run over its epochs, training against validation; one epoch or more.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    label = "Loss, accuracy, learning rate and seconds over the epochs"
    figure = drawing.new_figure(9.6, 7.4, label)
    loss, accuracy, *others = figure.subplots(2, 2).flat
    _draw_pair(loss, history, "loss", "Loss")
    _draw_pair(accuracy, history, "accuracy", "Accuracy")
    for axes, (name, title) in zip(others, _ALONE.items(), strict=True):
        drawing.style_axes(axes, title=title, xlabel="Epoch")
        _draw_curve(axes, history, name, color=drawing.MUTED, linewidth=2)
        axes.set_ylim(bottom=0)
    return figure


def _draw_curve(axes: Axes, history: History, name: str, **look: Any) -> None:  # noqa: ANN401
    """Draw a curve in pieces between its gaps; a value without neighbours is a dot."""
    epochs, values = history["epoch"], history[name]
    axes.plot(epochs, values, **look)
    known = [False, *map(math.isfinite, values), False]
    lonely = [i for i in range(len(values)) if known[i : i + 3] == [False, True, False]]
    axes.plot([epochs[i] for i in lonely], [values[i] for i in lonely], "o", color=look["color"])


def _draw_pair(axes: Axes, history: History, name: Literal["loss", "accuracy"], title: str) -> None:
    """Draw one figure for training and validation, and mark validation's best epoch."""
    drawing.style_axes(axes, title=title, xlabel="Epoch")
    values, is_loss = history[f"val_{name}"], name == "loss"
    _draw_curve(axes, history, name, color=drawing.MUTED, linewidth=1.6, label="training")
    _draw_curve(
        axes, history, f"val_{name}", color=drawing.ACCENT, linewidth=2.2, label="validation"
    )
    known = [row for row, value in enumerate(values) if math.isfinite(value)]
    if known:
        row = min(known, key=lambda row: values[row] if is_loss else -values[row])
        value, epoch = values[row], history["epoch"][row]
        axes.scatter([epoch], [value], color=drawing.WARM, s=36, zorder=3)
        axes.plot([], [], "o", color=drawing.WARM, label=f"best: {value:.4f}, epoch {epoch:g}")
    # Room of its own for the legend, above a curve that falls or under one that rises.
    low, high = axes.get_ylim()
    room = (high - low) * _LEGEND_ROOM
    axes.set_ylim(*((low, high + room) if is_loss else (low - room, high)))
    drawing.add_legend(axes, loc="upper right" if is_loss else "lower right")
