"""Match the rows of a cost matrix with its columns at the least total cost.

The shortest augmenting path method for the assignment problem (Jonker and Volgenant, Computing 38,
1987): SciPy, which has it too, is no dependency of videos.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def assign(costs: Sequence[Sequence[float]], limit: float) -> list[tuple[int, int]]:
    """Choose pairs of a row and a column so that the sum of ``cost - limit`` is smallest.

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
