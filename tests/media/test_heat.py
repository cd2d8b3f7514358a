"""Heat over an image: where it is warm, and nowhere else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facial_expressions.media.draw import draw_faces
from facial_expressions.media.heat import blend_heat
from facial_expressions.results import Explanation, Point

GREY = np.full((80, 100, 3), 90, np.uint8)
Corners = tuple[Point, Point, Point, Point]
SQUARE: Corners = ((20.0, 10.0), (80.0, 10.0), (80.0, 70.0), (20.0, 70.0))


def explanation(*hot: tuple[int, int], corners: Corners = SQUARE) -> Explanation:
    """A grid of 6 x 6 that is cold but for some places, each given by row and column."""
    heat = np.full((6, 6), -1.0)
    for place in hot:
        heat[place] = 2.0
    return Explanation("happy", tuple(map(tuple, heat.tolist())), corners)


def changed(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray(np.any(image != GREY, axis=2))


def test_the_hot_place_turns_warm_and_the_rest_stays() -> None:
    out = blend_heat(GREY, [explanation((4, 2))])
    y, x = 10 + 4.5 * 10, 20 + 2.5 * 10  # the middle of that place
    red, green, blue = out[int(y), int(x)].astype(int)
    assert red > 100 > green  # dark red at the hottest
    assert blue < 90
    ys, xs = np.nonzero(changed(out))
    assert abs(ys - y).max() <= 10
    assert abs(xs - x).max() <= 10
    assert np.array_equal(GREY, np.full((80, 100, 3), 90, np.uint8))  # the original is not touched


def test_a_turned_crop_carries_its_heat_along() -> None:
    turned: Corners = ((80.0, 10.0), (80.0, 70.0), (20.0, 70.0), (20.0, 10.0))  # a quarter turn
    out = blend_heat(GREY, [explanation((0, 2), corners=turned)])
    ys, xs = np.nonzero(changed(out))
    assert 70 < xs.mean() < 80  # the grid's top lies on the right
    assert 30 < ys.mean() < 40


def test_a_crop_over_the_border_and_one_outside_do_no_harm() -> None:
    over: Corners = ((-30.0, -30.0), (30.0, -30.0), (30.0, 30.0), (-30.0, 30.0))
    outside: Corners = ((200.0, 200.0), (260.0, 200.0), (260.0, 260.0), (200.0, 260.0))
    out = blend_heat(GREY, [explanation((4, 4), corners=over)])
    assert changed(out)[:30, :30].any()
    assert not changed(out)[30:, 30:].any()
    assert not changed(blend_heat(GREY, [explanation((4, 4), corners=outside)])).any()


def test_heat_fades_out_at_the_edge_of_the_crop() -> None:
    everywhere = [(row, column) for row in range(6) for column in range(6)]
    out = blend_heat(GREY, [explanation(*everywhere)]).astype(int)
    steps = np.abs(np.diff(out[40, :, 0]))
    assert out[40, 50, 0] > 100
    assert steps.max() < 15  # no hard edge


def test_drawn_images_show_it() -> None:
    assert np.asarray(draw_faces(GREY, [], [explanation((3, 3))])).tolist() != GREY.tolist()
