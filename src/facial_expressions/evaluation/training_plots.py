"""Draws a training run's history: loss, accuracy and learning rate over the epochs."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from facial_expressions.errors import DatasetError
from facial_expressions.evaluation.drawing import (
    ACCENT,
    INK,
    MUTED,
    WARM,
    new_figure,
    save_png,
    style_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_history", "read_history"]

History = dict[str, list[float]]

_LEGEND_ROOM: Final = 0.4
"""Height added for the legend, as a fraction of the curves' own."""


def plot_history(history_path: Path, png_path: Path) -> None:
    """Draw the loss and accuracy curves of a run, training against validation.

    Args:
        history_path: CSV with the columns ``epoch``, ``loss``, ``accuracy``, ``val_loss``,
            ``val_accuracy`` and, if there, ``learning_rate``; one row per epoch.
        png_path: PNG to write.

    Raises:
        DatasetError: The file is missing, has no rows, lacks a column or holds no numbers.
        MissingExtraError: Matplotlib is not installed.
    """
    history = read_history(history_path)
    has_rate = "learning_rate" in history
    figure = new_figure(13.2 if has_rate else 9.0, 4.0)
    axes = figure.subplots(1, 3 if has_rate else 2)
    _draw_pair(axes[0], history, "loss", "Loss", best=min)
    _draw_pair(axes[1], history, "accuracy", "Accuracy", best=max)
    if has_rate:
        style_axes(axes[2], title="Learning rate", xlabel="Epoch")
        axes[2].plot(history["epoch"], history["learning_rate"], color=MUTED, linewidth=2)
        axes[2].set_ylim(bottom=0)
    save_png(figure, png_path)


def read_history(path: Path) -> History:
    """Read a history CSV: numbers by column; an empty cell is NaN.

    Raises:
        DatasetError: The file is missing, has no rows, lacks a column or holds no numbers.
    """
    needed = {"epoch", "loss", "accuracy", "val_loss", "val_accuracy"}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        history = {name: [float(row[name] or "nan") for row in rows] for name in (rows or [{}])[0]}
    except (OSError, ValueError, TypeError) as error:
        raise DatasetError(
            f"history {path} cannot be read; received: {error}; give the history.csv of a run"
        ) from error
    if not needed <= set(history):
        raise DatasetError(
            f"history {path} needs rows with the columns {sorted(needed)}; received "
            f"{sorted(history)}; give the history.csv of a run"
        )
    return history


def _draw_pair(
    axes: Axes, history: History, name: str, title: str, *, best: Callable[[list[float]], float]
) -> None:
    """Draw one figure for training and validation, and mark validation's best epoch."""
    epochs, validation = history["epoch"], history[f"val_{name}"]
    style_axes(axes, title=title, xlabel="Epoch")
    marker = "o" if len(epochs) == 1 else None
    axes.plot(epochs, history[name], color=MUTED, linewidth=1.6, label="training", marker=marker)
    axes.plot(epochs, validation, color=ACCENT, linewidth=2.2, label="validation", marker=marker)
    measured = [value for value in validation if math.isfinite(value)]
    if measured:
        value = best(measured)
        epoch = epochs[validation.index(value)]
        axes.scatter([epoch], [value], color=WARM, s=36, zorder=3)
        axes.plot([], [], "o", color=WARM, label=f"best: {value:.4f}, epoch {epoch:g}")
    # Room of its own for the legend, above a curve that falls or under one that rises.
    low, high = axes.get_ylim()
    room = (high - low) * _LEGEND_ROOM
    corner: Literal["upper right", "lower right"] = "upper right"
    if name == "loss":
        axes.set_ylim(low, high + room)
    else:
        axes.set_ylim(low - room, high)
        corner = "lower right"
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, loc=corner)
