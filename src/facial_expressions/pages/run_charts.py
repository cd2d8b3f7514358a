"""The chart of a training run: loss, accuracy, learning rate and seconds over the epochs."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from facial_expressions.errors import DatasetError, first_line
from facial_expressions.pages.drawing import (
    ACCENT,
    MUTED,
    WARM,
    add_legend,
    new_figure,
    style_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

History = dict[str, list[float]]
"""Columns of ``history.csv`` by name, as many values each as epochs are done."""

_NEEDED: Final = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")
_ALONE: Final = {"learning_rate": "Learning rate", "seconds": "Seconds per epoch"}

_LEGEND_ROOM: Final = 0.4
"""Height added for the legend, as a fraction of the curves' own."""


def read_history(path: Path) -> History:
    """Read a history CSV: numbers by column; an empty cell is NaN.

    Args:
        path: CSV with one row per epoch.

    Raises:
        DatasetError: The file is missing, has no rows, lacks a column or holds no numbers.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        history = {name: [float(row[name] or "nan") for row in rows] for name in (rows or [{}])[0]}
    except (OSError, ValueError, TypeError) as error:
        raise DatasetError(
            f"history {path} cannot be read; received: {first_line(error)}; "
            "give the history.csv of a run"
        ) from error
    if not set(_NEEDED) <= set(history):
        raise DatasetError(
            f"history {path} needs rows with the columns {sorted(_NEEDED)}; received "
            f"{sorted(history)}; give the history.csv of a run"
        )
    return history


def history_chart(history: History) -> Figure:
    """Draw the curves of a run over its epochs, training against validation.

    Args:
        history: One epoch or more; learning rate and seconds are drawn where they are there.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    alone = [name for name in _ALONE if name in history]
    figure = new_figure(9.6, 7.4 if alone else 3.8)
    panels = figure.subplots(2 if alone else 1, 2).flat
    _draw_pair(next(panels), history, "loss", "Loss")
    _draw_pair(next(panels), history, "accuracy", "Accuracy")
    for name in alone:
        axes = next(panels)
        style_axes(axes, title=_ALONE[name], xlabel="Epoch")
        _draw_curve(axes, history, name, color=MUTED, linewidth=2)
        axes.set_ylim(bottom=0)
    for axes in panels:
        axes.set_axis_off()
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
    style_axes(axes, title=title, xlabel="Epoch")
    _draw_curve(axes, history, name, color=MUTED, linewidth=1.6, label="training")
    _draw_curve(axes, history, f"val_{name}", color=ACCENT, linewidth=2.2, label="validation")
    row = _best_row(history[f"val_{name}"], is_lowest=name == "loss")
    if row is not None:
        value, epoch = history[f"val_{name}"][row], history["epoch"][row]
        axes.scatter([epoch], [value], color=WARM, s=36, zorder=3)
        axes.plot([], [], "o", color=WARM, label=f"best: {value:.4f}, epoch {epoch:g}")
    # Room of its own for the legend, above a curve that falls or under one that rises.
    low, high = axes.get_ylim()
    room = (high - low) * _LEGEND_ROOM
    if name == "loss":
        axes.set_ylim(low, high + room)
        add_legend(axes, loc="upper right")
    else:
        axes.set_ylim(low - room, high)
        add_legend(axes, loc="lower right")


def _best_row(values: Sequence[float], *, is_lowest: bool) -> int | None:
    """Return the first row of the best value; None where there is no value."""
    rows = [row for row, value in enumerate(values) if math.isfinite(value)]
    sign = 1 if is_lowest else -1
    return min(rows, key=lambda row: sign * values[row], default=None)
