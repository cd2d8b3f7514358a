"""Protocols: how a reading is divided into train, validation and test.

``competition``: Training 28,709, PublicTest 3,589, PrivateTest 3,589. ``kaggle``, the original: the
28,709 training images less a seeded fifth of each class, which leaves 22,968 and 5,741, and all
7,178 test images. The fifth is rounded down class by class, as Keras' ``ImageDataGenerator``
does: that is what gives 5,741 (a fifth of all, rounded up as scikit-learn does, would be 5,742).
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from facial_expressions.data.dataset import Dataset, Reading
from facial_expressions.errors import DatasetError

Protocol = Literal["competition", "kaggle", "folder"]

PROTOCOLS: Final = ("competition", "kaggle", "folder")
"""The names of all protocols."""

_HOLDOUT_PARTS: Final = 5


def divide(reading: Reading, protocol: Protocol, *, seed: int) -> Dataset:
    """Divide a reading into splits.

    Args:
        reading: What a reader found.
        protocol: ``competition``, ``kaggle``, or ``folder``: as the folders say, with a fifth of
            train set aside where there is no validation folder; images below none of them are
            test.
        seed: Which images of train become validation, for ``kaggle`` and ``folder``.

    Raises:
        DatasetError: The protocol needs to know of each image what the file does not say.
    """
    train, validation, test = _masks(reading, protocol, seed)
    return Dataset(
        name=reading.name,
        protocol=protocol,
        labels=reading.label_set,
        train=reading.rows.take(train, name="train"),
        validation=reading.rows.take(validation, name="validation"),
        test=reading.rows.take(test, name="test"),
        left_out=reading.left_out,
    )


def stratified_holdout(labels: NDArray[np.int64], *, seed: int) -> NDArray[np.bool_]:
    """Choose a random fifth of each class, rounded down.

    Args:
        labels: Label ids ``(N,)``.
        seed: The same seed chooses the same rows.

    Returns:
        A mask ``(N,)`` of the chosen rows.

    Examples:
        >>> stratified_holdout(np.array([0] * 10 + [1] * 9), seed=0).sum()
        np.int64(3)
    """
    mask = np.zeros(len(labels), np.bool_)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        rng = np.random.default_rng([seed, int(label)])
        mask[rng.permutation(rows)[: len(rows) // _HOLDOUT_PARTS]] = True
    return mask


def _masks(
    reading: Reading, protocol: Protocol, seed: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which rows are train, validation and test."""
    usages, parts = reading.rows.usages, reading.parts
    if protocol == "competition":
        if reading.kind == "folder" or np.any(usages == ""):
            raise DatasetError(
                f"protocol 'competition': the names of {np.sum(usages == ''):,} test images do "
                "not say whether they are PublicTest. Use protocol 'kaggle' for FER-2013 with "
                "plain file names, 'folder' for other data"
            )
        return usages == "Training", usages == "PublicTest", usages == "PrivateTest"
    test = parts == "test"
    if protocol == "folder":
        test |= parts == ""
        if np.any(parts == "validation"):
            return parts == "train", parts == "validation", test
    elif reading.kind == "folder":
        raise DatasetError(
            f"protocol 'kaggle': for FER-2013 only, not for {reading.name}. Use protocol 'folder'"
        )
    rows = np.flatnonzero(~test)
    validation = np.zeros(len(test), np.bool_)
    validation[rows[stratified_holdout(reading.rows.labels[rows], seed=seed)]] = True
    return ~test & ~validation, validation, test
