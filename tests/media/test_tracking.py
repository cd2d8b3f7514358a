"""Tracks: numbers that stay through movement, crossings and gaps; matching against brute force."""

from __future__ import annotations

import itertools
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facial_expressions.inference.contracts import Detection
from facial_expressions.media.tracking import Tracker, assign
from facial_expressions.results import Box

COSTS = st.one_of(st.integers(0, 12).map(float), st.just(inf))


@st.composite
def matrices(draw: st.DrawFn) -> list[list[float]]:
    n_columns = draw(st.integers(1, 5))
    row = st.lists(COSTS, min_size=n_columns, max_size=n_columns)
    return draw(st.lists(row, min_size=1, max_size=5))


def least_total(costs: list[list[float]], limit: float) -> float:
    """Try every partial matching."""
    columns = range(len(costs[0]))
    choices = itertools.product([None, *columns], repeat=len(costs))
    totals: list[float] = []
    for choice in choices:
        taken = [column for column in choice if column is not None]
        if len(set(taken)) == len(taken):
            pairs = [(row, column) for row, column in enumerate(choice) if column is not None]
            totals.append(sum(costs[row][column] - limit for row, column in pairs))
    return min(totals)


@settings(max_examples=60)
@given(matrices())
def test_assignment_is_the_best_of_all(costs: list[list[float]]) -> None:
    pairs = assign(costs, 10.0)
    rows, columns = [row for row, _ in pairs], [column for _, column in pairs]
    assert len(set(rows)) == len(rows)
    assert len(set(columns)) == len(columns)
    assert all(costs[row][column] < 10 for row, column in pairs)
    total = sum(costs[row][column] - 10 for row, column in pairs)
    assert total == pytest.approx(least_total(costs, 10.0))


def test_assignment_without_rows_or_columns_is_empty() -> None:
    assert assign([], 1.0) == []
    assert assign([[], []], 1.0) == []


def detection(x: float, y: float = 100, side: float = 40) -> Detection:
    half = side / 2
    return Detection(Box(x - half, y - half, x + half, y + half), 0.9, ((x, y),))


def numbers(tracker: Tracker, found: list[Detection], time_s: float) -> list[int]:
    return [number for number, _ in tracker.update(found, time_s=time_s)]


def test_crossing_faces_keep_their_numbers_while_one_hides_the_other() -> None:
    """Left to right at 100 pixels a second and right to left; hidden within 30 pixels."""
    tracker = Tracker()
    seen = []
    for index in range(101):
        time_s = index / 25
        right_going, left_going = 100 + 100 * time_s, 500 - 100 * time_s
        found = [detection(right_going)]
        if abs(right_going - left_going) > 30:
            found.append(detection(left_going))
        seen.append(numbers(tracker, found, time_s))
    assert seen[0] == seen[-1] == [1, 2]
    assert {number for row in seen for number in row} == {1, 2}
    assert all(row[0] == 1 for row in seen)


def test_number_survives_a_gap_shorter_than_the_limit_and_no_longer_one() -> None:
    tracker = Tracker()
    assert numbers(tracker, [detection(100)], 0.0) == [1]
    assert numbers(tracker, [], 0.5) == []
    assert numbers(tracker, [detection(104)], 0.96) == [1]
    assert numbers(tracker, [detection(104)], 2.3) == [2]


@pytest.mark.parametrize(
    ("rate", "every"),
    [(29.97, 30), (23.976, 24), (10, 11), (0.5, 1), (0.1, 1), (25, 100), (30000 / 1001, 60)],
)
@pytest.mark.parametrize("is_known", [True, False])
def test_a_still_face_keeps_its_number_however_sparse_its_detections(
    rate: float, every: int, *, is_known: bool
) -> None:
    tracker = Tracker(interval_s=every / rate if is_known else 0.0)
    for index in range(0, 6 * every, every):  # to thousandths, as many streams have them
        assert numbers(tracker, [detection(100)], round(index / rate, 3)) == [1]


def test_sparse_detections_that_lie_unevenly_or_come_between_keep_the_number() -> None:
    """As where frames come at uneven times, and where a cut had one more searched."""
    tracker = Tracker(interval_s=2.0)
    for time_s in (0.0, 1.5, 4.3, 4.5, 6.0, 8.8):
        assert numbers(tracker, [detection(100)], time_s) == [1]


def test_after_a_hole_in_a_dense_video_faces_have_new_numbers() -> None:
    tracker = Tracker(interval_s=0.04)
    for index in range(10):
        assert numbers(tracker, [detection(100)], index / 25) == [1]
    assert numbers(tracker, [detection(100)], 3.0) == [2]


def test_after_a_cut_faces_have_new_numbers_and_none_is_carried() -> None:
    tracker = Tracker()
    tracker.update([detection(100)], time_s=0.0)
    tracker.end_all()
    assert tracker.numbers == set()
    assert tracker.carry(time_s=0.04, size=(640, 480)) == []
    assert numbers(tracker, [detection(100)], 0.08) == [2]


def test_face_elsewhere_or_of_another_size_is_another_face() -> None:
    tracker = Tracker()
    assert numbers(tracker, [detection(100)], 0.0) == [1]
    assert numbers(tracker, [detection(300)], 0.04) == [2]
    assert numbers(tracker, [detection(300, side=100)], 0.08) == [3]


def test_carried_box_and_landmarks_move_on_with_their_speed() -> None:
    tracker = Tracker()
    for index in range(6):
        tracker.update([detection(100 + 10 * index)], time_s=index * 0.1)
    ((number, carried),) = tracker.carry(time_s=0.6, size=(640, 480))
    assert number == 1
    assert carried.box.center[0] == pytest.approx(160, abs=1)
    assert carried.landmarks[0][0] == pytest.approx(carried.box.center[0])
    assert carried.box.width == pytest.approx(40)


def test_face_that_was_missed_or_has_left_is_not_carried() -> None:
    tracker = Tracker()
    tracker.update([detection(100), detection(300)], time_s=0.0)
    tracker.update([detection(100)], time_s=0.1)
    assert [number for number, _ in tracker.carry(time_s=0.2, size=(640, 480))] == [1]
    assert tracker.carry(time_s=0.2, size=(90, 480)) == []
