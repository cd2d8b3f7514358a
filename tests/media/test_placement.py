"""Where labels and panels go: always inside, over as little as possible."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from facial_expressions.media.placement import Rect, overlap, panel_spots, place

sides = st.integers(1, 300)


def inside(spot: Rect, image: tuple[int, int]) -> bool:
    return 0 <= spot[0] < spot[2] <= image[0] and 0 <= spot[1] < spot[3] <= image[1]


@given(
    image=st.tuples(sides, sides), size=st.tuples(sides, sides),
    corner=st.tuples(st.integers(-50, 299), st.integers(-50, 299)), frame=st.tuples(sides, sides),
)  # fmt: skip
def test_a_label_lies_inside_wherever_its_face_is(
    image: tuple[int, int], size: tuple[int, int], corner: tuple[int, int], frame: tuple[int, int]
) -> None:
    assume(size[0] <= image[0] and size[1] <= image[1])
    x, y = corner
    spot = place(size, (x, y, x + frame[0], y + frame[1]), image, 3, [], [])
    assert inside(spot, image)
    assert (spot[2] - spot[0], spot[3] - spot[1]) == size


@given(
    image=st.tuples(sides, sides), size=st.tuples(sides, sides),
    corner=st.tuples(st.integers(-50, 299), st.integers(-50, 299)), frame=st.tuples(sides, sides),
)  # fmt: skip
def test_panels_lie_inside_and_beside_their_face(
    image: tuple[int, int], size: tuple[int, int], corner: tuple[int, int], frame: tuple[int, int]
) -> None:
    x, y = corner
    face = (x, y, x + frame[0], y + frame[1])
    for spot in panel_spots(size, face, image, 3):
        assert inside(spot, image)
        assert overlap(spot, face) == 0


def test_a_label_at_the_top_goes_below() -> None:
    assert place((40, 10), (20, 2, 60, 50), (100, 100), 2, [], []) == (20, 52, 60, 62)


def test_a_label_avoids_another() -> None:
    first = place((40, 10), (20, 30, 60, 80), (100, 100), 2, [], [])
    second = place((40, 10), (20, 30, 60, 80), (100, 100), 2, [], [first])
    assert overlap(first, second) == 0


def test_a_label_avoids_other_faces() -> None:
    above = (10, 0, 70, 29)
    spot = place((40, 10), (20, 30, 60, 80), (100, 100), 1, [above], [])
    assert overlap(spot, above) == 0


def test_a_face_that_fills_the_image_has_its_label_inside() -> None:
    assert inside(place((40, 10), (0, 0, 50, 50), (50, 50), 2, [], []), (50, 50))
