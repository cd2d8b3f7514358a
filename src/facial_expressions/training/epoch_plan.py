"""Which pictures an epoch shows, in which order, and how often: derived from seed and epoch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["EpochPlan", "plan_epoch"]


@dataclass(frozen=True, slots=True, eq=False)
class EpochPlan:
    """The pictures of an epoch, in order.

    Attributes:
        rows: Row number of each picture shown, ``int64 (N,)``.
        times: How often that row was shown earlier in the epoch, ``int64 (N,)``.
    """

    rows: NDArray[np.int64]
    times: NDArray[np.int64]

    def step(
        self, step: int, *, batch_size: int, views: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the row and the view's number of every input of one step.

        Views of one row have different numbers throughout the epoch. All pictures come in their
        first view, then all in their second, and so on.

        Args:
            step: Step in the epoch, from 0.
            batch_size: Pictures a step.
            views: Views of each picture in a step.
        """
        part = slice(step * batch_size, (step + 1) * batch_size)
        rows = np.tile(self.rows[part], views)
        numbers = self.times[part] * views + np.arange(views)[:, None]
        return rows, numbers.ravel()


def plan_epoch(
    labels: NDArray[np.int64], *, seed: int, epoch: int, balance: float = 0.0
) -> EpochPlan:
    """Choose and order the pictures of one epoch.

    Args:
        labels: Label ids of the training pictures, ``(N,)``.
        seed: Seed of the run.
        epoch: Epoch, from 0.
        balance: As ``data.balance`` in a recipe; 0 shows every picture once.

    Returns:
        N pictures.

    Examples:
        >>> labels = np.array([0] * 9 + [1])
        >>> np.bincount(labels[plan_epoch(labels, seed=1, epoch=0, balance=1.0).rows])
        array([5, 5])
    """
    n = len(labels)
    if balance == 0:
        rows = np.random.default_rng([seed, epoch, 0]).permutation(n)
        return EpochPlan(rows=rows, times=np.zeros(n, np.int64))
    rng = np.random.default_rng([seed, epoch, 6])
    rows = rng.permutation(_balanced_rows(labels, balance, rng))
    return EpochPlan(rows=rows, times=_times_before(rows))


def _balanced_rows(
    labels: NDArray[np.int64], balance: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw N rows by systematic sampling: no row differs by 1 or more from its expected number."""
    n = len(labels)
    weights = np.bincount(labels)[labels] ** -balance
    order = rng.permutation(n)
    ends = np.cumsum(weights[order]) * (n / weights.sum())
    ends[-1] = n  # exactly, so that N rows are drawn
    marks = np.floor(np.concatenate([[0.0], ends]) + rng.random()).astype(np.int64)
    return np.repeat(order, np.diff(marks))


def _times_before(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each place how often its row stands before it."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    firsts = np.searchsorted(ordered, ordered, side="left")
    times = np.empty(len(rows), np.int64)
    times[order] = np.arange(len(rows)) - firsts
    return times
