"""Reads images that lie in one folder per class, on disk or in a zip archive.

``folder_places`` says of each file to which part and class it belongs, ``labels.canonical_label``
which expression a folder's name means. Where at least half of the classes are not expressions of
ours, the folders' own names are the label set; else such classes are named and left out, as are
files that are not images. RAF-DB's folders 1 to 7 are understood by its file names.

FER-2013 in the layout of the Kaggle data set ``msambare/fer2013``, 48x48 grey JPEG, is such a
folder, but all seven classes must be there below both ``train`` and ``test``. File names begin with
the competition's split: ``Training_``, ``PublicTest_`` or ``PrivateTest_``.
"""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.data.archives import FileTree, open_tree
from facial_expressions.data.dataset import PART_OF_USAGE, SIDE_PX, USAGES, Reading, make_reading
from facial_expressions.data.folder_places import PARTS, Place, check_places, part_of, place_of
from facial_expressions.errors import DatasetError, ImageError
from facial_expressions.images import IMAGE_SUFFIXES, load_image
from facial_expressions.labels import FER2013, FERPLUS, LabelSet, canonical_label, nearest_label
from facial_expressions.plain_text import counted, shown

_log = logging.getLogger(__name__)

_MAX_PIXELS: Final = 50_000_000
_MAX_CLASSES: Final = 100
_RAF_DB: Final = dict(
    zip("1234567", ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral"), strict=True)
)
"""Names behind RAF-DB's folders (Li, Deng and Du 2017)."""


@dataclass(frozen=True, slots=True)
class Photo:
    """One image file of class folders.

    Attributes:
        source: Its path below the folder, or in the archive.
        part: ``train``, ``validation``, ``test`` or an empty text.
        label: Our name of its class.
        data: The file's bytes, where it was read.
    """

    source: str
    part: str
    label: str
    data: bytes = b""

    @property
    def usage(self) -> str:
        """The competition's split, which FER-2013's file names carry before a ``_``."""
        word = self.source.rpartition("/")[2].partition("_")[0]
        return word if word in USAGES else ""


@dataclass(frozen=True, slots=True)
class ClassFolders:
    """The image files of a tree by part and label.

    Attributes:
        entries: The files, train before validation before test, then by path.
        label_set: FER-2013's seven expressions, FER+'s eight when there is contempt, or the
            folders' own names.
        left_out: One sentence for each class or group of files that is left out, or that is read
            in a way worth knowing.
        is_one_part: Whether the tree itself is named after a part, and all of it belongs there.
    """

    entries: tuple[Photo, ...]
    label_set: LabelSet
    left_out: tuple[str, ...]
    is_one_part: bool

    @property
    def is_fer2013(self) -> bool:
        """Whether the files are named as FER-2013's are, below train and test."""
        return (
            not self.is_one_part
            and {entry.part for entry in self.entries} <= {"train", "test"}
            and sum(bool(entry.usage) for entry in self.entries) * 2 > len(self.entries)
        )


def find_class_folders(tree: FileTree) -> ClassFolders:
    """Sort the files of a tree into parts and classes.

    Raises:
        DatasetError: No file lies in a class folder, the division into parts is not certain, or
            there are classes of their own one of which looks like a misspelt expression.
    """
    names = tree.names()
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
    said += check_places(known, tree.name)
    said += _unknown_classes([place for place in places if place.folder not in label_of])
    if len(images) < len(names):
        said.append(f"{counted(len(names) - len(images), 'file')} of other kinds left out")
    parts = {place.part for place in known}
    root = part_of(tree.name) if parts == {""} else ""
    entries = [Photo(one.source, one.part or root, label_of[one.folder]) for one in known]
    if parts == {""} and not root and all(entry.usage for entry in entries):  # names say it
        entries = [replace(one, part=PART_OF_USAGE[one.usage]) for one in entries]
    order = (*PARTS, "")
    entries.sort(key=lambda entry: (order.index(entry.part), entry.source))
    return ClassFolders(tuple(entries), label_set, tuple(said), is_one_part=bool(root))


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
    if near := {one: label for one in sorted(folders) if (label := _near_label(one))}:
        hints = ", ".join(f"{one[:60]} (did you mean {label}?)" for one, label in near.items())
        raise DatasetError(
            f"{shown(name)}: class folders named almost like an expression: {hints}. Rename them"
        )
    labels = LabelSet("own", tuple(sorted(set(own.values()))))
    return own, labels, [f"class folders are labels of their own: {', '.join(labels)[:200]}"]


def _near_label(folder: str) -> str | None:
    return None if canonical_label(folder) else nearest_label(folder)


def _unknown_classes(places: Iterable[Place]) -> list[str]:
    """Return one sentence for each class folder that is left out."""
    counts = Counter(place.class_path for place in places)
    said = []
    for path, count in sorted(counts.items()):
        near = _near_label(path.rpartition("/")[2])
        hint = f". Did you mean {near}? Rename the folder" if near else ""
        said.append(
            f"class folder {path}: not a known expression, {counted(count, 'image')} left out{hint}"
        )
    return said


def read_class_folders(path: Path, *, as_fer2013: bool = False) -> Reading:
    """Read every image of a folder or zip of class folders.

    Args:
        path: The folder or ``.zip``.
        as_fer2013: Whether it is FER-2013 in the Kaggle layout even where the file names do not
            say so.

    Returns:
        All images, ``uint8 (N, 48, 48)``, those of other sizes scaled. An image that cannot be
        read is left out and named.

    Raises:
        DatasetError: There are no class folders, a class of FER-2013 is missing, or the archive is
            damaged or not safe to read.
    """
    with open_tree(path) as tree:
        found = find_class_folders(tree)
        fer2013 = as_fer2013 or found.is_fer2013
        if fer2013:
            _check_classes(tree.name, found.entries)
        labels = FER2013 if fer2013 else found.label_set
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
            # Which test a test image is of is unknown; all of train is the competition's own.
            known = entry.usage or ("Training" if entry.part == "train" else "")
            usage = known if fer2013 else ""
            rows.append((labels.id_of(entry.label), usage, entry.source, entry.part))
        name = tree.name
    for sentence in left_out:
        _log.warning("%s", sentence)
    return make_reading(
        "kaggle" if fer2013 else "folder",
        "fer2013" if fer2013 else name,
        labels,
        images=images[: len(rows)].copy() if left_out else images,
        rows=rows,
        left_out=left_out,
    )


def iter_photos(path: Path) -> Iterator[Photo]:
    """Yield the files of a folder or zip of class folders, one at a time, undecoded.

    Args:
        path: The folder or ``.zip``.

    Raises:
        DatasetError: There are no class folders, or a file cannot be read.
    """
    with open_tree(path) as tree:
        for entry in find_class_folders(tree).entries:
            yield replace(entry, data=tree.read(entry.source))


def _read_grey(data: bytes) -> NDArray[np.uint8]:
    """Return an image as the square of a data set; one of another size loses its aspect."""
    grey = Image.fromarray(load_image(data, max_pixels=_MAX_PIXELS)).convert("L")
    if grey.size != (SIDE_PX, SIDE_PX):
        grey = grey.resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR)
    return np.asarray(grey, np.uint8)


def _check_classes(name: str, entries: Iterable[Photo]) -> None:
    present = {(entry.part, entry.label) for entry in entries}
    needed = itertools.product(("train", "test"), FER2013)
    missing = [f"{part}/{label}" for part, label in needed if (part, label) not in present]
    if missing:
        raise DatasetError(
            f"{name}: FER-2013 needs images in every train/<class> and test/<class>; there are "
            f"none in {', '.join(missing)}. Get the whole archive again"
        )
