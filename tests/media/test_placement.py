"""Where labels, legends and panels go: always inside, on no other label, on little of faces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from facial_expressions.media.placement import Rect, Room
from tests.crowds import overlap

sides = st.integers(1, 300)
sizes = st.tuples(sides, sides)
frames = st.tuples(st.integers(-50, 299), st.integers(-50, 299), sides, sides).map(
    lambda one: (one[0], one[1], one[0] + one[2], one[1] + one[3])
)


def inside(spot: Rect, image: tuple[int, int]) -> bool:
    return 0 <= spot[0] < spot[2] <= image[0] and 0 <= spot[1] < spot[3] <= image[1]


@given(image=sizes, labels=st.lists(sizes, min_size=1, max_size=5), faces=st.lists(frames))
def test_labels_lie_inside_apart_and_cover_no_more_than_they_may(
    image: tuple[int, int], labels: list[tuple[int, int]], faces: list[Rect]
) -> None:
    room = Room(image, faces, 0.2)
    found = [room.anywhere(size, 3) for size in labels]
    found += [room.beside(size, face, 3) for size in labels for face in faces]
    spots = [spot for spot in found if spot is not None]
    assert room.taken == spots
    assert all(inside(spot, image) for spot in spots)
    assert all(not overlap(one, other) for i, one in enumerate(spots) for other in spots[:i])
    for left, top, right, bottom in faces:
        covered = sum(overlap(spot, (left, top, right, bottom)) for spot in spots)
        assert covered <= 0.2 * (right - left) * (bottom - top)


@given(image=sizes, size=sizes, face=frames)
def test_panels_lie_inside_and_beside_their_face(
    image: tuple[int, int], size: tuple[int, int], face: Rect
) -> None:
    spot = Room(image, [face]).aside(size, face, 3)
    if spot is not None:
        assert inside(spot, image)
        assert overlap(spot, face) == 0


def test_a_label_at_the_top_goes_below() -> None:
    assert Room((100, 100), [(20, 2, 60, 50)]).beside((40, 10), (20, 2, 60, 50), 2) == (
        20, 52, 60, 62,
    )  # fmt: skip


def test_a_label_between_two_faces_goes_where_it_covers_neither() -> None:
    """No room above; below there is as much as it needs."""
    face = (20, 30, 60, 80)
    spot = Room((100, 100), [face, (10, 0, 70, 29)]).beside((40, 10), face, 1)
    assert spot == (20, 81, 60, 91)


def test_a_face_that_fills_the_image_has_its_label_inside_or_none() -> None:
    """The label has a sixth of the face: too much for a tenth, little enough for a fifth."""
    face = (0, 0, 60, 50)
    assert Room((60, 50), [face], 0.1).beside((50, 10), face, 2) is None
    spot = Room((60, 50), [face], 0.2).beside((50, 10), face, 2)
    assert spot is not None
    assert inside(spot, (60, 50))


def test_a_legend_lies_at_the_border_where_no_face_is() -> None:
    """Faces fill the left half; the first free place along the top is taken."""
    assert Room((400, 200), [(0, 0, 200, 200)]).anywhere((100, 80), 4) == (207, 4, 307, 84)
