"""load_dataset: finds the reader for a path, keeps what it decoded, checks counts, divides."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from facial_expressions.data.archives import is_zip, open_tree
from facial_expressions.data.cache import cached_reading
from facial_expressions.data.class_folders import read_class_folders
from facial_expressions.data.competition import read_competition
from facial_expressions.data.dataset import Dataset, Reading, check_fer2013_counts
from facial_expressions.data.folder_places import place_of
from facial_expressions.data.protocols import PROTOCOLS, Protocol, divide
from facial_expressions.errors import DatasetError
from facial_expressions.images import IMAGE_SUFFIXES
from facial_expressions.labels import canonical_label
from facial_expressions.plain_text import shown


def load_dataset(
    path: str | Path,
    *,
    protocol: str | None = None,
    seed: int = 0,
    allow_partial: bool = False,
    cache: bool = True,
) -> Dataset:
    """Load a data set and divide it into train, validation and test.

    Args:
        path: FER-2013's competition file (csv, zip, tar.gz or a folder that holds it), FER-2013 in
            the Kaggle layout (folder or zip), or any folder or zip of class folders.
        protocol: ``competition``, ``kaggle`` or ``folder`` (see ``protocols.divide``); None takes
            ``competition`` for FER-2013, ``kaggle`` when its file names do not tell the two tests
            apart, and ``folder`` for other data.
        seed: Which training images are set aside for validation under ``kaggle`` and ``folder``.
        allow_partial: Whether FER-2013 may lack images.
        cache: Whether to keep the decoded images in the user's cache folder and use them next
            time.

    Raises:
        DatasetError: The path is missing or holds no data set, the file is damaged, a count of
            FER-2013 is wrong, or the protocol does not fit.

    Examples:
        >>> dataset = load_dataset("fer2013.tar.gz", protocol="kaggle")  # doctest: +SKIP
        >>> [len(split) for split in dataset.splits()]  # doctest: +SKIP
        [22968, 5741, 7178]
    """
    if protocol is not None and protocol not in PROTOCOLS:
        raise DatasetError(
            f"{shown(protocol)}: no such protocol. Choose one of {', '.join(PROTOCOLS)}"
        )
    reading = load_reading(Path(path), cache=cache)
    if protocol is None:
        protocol = _default_protocol(reading)
    elif protocol == "kaggle" and reading.kind == "folder":
        reading = cached_reading(Path(path), _read_kaggle) if cache else _read_kaggle(Path(path))
    if reading.kind != "folder" and not allow_partial:
        check_fer2013_counts(reading)
    return divide(reading, cast(Protocol, protocol), seed=seed)


def load_reading(path: Path, *, cache: bool = True) -> Reading:
    """Read all images of a path, undivided and unchecked.

    Args:
        path: As for ``load_dataset``.
        cache: Whether to use and fill the cache.

    Raises:
        DatasetError: The path is missing, of another kind, empty, damaged or not safe to read.
    """
    if not path.is_file() and not path.is_dir():
        why = "not a file or folder" if path.exists() else "file or folder not found"
        raise DatasetError(
            f"{shown(path)}: {why}. Give FER-2013 as csv, zip or tar.gz, or a folder of class "
            "folders"
        )
    if path.is_file() and path.stat().st_size == 0:
        raise DatasetError(f"{shown(path.name)}: empty file. Get the file again")
    return cached_reading(path, _read) if cache else _read(path)


def _read(path: Path) -> Reading:
    is_tree = path.is_dir() or is_zip(path)
    return read_class_folders(path) if is_tree and _is_of_images(path) else read_competition(path)


def _read_kaggle(path: Path) -> Reading:
    return read_class_folders(path, as_fer2013=True)


def _is_of_images(path: Path) -> bool:
    """Return whether a folder or archive is to be read by its images, not by a table in it."""
    with open_tree(path) as tree:
        names = [name.lower() for name in tree.names()]
    folders = {place_of(name).folder for name in names if name.endswith(tuple(IMAGE_SUFFIXES))}
    if any(name.endswith(".csv") for name in names):  # a table may have a figure beside it
        return any(map(canonical_label, folders)) or len(folders - {""}) > 1
    return bool(folders) or path.is_dir()


def _default_protocol(reading: Reading) -> Protocol:
    if reading.kind == "folder":
        return "folder"
    return "competition" if (reading.rows.usages != "").all() else "kaggle"
