"""The curves of a training run."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facial_expressions.errors import DatasetError
from facial_expressions.evaluation import training_plots
from facial_expressions.evaluation.drawing import new_figure
from facial_expressions.evaluation.training_plots import plot_history, read_history

HEADER = "epoch,loss,accuracy,val_loss,val_accuracy,learning_rate,seconds\n"
ROWS = "1,1.9,0.3,1.8,0.35,0.001,40\n2,1.5,0.45,1.6,,0.0005,41\n3,1.2,0.5,1.4,0.5,0.0001,40\n"


def test_history_is_drawn(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text(HEADER + ROWS, encoding="utf-8")
    plot_history(tmp_path / "history.csv", tmp_path / "history.png")
    with Image.open(tmp_path / "history.png") as picture:
        assert picture.width > 2 * picture.height
        assert np.asarray(picture.convert("L")).std() > 5


def test_a_row_that_was_cut_short_is_unknown_from_there(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text(HEADER + ROWS + "4,1.1", encoding="utf-8")
    history = read_history(tmp_path / "history.csv")
    assert history["loss"][3] == 1.1
    assert math.isnan(history["val_loss"][3])


def test_empty_cells_are_unknown(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text(HEADER + ROWS, encoding="utf-8")
    history = read_history(tmp_path / "history.csv")
    assert history["val_loss"] == [1.8, 1.6, 1.4]
    assert math.isnan(history["val_accuracy"][1])


@pytest.mark.parametrize("n_rows", [1, 2])
def test_a_run_that_has_just_begun_can_be_drawn(tmp_path: Path, n_rows: int) -> None:
    rows = "".join(ROWS.splitlines(keepends=True)[:n_rows])
    (tmp_path / "history.csv").write_text(HEADER + rows, encoding="utf-8")
    plot_history(tmp_path / "history.csv", tmp_path / "history.png")
    assert (tmp_path / "history.png").stat().st_size > 1000


@pytest.mark.parametrize(
    "text",
    ["", HEADER, "epoch,loss\n1,2\n", HEADER + "1,x,0,0,0,0,0\n"],
    ids=["empty", "no rows", "columns", "no number"],
)
def test_what_is_no_history_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "history.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match=r"history\.csv"):
        plot_history(tmp_path / "history.csv", tmp_path / "history.png")


def test_a_missing_history_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read"):
        read_history(tmp_path / "none.csv")


@pytest.mark.parametrize(("name", "best"), [("loss", min), ("accuracy", max)])
@pytest.mark.parametrize("slope", [-0.4, 0.0, 0.4])
def test_no_curve_runs_through_the_legend(
    name: str, best: Callable[[list[float]], float], slope: float
) -> None:
    """Two curves apart that fall, stay or rise: no point of them lies where the legend is."""
    epochs = [float(one) for one in range(1, 49)]
    curve = [0.5 + slope * one / 48 for one in epochs]
    history = {"epoch": epochs, name: curve, f"val_{name}": [0.4 + one for one in curve]}
    figure = new_figure(6.6, 4.0)
    axes = figure.subplots()
    training_plots._draw_pair(axes, history, name, name, best=best)
    figure.canvas.draw()
    drawn = axes.get_legend()
    assert drawn is not None
    legend = drawn.get_window_extent()
    points = [
        axes.transData.transform((epoch, value))
        for values in (curve, history[f"val_{name}"])
        for epoch, value in zip(epochs, values, strict=True)
    ]
    assert len(points) == 96
    assert not any(legend.contains(x, y) for x, y in points)
