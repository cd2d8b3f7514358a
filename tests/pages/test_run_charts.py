"""The curves of a training run."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.lines import Line2D  # noqa: TID253 - what charts are made of

from facial_expressions.errors import DatasetError
from facial_expressions.pages.drawing import png_of
from facial_expressions.pages.run_page import History, history_chart, read_history

NAN = math.nan
HEADER = "epoch,loss,accuracy,val_loss,val_accuracy,learning_rate,seconds\n"
ROWS = "1,1.9,0.3,1.8,0.35,0.001,40\n2,1.5,0.45,1.6,,0.0005,41\n3,1.2,0.5,1.4,0.5,0.0001,40\n"


def history_of(folder: Path, text: str) -> History:
    (folder / "history.csv").write_text(text, encoding="utf-8")
    return read_history(folder / "history.csv")


def rates(n: int) -> History:
    return {"learning_rate": [0.1] * n, "seconds": [40.0] * n}


def points(line: Line2D) -> list[tuple[float, float]]:
    return [(x, y) for x, y in np.asarray(line.get_xydata()).tolist() if math.isfinite(y)]


def test_four_curves_over_the_epochs(tmp_path: Path) -> None:
    figure = history_chart(history_of(tmp_path, HEADER + ROWS))
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "Loss", "Accuracy", "Learning rate", "Seconds per epoch",
    ]  # fmt: skip
    loss = {line.get_label(): points(line) for line in figure.axes[0].lines}
    assert loss["training"] == [(1, 1.9), (2, 1.5), (3, 1.2)]
    assert loss["validation"] == [(1, 1.8), (2, 1.6), (3, 1.4)]
    assert points(figure.axes[3].lines[0]) == [(1, 40), (2, 41), (3, 40)]


@pytest.mark.parametrize(
    ("name", "values", "text"),
    [
        ("loss", [NAN, 0.2, 0.2, 0.5], "best: 0.2000, epoch 2"),
        ("accuracy", [0.2, 0.9, 0.9, NAN], "best: 0.9000, epoch 2"),
        ("accuracy", [NAN] * 4, None),
    ],
)
def test_the_first_best_value_is_named(name: str, values: list[float], text: str | None) -> None:
    epochs = [1.0, 2.0, 3.0, 4.0]
    plain = dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy"), [0.5] * 4)
    figure = history_chart({"epoch": epochs, **rates(4), **plain, f"val_{name}": values})
    axes = figure.axes[0 if name == "loss" else 1]
    named = [str(line.get_label()) for line in axes.lines if "best" in str(line.get_label())]
    assert named == ([] if text is None else [text])
    assert len(axes.collections) == len(named)


def test_a_value_without_neighbours_is_a_dot() -> None:
    """A gap breaks the line: 0.5 and 0.6 are joined, 0.9 stands alone."""
    values = [0.5, 0.6, NAN, 0.9]
    plain = dict.fromkeys(("loss", "val_loss", "val_accuracy"), [0.5] * 4)
    history = {"epoch": [1.0, 2.0, 3.0, 4.0], **rates(4), **plain, "accuracy": values}
    figure = history_chart(history)
    dots = [line for line in figure.axes[1].lines if line.get_marker() == "o"]
    assert [points(line) for line in dots if points(line)] == [[(4, 0.9)]]


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
    assert len(png_of(history_chart(history_of(tmp_path, HEADER + rows)))) > 1000


@pytest.mark.parametrize(
    "text",
    ["", HEADER, "epoch,loss\n1,2\n", HEADER + "1,x,0,0,0,0,0\n"],
    ids=["empty", "no rows", "columns", "no number"],
)
def test_what_is_no_history_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "history.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match=r"history\.csv"):
        read_history(tmp_path / "history.csv")


def test_a_missing_history_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read"):
        read_history(tmp_path / "none.csv")


@pytest.mark.parametrize("panel", [0, 1])
@pytest.mark.parametrize("slope", [-0.4, 0.0, 0.4])
def test_no_curve_runs_through_the_legend(panel: int, slope: float) -> None:
    """Two curves apart that fall, stay or rise: no point of them lies where the legend is."""
    epochs = [float(one) for one in range(1, 49)]
    curve = [0.5 + slope * one / 48 for one in epochs]
    above = [0.4 + one for one in curve]
    history = {"epoch": epochs, **rates(48), "loss": curve, "val_loss": above}
    figure = history_chart({**history, "accuracy": curve, "val_accuracy": above})
    axes = figure.axes[panel]
    figure.canvas.draw()
    drawn = axes.get_legend()
    assert drawn is not None
    legend = drawn.get_window_extent()
    shown = [
        axes.transData.transform((epoch, value))
        for values in (curve, above)
        for epoch, value in zip(epochs, values, strict=True)
    ]
    assert len(shown) == 96
    assert not any(legend.contains(x, y) for x, y in shown)
