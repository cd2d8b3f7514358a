"""Reads images that lie in one folder per class, on disk or in a zip archive.

The class folders may stand below ``train``, ``validation`` or ``test``, and all of it below one
folder more. Folder names are understood by ``labels.canonical_label``; classes that are none of
ours are named and left out, as are files that are no images.

FER-2013 in the layout of the Kaggle data set ``msambare/fer2013``, 48x48 grey JPEG, is such a
folder, but all seven classes must be there below both ``train`` and ``test``. File names begin with
the competition's split: ``Training_``, ``PublicTest_`` or ``PrivateTest_``.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.data.archives import FileTree, open_tree
from facial_expressions.data.reading import SIDE_PX, USAGES, Reading, make_reading
from facial_expressions.errors import DatasetError, ImageError
from facial_expressions.images import IMAGE_SUFFIXES, load_image
from facial_expressions.labels import FER2013, FERPLUS, LabelSet, canonical_label
from facial_expressions.plain_text import counted

__all__ = ["ClassFolders", "Photo", "find_class_folders", "iter_photos", "read_class_folders"]

_log = logging.getLogger(__name__)

_MAX_PIXELS: Final = 50_000_000
_PARTS: Final = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True, slots=True)
class _Entry:
    """One image file.

    Attributes:
        source: Its path below the folder, or in the archive.
        part: ``train``, ``validation``, ``test`` or an empty text.
        label: Our name of its class.
    """

    source: str
    part: str
    label: str

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
        left_out: One sentence for each class or group of files that is left out.
    """

    entries: tuple[_Entry, ...]
    left_out: tuple[str, ...]

    @property
    def label_set(self) -> LabelSet:
        """FER-2013's seven expressions, or FER+'s eight when there is contempt."""
        return FERPLUS if any(entry.label == "contempt" for entry in self.entries) else FER2013

    @property
    def is_fer2013(self) -> bool:
        """Whether the files are named as FER-2013's are, below train and test."""
        return (
            bool(self.entries)
            and {entry.part for entry in self.entries} <= {"train", "test"}
            and sum(bool(entry.usage) for entry in self.entries) * 2 > len(self.entries)
        )


@dataclass(frozen=True, slots=True)
class Photo(_Entry):
    """One image file of class folders, undecoded: for those who need it whole.

    Attributes:
        data: The file's bytes.
    """

    data: bytes


def find_class_folders(tree: FileTree) -> ClassFolders:
    """Sort the files of a tree into classes.

    Raises:
        DatasetError: No file lies in a folder named after an expression.
    """
    entries: list[_Entry] = []
    unknown: Counter[str] = Counter()
    other = 0
    names = tree.names()
    for name in names:
        if not name.lower().endswith(tuple(IMAGE_SUFFIXES)):
            other += 1
            continue
        part, folder = _place(name)
        label = canonical_label(folder)
        if label is None:
            unknown[f"{part}/{folder}".strip("/") or "."] += 1
        else:
            entries.append(_Entry(name, part, label))
    if not entries:
        raise DatasetError(
            f"{tree.name} holds no class folders; received {len(names)} files, "
            f"folders {sorted(unknown)[:5]}; put the images into folders named "
            f"{', '.join(FER2013.names)}, below train and test if it is divided"
        )
    order = ("train", "validation", "test", "")
    entries.sort(key=lambda entry: (order.index(entry.part), entry.source))
    left_out = [
        f"class folder {folder}: no expression of ours, {counted(count, 'image')} left out"
        for folder, count in sorted(unknown.items())
    ]
    if other:
        left_out.append(f"{counted(other, 'file')} of other kinds left out")
    return ClassFolders(entries=tuple(entries), left_out=tuple(left_out))


def _place(name: str) -> tuple[str, str]:
    """Return part and class folder of a path such as ``top/train/happy/1.jpg``."""
    folders = name.split("/")[:-1]
    for depth, folder in enumerate(folders[:2]):
        if folder.lower() in _PARTS:
            inside = folders[depth + 1 :]
            return _PARTS[folder.lower()], inside[0] if inside else ""
    return "", folders[-1] if folders else ""


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
                left_out.append(f"{entry.source} cannot be read: {error}")
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
            yield Photo(entry.source, entry.part, entry.label, tree.read(entry.source))


def _read_grey(data: bytes) -> NDArray[np.uint8]:
    """Return an image as the square of a data set; one of another size loses its aspect."""
    grey = Image.fromarray(load_image(data, max_pixels=_MAX_PIXELS)).convert("L")
    if grey.size != (SIDE_PX, SIDE_PX):
        grey = grey.resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR)
    return np.asarray(grey, np.uint8)


def _check_classes(name: str, entries: Iterable[_Entry]) -> None:
    present = {(entry.part, entry.label) for entry in entries}
    missing = [
        f"{part}/{label}"
        for part in ("train", "test")
        for label in FER2013
        if (part, label) not in present
    ]
    if missing:
        raise DatasetError(
            f"FER-2013 in {name} needs images in all of train/<class> and test/<class>; "
            f"received none in {', '.join(missing)}; get the whole archive again"
        )
