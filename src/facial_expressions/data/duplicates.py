"""Finds byte-identical images, inside one set and between two."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def image_digests(images: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    """Return a 16-byte digest of each image's pixels; equal digests mean equal pixels.

    Args:
        images: ``uint8 (N, S, S)``.

    Returns:
        ``bytes (N,)``, 16 bytes each as 32 hexadecimal digits.
    """
    return np.array(
        [hashlib.blake2b(i.tobytes(), digest_size=16).hexdigest() for i in images],
        dtype="S32",
    )


def leaked_rows(train_images: NDArray[np.uint8], images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mark the images that have a byte-identical copy in a training set.

    For "no copy in training" on FER-2013 under protocol ``kaggle`` pass train and validation
    together: both come from the competition's training images.

    Args:
        train_images: ``uint8 (M, S, S)``.
        images: ``uint8 (N, S, S)``.

    Returns:
        A mask ``(N,)``, true where the image is in ``train_images`` too.

    Examples:
        >>> images = np.arange(3, dtype=np.uint8).reshape(3, 1, 1)
        >>> leaked_rows(images[:2], images)
        array([ True,  True, False])
    """
    return np.isin(image_digests(images), image_digests(train_images))


def duplicate_groups(images: NDArray[np.uint8]) -> list[NDArray[np.int64]]:
    """Group the rows of byte-identical images.

    Args:
        images: ``uint8 (N, S, S)``.

    Returns:
        For each image that is there more than once the rows it is in, ascending; groups in
        order of their first row.

    Examples:
        >>> duplicate_groups(np.array([7, 1, 7, 2], np.uint8).reshape(4, 1, 1))
        [array([0, 2])]
    """
    if len(images) == 0:
        return []
    digests = image_digests(images)
    order = np.argsort(digests, kind="stable")
    starts = np.flatnonzero(digests[order][1:] != digests[order][:-1]) + 1
    groups = [group for group in np.split(order, starts) if len(group) > 1]
    return sorted(groups, key=lambda group: int(group[0]))
