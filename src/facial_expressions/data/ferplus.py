"""FER+: ten people's votes on every image of FER-2013, as soft labels or as strict majorities.

``fer2013new.csv`` holds one row of votes for each row of the competition file, in its order.
Images of the competition file find theirs by row number, JPEG images of the Kaggle layout by
pixels, through the competition file. A row and its JPEG differ by about 2 grey
levels RMS at most, two different faces by far more. Means of 6x6 blocks differ no more than the
pixels do, so pairs are looked for among those 64 numbers and judged on all pixels.

The strict majority is that of the official protocol: votes given by one person only are dropped; an
image counts when more than half of what remains is for one class, and that class is one of the
eight expressions (not "unknown" or "not a face"). That keeps 25,060 / 3,199 / 3,153 images of
Training / PublicTest / PrivateTest.

Reference: Barsoum et al. 2016, "Training deep networks for facial expression recognition with
crowd-sourced label distribution", arXiv:1608.01041.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.data.archives import bad_row, read_table
from facial_expressions.data.dataset import Dataset, Floats, Images, Ints, Split, joined
from facial_expressions.data.load import load_reading
from facial_expressions.errors import DatasetError
from facial_expressions.labels import FERPLUS_COLUMNS, LabelSet
from facial_expressions.plain_text import shown

Counts = NDArray[np.uint8]
"""Votes on some images, in the order of ``labels.FERPLUS_COLUMNS``, ``(N, 10)``."""

Votes = Mapping[str, Counts]
"""For each split the votes on its images, as ``ferplus_votes`` returns them."""

_HINT: Final = "Give fer2013new.csv of github.com/microsoft/FERPlus"
_COLUMNS: Final = (
    "usage", "neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt",
    "unknown", "nf",
)  # fmt: skip
"""The file's own names for its split and for ``labels.FERPLUS_COLUMNS``, in lower case."""

_MAX_VOTES: Final = 100

MAX_RMS: Final = 4.0
"""Largest difference, in grey levels RMS, between a row and the JPEG made from it."""

_BLOCK_PX: Final = 6
_CHUNK: Final = 1024


def read_ferplus(path: Path) -> tuple[Counts, NDArray[np.str_]]:
    """Read a FER+ file; its columns may stand in any order.

    Args:
        path: ``fer2013new.csv``, or a zip or tar archive that holds it.

    Returns:
        Votes, ``uint8 (N, 10)``, and the competition's split of each row, ``str (N,)``.

    Raises:
        DatasetError: The file is missing or empty, lacks a column, or a row has another number of
            columns or a vote that is not a whole number of 0 to 100. The message names the line.
    """
    if not path.is_file():
        raise DatasetError(f"{shown(path)}: file not found. {_HINT}")
    votes, usages = [], []
    table = read_table(path, _COLUMNS, what="the FER+ file", hint=_HINT)
    for row, (usage, *cells) in enumerate(table):
        if not all(cell.isdigit() and int(cell) <= _MAX_VOTES for cell in cells):
            words = b", ".join(cells)[:120].decode("utf-8", "replace")
            raise bad_row(path, row, f"votes that are whole numbers of 0 to {_MAX_VOTES}", words)
        votes.append([*map(int, cells)])
        usages.append(usage.decode("utf-8", "replace"))
    return np.array(votes, np.uint8).reshape(-1, len(FERPLUS_COLUMNS)), np.array(usages, np.str_)


def vote_shares(votes: Counts, labels: LabelSet) -> Floats:
    """Turn votes into distributions over the expressions of a label set.

    Args:
        votes: ``uint8 (N, 10)``, in the order of ``labels.FERPLUS_COLUMNS``.
        labels: ``FERPLUS`` with its eight expressions, or ``PEOPLE`` with FER-2013's seven.

    Returns:
        Votes for each expression divided by the votes for all of them, ``float32 (N, K)``. A row
        nobody gave any of them to is all zeros, which leaves it without weight in a cross-entropy.

    Examples:
        >>> from facial_expressions.labels import FERPLUS, PEOPLE
        >>> votes = np.array([[3, 0, 0, 1, 0, 0, 0, 4, 2, 0], [0, 0, 0, 0, 0, 0, 0, 9, 1, 0]])
        >>> vote_shares(votes.astype(np.uint8), PEOPLE)[:, 3:6].tolist()  # happy, neutral, sad
        [[0.0, 0.75, 0.25], [0.0, 0.0, 0.0]]
        >>> vote_shares(votes.astype(np.uint8), FERPLUS)[:, 1].tolist()  # contempt
        [0.5, 1.0]
    """
    counts = votes[:, [FERPLUS_COLUMNS.index(name) for name in labels]].astype(np.float32)
    totals: Floats = np.maximum(counts.sum(axis=1, keepdims=True), np.float32(1))
    return counts / totals


def labels_from_votes(shares: Floats, targets: Floats) -> Floats:
    """Return what votes say about the labels that other people once gave to the same images.

    A label is one draw from what people see in an image, ten votes are ten, of other people with
    other classes. The best linear map from votes to labels, by least squares over all images,
    translates: what everybody calls neutral is often labelled sad. Negative shares become 0.

    Args:
        shares: Votes, as ``vote_shares`` returns them, ``float32 (N, 8)``.
        targets: The labels, a distribution for each image, ``float32 (N, K)``.

    Returns:
        A distribution over the labels for each image, ``float32 (N, K)``; the image's own
        target where nobody voted, or where the map has no positive share.

    Examples:
        >>> shares = np.eye(8, dtype=np.float32)[[5, 5, 5, 3]]
        >>> targets = np.eye(2, dtype=np.float32)[[0, 0, 1, 1]]
        >>> labels_from_votes(shares, targets).round(2)[[0, 3]].tolist()
        [[0.6700000166893005, 0.33000001311302185], [0.0, 1.0]]
    """
    voted = shares.sum(axis=1) > 0
    solution, *_ = np.linalg.lstsq(
        shares[voted].astype(np.float64), targets[voted].astype(np.float64), rcond=None
    )
    said = np.maximum(shares @ solution, 0)
    totals = said.sum(axis=1, keepdims=True)
    known = voted[:, None] & (totals > 0)
    return np.where(known, said / np.where(known, totals, 1), targets).astype(np.float32)


def strict_majority(votes: Counts, labels: LabelSet) -> Ints:
    """Return the label of the official protocol, or -1 where an image does not count.

    Args:
        votes: ``uint8 (N, 10)``, in the order of ``labels.FERPLUS_COLUMNS``.
        labels: ``FERPLUS``; or ``PEOPLE``, which has no contempt: such a majority does not count.

    Returns:
        Ids in the label set, ``int64 (N,)``.

    Examples:
        >>> from facial_expressions.labels import FERPLUS, PEOPLE
        >>> votes = np.array([[4, 0, 0, 1, 3, 2, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0, 9, 0, 0]])
        >>> strict_majority(votes.astype(np.uint8), FERPLUS)  # 4 of 9, then 9 of 9 for contempt
        array([-1,  1])
        >>> strict_majority(votes.astype(np.uint8), PEOPLE)
        array([-1, -1])
    """
    kept = np.where(votes > 1, votes, 0).astype(np.int64)
    top = kept.argmax(axis=1)
    wins = kept.max(axis=1, initial=0) * 2 > kept.sum(axis=1)
    ids = [labels.names.index(name) if name in labels.names else -1 for name in FERPLUS_COLUMNS]
    return np.where(wins, np.array(ids, np.int64)[top], -1)


def ferplus_votes(
    dataset: Dataset, path: str | Path, *, competition: str | Path | None = None
) -> dict[str, Counts]:
    """Return the votes on every image of FER-2013, split by split.

    Args:
        dataset: FER-2013, read from either layout, under any protocol.
        path: ``fer2013new.csv``.
        competition: The competition file; needed for the Kaggle layout only.

    Returns:
        For ``train``, ``validation`` and ``test`` the votes on its rows, ``uint8 (N, 10)``.

    Raises:
        DatasetError: The FER+ file has another number of rows than the competition file or puts a
            row into another split, the data set is not FER-2013, the competition file is needed and
            not given, or an image is in none of its rows.

    Examples:
        >>> votes = ferplus_votes(dataset, "fer2013new.csv")  # doctest: +SKIP
        >>> vote_shares(votes["train"], FERPLUS).shape  # doctest: +SKIP
        (28709, 8)
    """
    path = Path(path)
    votes, usages_there = read_ferplus(path)
    if dataset.name != "fer2013":
        raise DatasetError(
            f"data set {dataset.name!r}: FER+ votes exist for FER-2013 only. Give FER-2013, or "
            "leave out the votes"
        )
    everything = joined(tuple(dataset.splits()))
    if all(source.startswith("row ") for source in everything.sources):
        rows = np.array([int(source[4:]) for source in everything.sources], np.int64)
        usages = np.zeros(rows.max(initial=-1) + 1, everything.usages.dtype)
        usages[rows] = everything.usages
        _check_order(usages_there, usages, path.name)
    elif competition is None:
        raise DatasetError(
            "FER+ votes: they go with the rows of the competition file, not with the Kaggle "
            "layout. Give the competition file (fer2013.csv or fer2013.tar.gz) as well"
        )
    else:
        reference = load_reading(Path(competition)).rows
        _check_order(usages_there, reference.usages, path.name)
        order = np.argsort(everything.sources, kind="stable")  # so that protocols agree
        rows = np.empty_like(order)
        rows[order] = _match_rows(everything.take(order), reference)
    ends = np.cumsum([len(split) for split in dataset.splits()])[:-1]
    parts = np.split(votes[rows], ends)
    return {split.name: part for split, part in zip(dataset.splits(), parts, strict=True)}


def relabelled(dataset: Dataset, votes: Votes, labels: LabelSet) -> Dataset:
    """Relabel FER-2013 by the strict majority of FER+ and drop the images without one.

    Args:
        dataset: FER-2013.
        votes: What ``ferplus_votes`` returned for it.
        labels: ``FERPLUS`` or ``PEOPLE``.

    Returns:
        The data set with the name and the expressions of the label set.
    """
    train, validation, test = (
        split.relabelled(strict_majority(votes[split.name], labels)) for split in dataset.splits()
    )
    return replace(
        dataset, name=labels.name, labels=labels, train=train, validation=validation, test=test
    )


def _check_order(found: NDArray[np.str_], usages: NDArray[np.str_], name: str) -> None:
    """Refuse a file whose usages are not row for row those of the competition file."""
    if len(found) != len(usages):
        raise DatasetError(
            f"{name}: {len(found):,} rows instead of {len(usages):,}, one for each row of the "
            f"competition file. {_HINT}, whole"
        )
    differs = (found != usages) & (usages != "")
    if np.any(differs):
        row = int(np.argmax(differs))
        raise DatasetError(
            f"{name}: not in the order of the competition file: row {row} says "
            f"{str(found[row])!r}, there it is {str(usages[row])!r}. {_HINT}"
        )


def _match_rows(images: Split, rows: Split) -> Ints:
    """Match JPEG images to lossless rows, one to one; return the number of each image's row.

    Images are compared with rows of the same usage and label first; what is left after that, with
    all rows that are left. Each row is given away once, the closest pair first; of byte-identical
    images nothing in the files tells which is which, and they are paired in order.
    """
    match = np.full(len(images), -1, np.int64)
    of_image, of_row = _classes(images), _classes(rows)

    def match_some(left: Ints, right: Ints) -> None:
        for i, j in _close_pairs(images.images[left], rows.images[right]):
            if match[left[i]] < 0 and right[j] not in match:
                match[left[i]] = right[j]

    for key in set(of_image):
        match_some(np.flatnonzero(of_image == key), np.flatnonzero(of_row == key))
    match_some(np.flatnonzero(match < 0), np.setdiff1d(np.arange(len(rows)), match))
    if np.any(match < 0):
        first = images.sources[int(np.argmin(match))]
        raise DatasetError(
            f"{first}: not in the competition file, like {np.sum(match < 0) - 1:,} more of "
            f"{len(match):,} images. Give the competition file that they come from"
        )
    return match


def _classes(split: Split) -> NDArray[np.str_]:
    return np.char.add(np.char.add(split.usages, " "), split.labels.astype(np.str_))


def _block_means(images: Images) -> Floats:
    n, side = len(images), images.shape[1] // _BLOCK_PX
    blocks = images.reshape(n, side, _BLOCK_PX, side, _BLOCK_PX)
    return np.asarray(blocks.mean(axis=(2, 4), dtype=np.float32)).reshape(n, side * side)


def _close_pairs(images: Images, rows: Images) -> list[tuple[int, int]]:
    """Return all pairs of image and row within ``MAX_RMS``, the closest first."""
    means = _block_means(rows)
    norms = np.square(means).sum(axis=1)
    found: list[tuple[float, int, int]] = []
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK]
        own = _block_means(chunk)
        distances = np.square(own).sum(axis=1)[:, None] + norms - 2 * (own @ means.T)
        i, j = np.nonzero(distances <= (MAX_RMS**2 + 1) * means.shape[1])
        rms = np.sqrt(np.square(chunk[i].astype(np.float32) - rows[j]).mean(axis=(1, 2)))
        found += zip(rms.tolist(), (i + start).tolist(), j.tolist(), strict=True)
    return [(i, j) for rms, i, j in sorted(found) if rms <= MAX_RMS]
