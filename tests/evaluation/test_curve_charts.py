"""Curves over epochs as SVG."""

from __future__ import annotations

import math
import re

import pytest

from facial_expressions.evaluation.curve_charts import Curve, curve_chart, curve_key, nice_ticks

NAN = math.nan


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (1.14, 2.45, [1.0, 1.5, 2.0, 2.5]),
        (0.0, 0.0999, [0, 0.02, 0.04, 0.06, 0.08, 0.1]),
        (130, 484, [100, 200, 300, 400, 500]),
        (3e-7, 9e-7, [2e-7, 4e-7, 6e-7, 8e-7, 1e-6]),
    ],
)
def test_ticks_are_round_and_enclose_the_values(
    low: float, high: float, ticks: list[float]
) -> None:
    assert nice_ticks(low, high) == pytest.approx(ticks)


@pytest.mark.parametrize("value", [0.0, 2.0, -3.5])
def test_one_value_alone_has_ticks_around_it(value: float) -> None:
    ticks = nice_ticks(value, value)
    assert len(set(ticks)) >= 2
    assert ticks[0] <= value <= ticks[-1]


def test_a_line_goes_from_edge_to_edge() -> None:
    """Ticks are 0 to 1: the first value lies on the lowest grid line, the last on the highest."""
    svg = curve_chart("Loss", [1, 2, 3], [Curve("x", [0.0, 0.5, 1.0])])
    points = re.findall(r'points="([^"]+)"', svg)
    assert points == ["58.0,238.0 232.0,125.0 406.0,12.0"]


def test_a_gap_breaks_the_line_and_a_lonely_value_is_a_dot() -> None:
    svg = curve_chart("Loss", [1, 2, 3, 4], [Curve("x", [0.0, 0.5, NAN, 1.0])])
    assert svg.count("<polyline") == 1
    assert svg.count("<circle") == 1
    assert "nan" not in svg


@pytest.mark.parametrize(
    ("best", "text"), [("lowest", "best 0.2000 in epoch 2"), ("highest", "best 0.9000 in epoch 5")]
)
def test_the_first_best_value_is_named(best: str, text: str) -> None:
    curve = Curve(
        "x", [NAN, 0.2, 0.2, 0.5, 0.9, 0.9], best="lowest" if best == "lowest" else "highest"
    )
    assert text in curve_key([1, 2, 3, 4, 5, 6], [curve])


def test_no_value_at_all_leaves_empty_axes() -> None:
    svg = curve_chart("Loss", [1], [Curve("x", [NAN], best="lowest")])
    assert svg.count("<polyline") + svg.count("<circle") == 0
    assert "nan" not in svg
