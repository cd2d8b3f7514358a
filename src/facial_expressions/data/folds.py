"""Divides pictures into parts by their pixels, so that copies of a picture are in one part."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facial_expressions.data.duplicates import picture_digests

__all__ = ["content_folds"]


def content_folds(images: NDArray[np.uint8], n_folds: int) -> NDArray[np.int64]:
    """Return the part of each picture: its digest modulo the number of parts.

    The part depends on the pixels alone, not on order, seed or the other pictures. Parts are of
    about the same size, as thrown dice are.

    Args:
        images: ``uint8 (N, S, S)``.
        n_folds: Number of parts.

    Returns:
        Parts from 0 to ``n_folds - 1``, ``int64 (N,)``.

    Examples:
        >>> folds = content_folds(np.array([7, 1, 7], np.uint8).reshape(3, 1, 1), 5)
        >>> bool(folds[0] == folds[2])
        True
    """
    digests = picture_digests(images)
    return np.array([int(digest, 16) % n_folds for digest in digests.tolist()], np.int64)
