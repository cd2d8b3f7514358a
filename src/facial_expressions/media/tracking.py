"""Follow faces from frame to frame: each keeps its number, through crossings and short gaps.

A track foresees where its face will be by the speed of the box's middle; new detections are matched
with what the tracks foresee, all at once and at the least total cost (see ``assign``). The cost
of a pair is the distance of the middles in units of the face's size, plus what the boxes do not
share, plus the logarithm of the ratio of their sizes. A track that finds no detection is kept for a
while, its speed dying away; so a face that is hidden behind another one comes back under its own
number. Nothing looks at who a person is: a face that leaves for longer gets a new number, and so
does every face after a cut.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, hypot, inf, isfinite, log, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.inference.contracts import Detection
from facial_expressions.results import Box, Point

_REACH: Final = 1.0
"""A detection may lie this many face sizes from where it was foreseen, and for each second ..."""
_REACH_PER_SECOND: Final = 1.0
"""... since the face was last seen, this many more, ..."""
_LONGEST_REACH: Final = 2.0
"""... up to so many."""
_LARGEST_RATIO: Final = 2.0
"""A face's size may change by this factor between two sightings."""
_LIMIT: Final = _LONGEST_REACH + 1 + log(_LARGEST_RATIO) + 0.1
"""More than any possible pair costs: as many as possible are matched."""

_LONGEST_GAP_S: Final = 1.0
"""A face that was not seen for longer than this, or than the interval of the detector, gets a new
number; half an interval more is allowed, as frames are seldom at round times."""
_N_INTERVALS: Final = 3
"""The detector's interval is the longest of so many and of the one that is meant."""

_SPEED_MEMORY_S: Final = 0.15
_SPEED_DECAY_S: Final = 1.0


@dataclass(slots=True)
class _Track:
    """One face: its last sighting, when that was, and its speed in pixels a second."""

    number: int
    detection: Detection
    time_s: float
    speed: Point = (0.0, 0.0)
    n_sightings: int = 1

    def foresee(self, time_s: float) -> Detection:
        """Return the last sighting, moved on to a later time."""
        moving_s = _SPEED_DECAY_S * (1 - exp(-(time_s - self.time_s) / _SPEED_DECAY_S))
        return _moved(self.detection, self.speed[0] * moving_s, self.speed[1] * moving_s)

    def see(self, detection: Detection, time_s: float) -> None:
        """Take a new sighting."""
        passed_s = time_s - self.time_s
        if passed_s > 0:
            (x, y), (old_x, old_y) = detection.box.center, self.detection.box.center
            weight = max(1 - exp(-passed_s / _SPEED_MEMORY_S), 1 / self.n_sightings)
            self.speed = (
                self.speed[0] + weight * ((x - old_x) / passed_s - self.speed[0]),
                self.speed[1] + weight * ((y - old_y) / passed_s - self.speed[1]),
            )
        self.detection, self.time_s = detection, time_s
        self.n_sightings += 1


class Tracker:
    """Gives detections numbers that stay with the face.

    Args:
        interval_s: Seconds from detection to detection, as far as they are known; longer ones are
            noticed.

    Examples:
        >>> tracker = Tracker()
        >>> tracker.update([Detection(Box(0, 0, 10, 10), 0.9)], time_s=0.0)[0][0]
        1
        >>> tracker.update([Detection(Box(2, 0, 12, 10), 0.9)], time_s=0.1)[0][0]
        1
    """

    def __init__(self, *, interval_s: float = 0.0) -> None:
        self._interval_s = interval_s
        self._intervals_s: deque[float] = deque(maxlen=_N_INTERVALS)
        self._tracks: list[_Track] = []
        self._n_given = 0
        self._last_time_s = -inf

    @property
    def numbers(self) -> set[int]:
        """Numbers of the tracks that a coming detection may still continue."""
        return {track.number for track in self._tracks}

    def update(
        self, detections: Sequence[Detection], *, time_s: float
    ) -> list[tuple[int, Detection]]:
        """Take what the detector found in the next frame; return each with its track's number."""
        oldest_s = time_s - self._longest_gap_s(time_s)
        self._tracks = [track for track in self._tracks if track.time_s >= oldest_s]
        if isfinite(self._last_time_s):
            self._intervals_s.append(time_s - self._last_time_s)
        costs = [[_cost(track, found, time_s) for found in detections] for track in self._tracks]
        numbers = {}
        for row, column in assign(costs, _LIMIT):
            self._tracks[row].see(detections[column], time_s)
            numbers[column] = self._tracks[row].number
        for column, found in enumerate(detections):
            if column not in numbers:
                self._n_given += 1
                numbers[column] = self._n_given
                self._tracks.append(_Track(self._n_given, found, time_s))
        self._last_time_s = time_s
        return [(numbers[column], found) for column, found in enumerate(detections)]

    def expect(self, *, time_s: float) -> tuple[list[Detection], list[Detection]]:
        """Say where faces should be now: those of the last ``update``, and earlier ones.

        The second are those that were seen before it and may come back.
        """
        expected: tuple[list[Detection], list[Detection]] = ([], [])
        for track in self._tracks:
            if time_s - track.time_s <= self._longest_gap_s(time_s):
                expected[track.time_s < self._last_time_s].append(track.foresee(time_s))
        return expected

    def end_all(self) -> None:
        """End every track, as at a cut: what is seen from now on gets new numbers."""
        self._tracks = []

    def carry(self, *, time_s: float, size: tuple[int, int]) -> list[tuple[int, Detection]]:
        """Say where the faces of the last ``update`` are now, without a detector.

        Returns:
            The faces whose middle is still in the frame, of this width and height, from left to
            right, with their numbers.
        """
        seen = [track for track in self._tracks if track.time_s == self._last_time_s]
        carried = [(track.number, track.foresee(time_s)) for track in seen]
        inside = [one for one in carried if is_inside(one[1].box, size)]
        return sorted(inside, key=lambda one: (one[1].box.left, one[1].box.top))

    def _longest_gap_s(self, time_s: float) -> float:
        """Return for how long a face may have been away at a time."""
        usual_s = max(self._interval_s, *(self._intervals_s or [time_s - self._last_time_s]))
        return max(_LONGEST_GAP_S, usual_s) + usual_s / 2


def _cost(track: _Track, found: Detection, time_s: float) -> float:
    """Return what it costs to continue a track with a detection; infinite where it cannot be."""
    box, other = track.foresee(time_s).box, found.box
    side, other_side = sqrt(box.area), sqrt(other.area)
    distance = hypot(box.center[0] - other.center[0], box.center[1] - other.center[1])
    distance /= (side + other_side) / 2
    reach = min(_REACH + _REACH_PER_SECOND * (time_s - track.time_s), _LONGEST_REACH)
    ratio = abs(log(side / other_side))
    if distance > reach or ratio > log(_LARGEST_RATIO):
        return inf
    return distance + 1 - shared(box, other) + ratio


def shared(one: Box, other: Box) -> float:
    """Return the intersection over the union of two boxes, 0 to 1."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    both = max(width, 0.0) * max(height, 0.0)
    return both / (one.area + other.area - both)


def _moved(detection: Detection, x: float, y: float) -> Detection:
    box = detection.box
    return replace(
        detection,
        box=Box(box.left + x, box.top + y, box.right + x, box.bottom + y),
        landmarks=tuple((point_x + x, point_y + y) for point_x, point_y in detection.landmarks),
    )


def is_inside(box: Box, size: tuple[int, int]) -> bool:
    """Say whether the middle of a box lies in a frame of this width and height."""
    x, y = box.center
    return 0 <= x < size[0] and 0 <= y < size[1]


def assign(costs: Sequence[Sequence[float]], limit: float) -> list[tuple[int, int]]:
    """Choose pairs of a row and a column so that the sum of ``cost - limit`` is smallest.

    By shortest augmenting paths (Jonker and Volgenant, Computing 38, 1987): SciPy, which has that
    too, is no dependency of videos.

    Args:
        costs: One row of costs per row, all of the same length; ``inf`` where a pair is impossible.
        limit: A pair that costs this much or more is never chosen.

    Returns:
        The pairs ``(row, column)`` in order of rows; each row and column at most once.

    Examples:
        >>> assign([[1.0, 2.0], [0.5, 9.0]], limit=3.0)
        [(0, 1), (1, 0)]
    """
    n = len(costs)
    if not n or not len(costs[0]):
        return []
    # Each row has a further column of its own, at no gain: it stands for no pair.
    gains = np.hstack([np.minimum(np.array(costs) - limit, 0.0), np.zeros((n, n))])
    return [(row, column) for row, column in enumerate(_solve(gains)) if gains[row, column] < 0]


def _solve(costs: NDArray[np.float64]) -> list[int]:
    """Return the column of each row; there are at least as many columns as rows."""
    n_rows, start = costs.shape
    row_price, column_price = np.zeros(n_rows), np.zeros(start + 1)
    owner = np.full(start + 1, -1)  # row of each column; the last column is a start only
    for row in range(n_rows):
        owner[start], column = row, start
        distance, came_from = np.full(start + 1, np.inf), np.full(start + 1, start)
        visited = np.zeros(start + 1, bool)
        while owner[column] >= 0:
            visited[column] = True
            slack = costs[owner[column]] - row_price[owner[column]] - column_price[:start]
            is_closer = np.append(~visited[:start] & (slack < distance[:start]), False)
            distance[is_closer], came_from[is_closer] = slack[is_closer[:start]], column
            column = int(np.where(visited, np.inf, distance).argmin())
            step = distance[column]
            row_price[owner[visited]] += step
            column_price[visited] -= step
            distance[~visited] -= step
        while column != start:  # others move where that is cheaper
            owner[column], column = owner[came_from[column]], int(came_from[column])
        owner[start] = -1
    return [int(np.flatnonzero(owner == row)[0]) for row in range(n_rows)]
