"""Match the rows of a cost matrix with its columns at the least total cost.

The shortest augmenting path method for the assignment problem (Jonker and Volgenant, Computing 38,
1987), in plain Python: an image has few faces, and SciPy is not a dependency.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf


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
    if not costs:
        return []
    # Each row has a further column of its own, at no gain: it stands for no pair.
    gains = [[min(cost - limit, 0.0) for cost in row] + [0.0] * len(costs) for row in costs]
    pairs = enumerate(_solve(gains))
    return [(row, column) for row, column in pairs if gains[row][column] < 0]


def _solve(costs: list[list[float]]) -> list[int]:
    """Return the column of each row; there are at least as many columns as rows."""
    n_columns = len(costs[0])
    row_price = [0.0] * len(costs)
    column_price = [0.0] * (n_columns + 1)
    owner = [-1] * (n_columns + 1)  # row of each column; the last column is a start only
    for row in range(len(costs)):
        owner[n_columns] = row
        _augment(costs, owner, row_price, column_price)
    chosen = [0] * len(costs)
    for column in range(n_columns):
        if owner[column] >= 0:
            chosen[owner[column]] = column
    return chosen


def _augment(
    costs: list[list[float]], owner: list[int], row_price: list[float], column_price: list[float]
) -> None:
    """Give the row that stands in the last place a column, moving others where that is cheaper."""
    n_columns = len(owner) - 1
    distance = [inf] * n_columns
    came_from = [n_columns] * n_columns
    visited = [False] * (n_columns + 1)
    column = n_columns
    while owner[column] >= 0:
        visited[column] = True
        row = owner[column]
        for other in range(n_columns):
            if not visited[other]:
                slack = costs[row][other] - row_price[row] - column_price[other]
                if slack < distance[other]:
                    distance[other], came_from[other] = slack, column
        free = [other for other in range(n_columns) if not visited[other]]
        nearest = min(free, key=lambda other: distance[other])
        step = distance[nearest]
        for other in range(n_columns + 1):
            if visited[other]:
                row_price[owner[other]] += step
                column_price[other] -= step
            elif other < n_columns:
                distance[other] -= step
        column = nearest
    while column != n_columns:
        owner[column] = owner[came_from[column]]
        column = came_from[column]
    owner[n_columns] = -1
