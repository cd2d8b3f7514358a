"""Finds, for each JPEG image of FER-2013, the lossless row it was made from.

A row and its JPEG differ by about 2 grey levels RMS at most, two different faces by far more. Means
of 6x6 blocks hardly change under compression, so candidates are found among those 64 numbers and
judged on all pixels. Each row is given away once, the closest pair first; of byte-identical
images with the same label and usage nothing in the files tells which is which, and they are
paired in order.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.data.dataset import Floats, Images, Ints, Split
from facial_expressions.errors import DatasetError

MAX_RMS: Final = 4.0
"""Largest difference, in grey levels RMS, between a row and the JPEG made from it."""

_BLOCK_PX: Final = 6
_N_CANDIDATES: Final = 4
_CHUNK: Final = 1024


def match_rows(images: Split, rows: Split) -> Ints:
    """Match images to lossless rows, one to one.

    Images are compared with rows of the same usage and label first; what is left after that, with
    all rows that are left.

    Args:
        images: N images as decoded from JPEG, or any of them.
        rows: M rows of the competition file.

    Returns:
        For each image the number of its row, ``int64 (N,)``.

    Raises:
        DatasetError: An image is like no row that is left.
    """
    match = np.full(len(images), -1, np.int64)
    of_image, of_row = _classes(images), _classes(rows)

    def match_some(left: Ints, right: Ints) -> None:
        found = match_images(images.images[left], rows.images[right])
        match[left[found >= 0]] = right[found[found >= 0]]

    for key in sorted(set(of_image)):
        match_some(np.flatnonzero(of_image == key), np.flatnonzero(of_row == key))
    match_some(np.flatnonzero(match < 0), np.setdiff1d(np.arange(len(rows)), match))
    if np.any(match < 0):
        first = images.sources[int(np.argmin(match))]
        raise DatasetError(
            f"{first}: not in the competition file, like {np.sum(match < 0) - 1:,} more of "
            f"{len(match):,} images. Give the competition file that they come from"
        )
    return match


def match_images(images: Images, rows: Images) -> Ints:
    """Match images to rows by pixels alone, one to one; their side is a multiple of 6.

    Returns:
        For each image the number of its row, or -1 when none within ``MAX_RMS`` is left.

    Examples:
        >>> rows = np.random.default_rng(0).integers(0, 255, (3, 48, 48)).astype(np.uint8)
        >>> match_images(rows[[2, 0]] + np.uint8(1), rows)
        array([2, 0])
    """
    match = np.full(len(images), -1, np.int64)
    left, right = np.arange(len(images)), np.arange(len(rows))
    while len(left) and len(right):
        chosen = _closest_first(*_close_pairs(images[left], rows[right]))
        if not chosen:
            break
        for image, row in chosen:
            match[left[image]] = right[row]
        left, right = np.flatnonzero(match < 0), np.setdiff1d(right, match)
    return match


def _classes(split: Split) -> NDArray[np.str_]:
    return np.char.add(np.char.add(split.usages, " "), split.labels.astype(np.str_))


def _block_means(images: Images) -> Floats:
    n, side = images.shape[:2]
    blocks = images.reshape(n, side // _BLOCK_PX, _BLOCK_PX, side // _BLOCK_PX, _BLOCK_PX)
    means: Floats = blocks.mean(axis=(2, 4), dtype=np.float32)
    return means.reshape(n, -1)


def _close_pairs(images: Images, rows: Images) -> tuple[Ints, Ints, Floats]:
    """Return all pairs of image and candidate row within ``MAX_RMS``, and their RMS."""
    row_means = _block_means(rows)
    row_norms = np.square(row_means).sum(axis=1)
    found: list[tuple[Ints, Ints, Floats]] = []
    k = min(_N_CANDIDATES, len(rows))
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK]
        distances = row_norms - 2 * (_block_means(chunk) @ row_means.T)
        near = np.argpartition(distances, k - 1, axis=1)[:, :k]  # (chunk, k)
        difference = chunk[:, None].astype(np.float32) - rows[near]
        rms = np.sqrt(np.square(difference).mean(axis=(2, 3)))
        i, j = np.nonzero(rms <= MAX_RMS)
        found.append((i + start, near[i, j], rms[i, j]))
    image, row, rms = (np.concatenate(part) for part in zip(*found, strict=True))
    return image, row, rms


def _closest_first(image: Ints, row: Ints, rms: Floats) -> list[tuple[int, int]]:
    """Give each image and each row away once, in order of RMS, then of place."""
    chosen: dict[int, int] = {}
    taken: set[int] = set()
    for k in np.lexsort((row, image, rms)):
        i, j = int(image[k]), int(row[k])
        if i not in chosen and j not in taken:
            chosen[i] = j
            taken.add(j)
    return list(chosen.items())
