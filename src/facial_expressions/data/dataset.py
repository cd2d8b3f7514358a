"""Data sets as values: splits of grey images with labels, and what a reader found undivided.

Images are ``uint8 (N, 48, 48)``; labels are ids in the data set's label set, ``int64 (N,)``.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from facial_expressions.errors import DatasetError
from facial_expressions.labels import LabelSet

SIDE_PX: Final = 48
"""Side of every image of a data set."""

Images = NDArray[np.uint8]
"""Grey images, ``(N, S, S)``."""

Ints = NDArray[np.int64]
"""Label ids or numbers of rows, ``(N,)``."""

Floats = NDArray[np.float32]
"""Images while they are changed, targets, probabilities."""

PARTS: Final = ("train", "validation", "test")
"""Names of the splits."""

USAGES: Final = {"Training": 28_709, "PublicTest": 3_589, "PrivateTest": 3_589}
"""The competition's three splits and how many images each holds."""

PART_OF_USAGE: Final = {"Training": "train", "PublicTest": "test", "PrivateTest": "test"}
"""The part that the Kaggle layout puts each of the competition's splits in."""

Kind = Literal["competition", "kaggle", "folder"]


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """One part of a data set.

    Attributes:
        name: ``train``, ``validation`` or ``test``.
        images: Grey images, ``uint8 (N, S, S)``.
        labels: Label ids, ``int64 (N,)``.
        usages: For FER-2013 the competition's split of each image: ``Training``, ``PublicTest``
            or ``PrivateTest``; an empty text where it is not known. ``str (N,)``.
        sources: Name of each image: its path in the folder or archive, or ``row 17`` of the file,
            counted from 0 as the names in the FER+ file are.

    Raises:
        ValueError: Lengths or dtypes differ from the above.
    """

    name: str
    images: Images
    labels: Ints
    usages: NDArray[np.str_]
    sources: tuple[str, ...]

    def __post_init__(self) -> None:
        kinds = self.images.ndim, self.images.dtype.name, self.labels.dtype.name
        n, lengths = len(self), {len(self.labels), len(self.usages), len(self.sources)}
        if kinds != (3, "uint8", "int64") or lengths != {n}:
            raise ValueError(
                f"split {self.name!r}: images {self.images.dtype} {self.images.shape}, "
                f"{len(self.labels)} labels {self.labels.dtype}, {len(self.usages)} usages, "
                f"{len(self.sources)} sources instead of uint8 (N, S, S) and int64, one of each "
                "per image"
            )

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: Ints | NDArray[np.bool_], *, name: str | None = None) -> Split:
        """Return the split of the chosen rows, in their order.

        Args:
            rows: Row numbers, or a mask of length N.
            name: Name of the new split; None keeps this one's.
        """
        index = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        sources = tuple(self.sources[i] for i in index)
        columns = self.images[index], self.labels[index], self.usages[index]
        return Split(name or self.name, *columns, sources)

    def relabelled(self, ids: Ints) -> Split:
        """Return the images with other label ids, ``(N,)``, without those whose id is -1."""
        return replace(self.take(ids >= 0), labels=ids[ids >= 0])


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A data set in its splits; an absent split has no rows.

    Attributes:
        name: ``fer2013``, or the name of the folder.
        protocol: How it was divided: ``kaggle``, ``competition`` or ``folder``.
        labels: The label set.
        train: What networks learn from.
        validation: What choices are made on.
        test: What is measured once.
        left_out: One sentence for each thing in the file that is in no split (an image that could
            not be read, a class folder that is not a known expression), or that is read in a way
            worth knowing.
    """

    name: str
    protocol: str
    labels: LabelSet
    train: Split
    validation: Split
    test: Split
    left_out: tuple[str, ...] = ()

    def splits(self) -> Iterator[Split]:
        """Yield train, validation and test."""
        yield from (self.train, self.validation, self.test)

    def digest(self) -> str:
        """Return the SHA-256 of all images and labels in order, as hexadecimal digits.

        The images' places in the file and their names do not enter it.
        """
        sha = hashlib.sha256()
        for split in self.splits():
            sha.update(split.name.encode())
            sha.update(np.ascontiguousarray(split.images).data)
            sha.update(np.ascontiguousarray(split.labels).data)
        return sha.hexdigest()


def joined(splits: Sequence[Split]) -> Split:
    """Put one split or more one after the other, as the split ``all``.

    Args:
        splits: Those without rows may have images of another size.
    """
    filled = [split for split in splits if len(split)] or splits[:1]
    return Split(
        name="all",
        images=np.concatenate([split.images for split in filled]),
        labels=np.concatenate([split.labels for split in filled]),
        usages=np.concatenate([split.usages for split in filled]),
        sources=tuple(source for split in filled for source in split.sources),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """All images of one file or folder, undivided.

    Attributes:
        kind: Which reader made it: ``competition`` and ``kaggle`` are FER-2013.
        name: ``fer2013``, or the name of the folder.
        label_set: What the labels are ids of.
        rows: The images, in file order; sorted by path where there are paths.
        parts: Where the file itself puts each image: ``train``, ``validation``, ``test`` or an
            empty text. ``str (N,)``.
        left_out: One sentence for each thing that could not be used, or that is read in a way worth
            knowing.
    """

    kind: Kind
    name: str
    label_set: LabelSet
    rows: Split
    parts: NDArray[np.str_]
    left_out: tuple[str, ...] = ()


def make_reading(
    kind: Kind,
    name: str,
    label_set: LabelSet,
    *,
    images: Images,
    rows: Sequence[tuple[int, str, str, str]],
    left_out: Sequence[str] = (),
) -> Reading:
    """Put a reading together; ``rows`` has each image's label id, usage, source and part."""
    labels, usages, sources, parts = zip(*rows, strict=True) if rows else ((), (), (), ())
    ids, usage_of = np.array(labels, np.int64), np.array(usages, np.str_)
    split = Split("all", images, ids, usage_of, tuple(sources))
    return Reading(kind, name, label_set, split, np.array(parts, np.str_), tuple(left_out))


def check_fer2013_counts(reading: Reading) -> None:
    """Refuse a reading that does not hold FER-2013's 28,709 training and 7,178 test images.

    Where the usage of each test image is known, 3,589 must be of either kind.

    Raises:
        DatasetError: A count differs; the message holds both, and what could not be read.
    """
    usages = reading.rows.usages
    if np.all(usages != ""):
        expected = USAGES
        found = {usage: int(np.sum(usages == usage)) for usage in USAGES}
    else:
        expected = {"train": USAGES["Training"], "test": 2 * USAGES["PublicTest"]}
        found = {part: int(np.sum(reading.parts == part)) for part in expected}
    if found == expected:
        return
    left_out = f"; left out: {' | '.join(reading.left_out[:3])}" if reading.left_out else ""
    raise DatasetError(
        f"FER-2013: {_counts(found)} images instead of {_counts(expected)}{left_out}. "
        "Get the whole file again, or allow a partial one"
    )


def _counts(counts: dict[str, int]) -> str:
    return " + ".join(f"{count:,} {name}" for name, count in counts.items())


def image_digests(images: Images) -> NDArray[np.bytes_]:
    """Return a digest of each image's pixels, 32 hexadecimal digits, equal for equal pixels."""
    digests = [hashlib.blake2b(i.tobytes(), digest_size=16).hexdigest() for i in images]
    return np.array(digests, "S32")


def leaked_rows(train_images: Images, images: Images) -> NDArray[np.bool_]:
    """Mark the images that have a byte-identical copy in a training set.

    For "no copy in training" on FER-2013 under protocol ``kaggle`` pass train and validation
    together: both come from the competition's training images.

    Returns:
        A mask ``(N,)``, true where the image is in ``train_images`` too.

    Examples:
        >>> images = np.arange(3, dtype=np.uint8).reshape(3, 1, 1)
        >>> leaked_rows(images[:2], images)
        array([ True,  True, False])
    """
    return np.isin(image_digests(images), image_digests(train_images))


def duplicate_groups(images: Images) -> list[Ints]:
    """Group the rows of byte-identical images.

    Returns:
        For each image that is there more than once the rows it is in, ascending; groups in
        order of their first row.

    Examples:
        >>> duplicate_groups(np.array([7, 1, 7, 2], np.uint8).reshape(4, 1, 1))
        [array([0, 2])]
    """
    groups = defaultdict(list)
    for row, digest in enumerate(image_digests(images).tolist()):
        groups[digest].append(row)
    return [np.array(rows) for rows in groups.values() if len(rows) > 1]
