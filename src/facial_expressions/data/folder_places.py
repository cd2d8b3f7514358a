"""Tells from the folders above an image to which part and class of a data set it belongs.

The nearest folder named train, validation or test above the class folder says the part, at any
depth. What cannot be told for certain stops: an image that is measured in the wrong part makes a
figure that is wrong and looks right.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from facial_expressions.errors import DatasetError
from facial_expressions.labels import canonical_label
from facial_expressions.plain_text import few, shown

PARTS: Final = ("train", "validation", "test")

_PART_OF_NAME: Final = {
    "train": "train", "training": "train", "validation": "validation", "valid": "validation",
    "val": "validation", "test": "test", "testing": "test",
}  # fmt: skip
_LIKE_PARTS: Final = {"trainset", "testset", "valset", "dev", "eval", "evaluation", "holdout"}
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image lies.

    Attributes:
        source: Path of the file, parted by ``/``.
        part: ``train``, ``validation``, ``test``, or an empty text where no folder says it.
        part_folder: Path of the folder that says the part; empty without one.
        above: Path of the folder that the class folder lies in; empty at the top.
        folder: Name of the class folder; empty for a file that lies in none.
        below: Folders between the class folder and the file.
    """

    source: str
    part: str
    part_folder: str
    above: str
    folder: str
    below: tuple[str, ...]

    @property
    def class_path(self) -> str:
        """Path of the class folder, or ``.`` for a file that lies in none."""
        return "/".join(filter(None, (self.above, self.folder))) or "."


def part_of(folder: str) -> str:
    """Return the part that a folder of this name stands for; an empty text for any other name."""
    return _PART_OF_NAME.get(folder.lower(), "")


def place_of(source: str) -> Place:
    """Return where an image lies, by its path alone.

    Below the nearest part folder the class folder is the deepest one named after an expression, or
    else the first one; where there is no part folder, the deepest, or else the last one.

    Args:
        source: Path of the file below the data set's folder, parted by ``/``.

    Examples:
        >>> place = place_of("fer2013/versions/1/train/happy/7.jpg")
        >>> place.part, place.part_folder, place.folder
        ('train', 'fer2013/versions/1/train', 'happy')
    """
    folders = source.split("/")[:-1]
    if folders and part_of(folders[-1]) and not any(map(canonical_label, folders)):
        return Place(source, part_of(folders[-1]), "/".join(folders), "/".join(folders), "", ())
    start = max((i + 1 for i, one in enumerate(folders[:-1]) if part_of(one)), default=0)
    known = [i for i, one in enumerate(folders) if i >= start and canonical_label(one)]
    at = known[-1] if known else (start if start else max(len(folders) - 1, 0))
    part = part_of(folders[start - 1]) if start else ""
    return Place(
        source,
        part,
        "/".join(folders[:start]),
        "/".join(folders[:at]),
        folders[at] if folders else "",
        tuple(folders[at + 1 :]),
    )


def check_places(places: Sequence[Place], name: str) -> list[str]:
    """Refuse a division into parts that is not certain; return what is worth knowing about it.

    Args:
        places: The images that have a class.
        name: Name of the data set, for messages.

    Returns:
        One sentence for each part that stands in two places, and for each part inside another.

    Raises:
        DatasetError: Classes hold part folders; some images have a part and others have none; or
            the same classes stand in several folders, or in one, that is named like a part and is
            none.
    """
    for place in places:
        if any(map(part_of, place.below)):
            raise _unclear(
                name,
                f"a split inside a class, {place.class_path}/{'/'.join(place.below)}",
                "Put each class into the splits: train/happy, not happy/train",
            )
    without = {place.above for place in places if not place.part}
    if without and any(place.part for place in places):
        raise _unclear(
            name,
            f"some classes are in a split, others in {_few(without)}",
            f"Rename that folder to one of {', '.join(PARTS)}, or move it away",
        )
    classes = defaultdict(set)
    for place in places:
        if not place.part:
            classes[canonical_label(place.folder) or place.folder.lower()].add(place.above)
    if any(len(folders) > 1 for folders in classes.values()) or any(map(_is_like_part, without)):
        raise _unclear(
            name,
            f"the classes are in {_few(without)}, not in {', '.join(PARTS)}",
            "Rename them, or put them below a folder named test to measure all images together",
        )
    return _worth_knowing(places)


def _worth_knowing(places: Iterable[Place]) -> list[str]:
    homes = defaultdict(set)
    for place in places:
        if place.part:
            homes[place.part].add(place.part_folder)
    said = [
        f"split {part} is in {len(homes[part])} folders, {_few(homes[part])}: all are read"
        for part in PARTS
        if len(homes[part]) > 1
    ]
    for part, folders in homes.items():
        for folder in sorted(folders):
            above = [one for one in folder.split("/")[:-1] if part_of(one) not in ("", part)]
            if above:
                said.append(f"folder {folder}: taken as {part}, the nearest, not as {above[-1]}")
    return said


def _is_like_part(path: str) -> bool:
    """Return whether a folder is named like a part, such as ``train_set``, and is none."""
    last = path.rpartition("/")[2].lower()
    words = set(re.split(r"[^a-z]+", last))
    near = get_close_matches(last, _PART_OF_NAME, n=1, cutoff=0.8)
    return bool(words & (_PART_OF_NAME.keys() | _LIKE_PARTS) or near) and not part_of(last)


def _few(folders: Iterable[str]) -> str:
    return few(sorted(folder[-60:] or "the top folder" for folder in folders), _SHOWN)


def _unclear(name: str, found: str, advice: str) -> DatasetError:
    return DatasetError(f"{shown(name)}: not clearly divided into splits: {found}. {advice}")
