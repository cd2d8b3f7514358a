"""Reading: what a reader found in one file or folder, before a protocol divides it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from facial_expressions.data.dataset import Split
from facial_expressions.errors import DatasetError
from facial_expressions.labels import LabelSet

SIDE_PX: Final = 48
"""Side of every image of a data set."""

USAGES: Final = {"Training": 28_709, "PublicTest": 3_589, "PrivateTest": 3_589}
"""The competition's three splits and how many images each holds."""

PART_OF_USAGE: Final = {"Training": "train", "PublicTest": "test", "PrivateTest": "test"}
"""The part that the Kaggle layout puts each of the competition's splits in."""

Kind = Literal["competition", "kaggle", "folder"]


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
    images: NDArray[np.uint8],
    rows: Sequence[tuple[int, str, str, str]],
    left_out: Sequence[str] = (),
) -> Reading:
    """Put a reading together from its images and one ``(label, usage, source, part)`` for each.

    Args:
        kind: Which reader made it.
        name: Name of the data set.
        label_set: What the labels are ids of.
        images: Grey images, ``uint8 (N, 48, 48)``.
        rows: For each image its label id, usage, source and part.
        left_out: One sentence for each thing that could not be used.
    """
    labels, usages, sources, parts = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Reading(
        kind=kind,
        name=name,
        label_set=label_set,
        rows=Split(
            name="all",
            images=images,
            labels=np.array(labels, np.int64),
            usages=np.array(usages, np.str_),
            sources=tuple(sources),
        ),
        parts=np.array(parts, np.str_),
        left_out=tuple(left_out),
    )


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
        f"FER-2013 needs {_counts(expected)} images; it has {_counts(found)}{left_out}. "
        "Get the whole file again, or allow a partial one"
    )


def _counts(counts: dict[str, int]) -> str:
    return " + ".join(f"{count:,} {name}" for name, count in counts.items())
