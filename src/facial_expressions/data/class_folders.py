"""Reads images that lie in one folder per class, on disk or in a zip archive.

The nearest folder named train, validation or test above the class folder says the part, at any
depth. What cannot be told for certain stops: an image that is measured in the wrong part makes a
figure that is wrong and looks right. ``labels.canonical_label`` says which expression a folder's
name means. Where at least half of the classes are not expressions of ours, the folders' own names
are the label set; else such classes are named and left out, as are files that are not images.
RAF-DB's folders 1 to 7 are understood by its file names.

FER-2013 in the layout of the Kaggle data set ``msambare/fer2013``, 48x48 grey JPEG, is such a
folder, but all seven classes must be there below both ``train`` and ``test``. File names begin with
the competition's split: ``Training_``, ``PublicTest_`` or ``PrivateTest_``.
"""

from __future__ import annotations

import itertools
import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from facial_expressions.data.archives import FileTree, open_tree
from facial_expressions.data.dataset import (
    PART_OF_USAGE,
    PARTS,
    SIDE_PX,
    USAGES,
    Images,
    Reading,
    make_reading,
)
from facial_expressions.errors import DatasetError, ImageError
from facial_expressions.images import IMAGE_SUFFIXES, load_image
from facial_expressions.labels import FER2013, FERPLUS, LabelSet, canonical_label, nearest_label
from facial_expressions.plain_text import counted, few, shown

_PART_OF_NAME: Final = {
    "train": "train", "training": "train", "validation": "validation", "valid": "validation",
    "val": "validation", "test": "test", "testing": "test",
}  # fmt: skip
_LIKE_PARTS: Final = {"trainset", "testset", "valset", "dev", "eval", "evaluation", "holdout"}
_SHOWN: Final = 3

_log = logging.getLogger(__name__)

_MAX_PIXELS: Final = 50_000_000
_MAX_CLASSES: Final = 100
_RAF_DB: Final = dict(
    zip("1234567", ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral"), strict=True)
)
"""Names behind RAF-DB's folders (Li, Deng and Du 2017)."""


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
    below: list[str]

    @property
    def class_path(self) -> str:
        """Path of the class folder, or ``.`` for a file that lies in none."""
        return "/".join(filter(None, (self.above, self.folder))) or "."


@dataclass(frozen=True, slots=True)
class Photo:
    """One image file of class folders.

    Attributes:
        source: Its path below the folder, or in the archive.
        part: ``train``, ``validation``, ``test`` or an empty text.
        label: Our name of its class.
    """

    source: str
    part: str
    label: str


@dataclass(frozen=True, slots=True)
class ClassFolders:
    """The image files of a tree by part and label.

    Attributes:
        entries: The files, train before validation before test, then by path.
        label_set: FER-2013's seven expressions, FER+'s eight when there is contempt, or the
            folders' own names.
        left_out: One sentence for each class or group of files that is left out, or that is read
            in a way worth knowing.
        is_fer2013: Whether the files are named as FER-2013's are, below train and test.
    """

    entries: tuple[Photo, ...]
    label_set: LabelSet
    left_out: tuple[str, ...]
    is_fer2013: bool


def find_class_folders(tree: FileTree) -> ClassFolders:
    """Sort the files of a tree into parts and classes.

    Raises:
        DatasetError: No file lies in a class folder, the division into parts is not certain, or
            there are classes of their own one of which looks like a misspelt expression.
    """
    names = tree.names
    images = [name for name in names if name.lower().endswith(tuple(IMAGE_SUFFIXES))]
    places = [place_of(name) for name in images]
    label_of, label_set, said = _labels_of(places, tree.name)
    known = [place for place in places if place.folder in label_of]
    if not known:
        unknown = sorted({place.class_path for place in places} - {"."})[:5]
        found = f" (their folders: {', '.join(unknown)})" if unknown else ""
        raise DatasetError(
            f"{shown(tree.name)}: no class folders among {counted(len(names), 'file')}{found}. "
            f"Put the images into folders named {', '.join(FER2013.names)}, in train and test if "
            "divided"
        )
    _check_places(known, tree.name)
    said += _worth_knowing(known)
    said += _unknown_classes([place for place in places if place.folder not in label_of])
    if len(images) < len(names):
        said.append(f"{counted(len(names) - len(images), 'file')} of other kinds left out")
    parts = {place.part for place in known}
    root = _part_of(tree.name) if parts == {""} else ""
    entries = [Photo(one.source, one.part or root, label_of[one.folder]) for one in known]
    usages = [_usage_of(entry.source) for entry in entries]
    if parts == {""} and not root and all(usages):  # names say it
        entries = [replace(one, part=PART_OF_USAGE[_usage_of(one.source)]) for one in entries]
    entries.sort(key=lambda entry: ((*PARTS, "").index(entry.part), entry.source))
    named = sum(map(bool, usages)) * 2 > len(entries)
    is_fer2013 = named and not root and {entry.part for entry in entries} <= {"train", "test"}
    return ClassFolders(tuple(entries), label_set, tuple(said), is_fer2013)


def _labels_of(places: Sequence[Place], name: str) -> tuple[dict[str, str], LabelSet, list[str]]:
    """Return the label of each class folder by its name, the label set, and what to say of it."""
    folders = {place.folder for place in places} - {""}
    files = [place.source.rpartition("/")[2].lower() for place in places]
    if folders == _RAF_DB.keys() and all(name.startswith(("train_", "test_")) for name in files):
        meaning = ", ".join(f"{number} {label}" for number, label in _RAF_DB.items())
        return _RAF_DB, FER2013, [f"class folders 1 to 7: taken as RAF-DB's, {meaning}"]
    found = {folder: label for folder in folders if (label := canonical_label(folder))}
    own = {folder: folder.strip().lower() for folder in folders}
    if (
        len(folders) - len(found) < max(len(found), 1)
        or not 2 <= len(set(own.values())) <= _MAX_CLASSES
    ):
        has_contempt = "contempt" in found.values()
        return found, FERPLUS if has_contempt else FER2013, []
    if near := {one: label for one in sorted(folders - {*found}) if (label := nearest_label(one))}:
        hints = ", ".join(f"{one[:60]} (did you mean {label}?)" for one, label in near.items())
        raise DatasetError(
            f"{shown(name)}: class folders named almost like an expression: {hints}. Rename them"
        )
    labels = LabelSet("own", tuple(sorted(set(own.values()))))
    return own, labels, [f"class folders are labels of their own: {', '.join(labels)[:200]}"]


def _unknown_classes(places: Iterable[Place]) -> list[str]:
    """Return one sentence for each class folder that is left out."""
    counts = Counter(place.class_path for place in places)
    said = []
    for path, count in sorted(counts.items()):
        near = nearest_label(path.rpartition("/")[2])
        hint = f". Did you mean {near}? Rename the folder" if near else ""
        said.append(
            f"class folder {path}: not a known expression, {counted(count, 'image')} left out{hint}"
        )
    return said


def _part_of(folder: str) -> str:
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
    start = max((i + 1 for i, one in enumerate(folders[:-1]) if _part_of(one)), default=0)
    known = [i for i, one in enumerate(folders) if i >= start and canonical_label(one)]
    at = known[-1] if known else (start or max(len(folders) - 1, 0))
    if folders and _part_of(folders[-1]) and not any(map(canonical_label, folders)):
        start = at = len(folders)  # the file lies in a part, and in no class
    return Place(
        source,
        part=_part_of(folders[start - 1]) if start else "",
        part_folder="/".join(folders[:start]),
        above="/".join(folders[:at]),
        folder="".join(folders[at : at + 1]),
        below=folders[at + 1 :],
    )


def _check_places(places: Sequence[Place], name: str) -> None:
    """Refuse a division of the images that have a class into parts that is not certain."""
    for place in places:
        if any(map(_part_of, place.below)):
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


def _worth_knowing(places: Iterable[Place]) -> list[str]:
    """Return one sentence for each part that stands in two places, or inside another."""
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
            above = [one for one in folder.split("/")[:-1] if _part_of(one) not in ("", part)]
            if above:
                said.append(f"folder {folder}: taken as {part}, the nearest, not as {above[-1]}")
    return said


def _is_like_part(path: str) -> bool:
    """Return whether a folder is named like a part, such as ``train_set``, and is none."""
    last = path.rpartition("/")[2].lower()
    words = set(re.split(r"[^a-z]+", last))
    near = get_close_matches(last, _PART_OF_NAME, n=1, cutoff=0.8)
    return bool(words & (_PART_OF_NAME.keys() | _LIKE_PARTS) or near) and not _part_of(last)


def _few(folders: Iterable[str]) -> str:
    return few(sorted(folder[-60:] or "the top folder" for folder in folders), _SHOWN)


def _unclear(name: str, found: str, advice: str) -> DatasetError:
    return DatasetError(f"{shown(name)}: not clearly divided into splits: {found}. {advice}")


def read_class_folders(path: Path) -> Reading:
    """Read every image of a folder or zip of class folders.

    Returns:
        All images, ``uint8 (N, 48, 48)``, those of other sizes scaled. An image that cannot be
        read is left out and named.

    Raises:
        DatasetError: There are no class folders, a class of FER-2013 is missing, or the archive is
            damaged or not safe to read.
    """
    with open_tree(path) as tree:
        found = find_class_folders(tree)
        images = np.empty((len(found.entries), SIDE_PX, SIDE_PX), np.uint8)
        rows: list[tuple[int, str, str, str]] = []
        left_out = list(found.left_out)
        for entry in found.entries:
            try:
                images[len(rows)] = _read_grey(tree.read(entry.source))
            except (ImageError, DatasetError) as error:
                reason = str(error).partition(": ")[2].removeprefix("cannot be read: ")
                left_out.append(f"{entry.source}: cannot be read: {reason}")
                continue
            rows.append((found.label_set.id_of(entry.label), "", entry.source, entry.part))
        name = tree.name
    for sentence in left_out:
        _log.warning("%s", sentence)
    images = images[: len(rows)].copy() if left_out else images
    reading = make_reading(
        "folder", name, found.label_set, images=images, rows=rows, left_out=left_out
    )
    return as_fer2013(reading) if found.is_fer2013 else reading


def as_fer2013(reading: Reading) -> Reading:
    """Return class folders as FER-2013 in the Kaggle layout, whatever their files are called.

    Other label sets than FER-2013's stay what they are.

    Raises:
        DatasetError: A class of FER-2013 is missing below train or test.
    """
    rows, parts = reading.rows, reading.parts.tolist()
    labels = [reading.label_set.names[label] for label in rows.labels]
    present = set(zip(parts, labels, strict=True))
    needed = itertools.product(("train", "test"), FER2013)
    missing = ["/".join(one) for one in needed if one not in present]
    if missing:
        raise DatasetError(
            f"{reading.name}: FER-2013 needs images in every train/<class> and test/<class>; there "
            f"are none in {', '.join(missing)}. Get the whole archive again"
        )
    if reading.label_set != FER2013:
        return reading
    # Which test a test image is of is unknown; all of train is the competition's own.
    usages = [
        _usage_of(source) or ("Training" if part == "train" else "")
        for source, part in zip(rows.sources, parts, strict=True)
    ]
    rows = replace(rows, usages=np.array(usages, np.str_))
    return replace(reading, kind="kaggle", name="fer2013", rows=rows)


def _usage_of(source: str) -> str:
    """Return the competition's split, which FER-2013's file names carry before a ``_``."""
    word = source.rpartition("/")[2].partition("_")[0]
    return word if word in USAGES else ""


def _read_grey(data: bytes) -> Images:
    """Return an image as the square of a data set; one of another size loses its aspect."""
    grey = Image.fromarray(load_image(data, max_pixels=_MAX_PIXELS)).convert("L")
    if grey.size != (SIDE_PX, SIDE_PX):
        grey = grey.resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR)
    return np.asarray(grey, np.uint8)
