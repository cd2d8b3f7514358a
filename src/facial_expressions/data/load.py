"""load_dataset: finds the reader for a path, keeps what it decoded, checks counts, divides.

Protocols are how a reading is divided. ``competition``: Training 28,709, PublicTest 3,589,
PrivateTest 3,589. ``kaggle``, the original: the 28,709 training images less a seeded fifth of each
class, which leaves 22,968 and 5,741, and all 7,178 test images. The fifth is rounded down class by
class, as Keras' ``ImageDataGenerator`` does: that is what gives 5,741 (a fifth of all, rounded up
as scikit-learn does, would be 5,742).
"""

from __future__ import annotations

import importlib
import logging
from pathlib import Path
from typing import Final, cast, get_args

import numpy as np
from numpy.typing import NDArray

from facial_expressions.data.archives import is_zip, open_tree
from facial_expressions.data.cache import cached_reading
from facial_expressions.data.class_folders import as_fer2013, place_of, read_class_folders
from facial_expressions.data.competition import read_competition
from facial_expressions.data.dataset import (
    PARTS,
    USAGES,
    Dataset,
    Ints,
    Kind,
    Reading,
    check_fer2013_counts,
)
from facial_expressions.errors import DatasetError, first_line, needs_extra
from facial_expressions.images import IMAGE_SUFFIXES
from facial_expressions.labels import canonical_label
from facial_expressions.plain_text import shown

PROTOCOLS: Final = get_args(Kind)
_SPLIT_OF_USAGE: Final = dict(zip(USAGES, PARTS, strict=True))

_HOLDOUT_PARTS: Final = 5

KAGGLE_DATASET: Final = "msambare/fer2013"
"""Handle of FER-2013 on Kaggle, under the Database Contents License."""

_log = logging.getLogger(__name__)


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
        protocol: ``competition``, ``kaggle`` or ``folder`` (see ``divide``); None takes
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
        reading = as_fer2013(reading)
    if reading.kind != "folder" and not allow_partial:
        check_fer2013_counts(reading)
    return divide(reading, cast(Kind, protocol), seed=seed)


def load_reading(path: Path, *, cache: bool = True) -> Reading:
    """Read all images of a path, undivided and unchecked; path and cache as for ``load_dataset``.

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


def _is_of_images(path: Path) -> bool:
    """Return whether a folder or archive is to be read by its images, not by a table in it."""
    with open_tree(path) as tree:
        names = [name.lower() for name in tree.names]
    folders = {place_of(name).folder for name in names if name.endswith(tuple(IMAGE_SUFFIXES))}
    if any(name.endswith(".csv") for name in names):  # a table may have a figure beside it
        return any(map(canonical_label, folders)) or len(folders - {""}) > 1
    return bool(folders) or path.is_dir()


def _default_protocol(reading: Reading) -> Kind:
    if reading.kind == "folder":
        return "folder"
    return "competition" if (reading.rows.usages != "").all() else "kaggle"


def divide(reading: Reading, protocol: Kind, *, seed: int) -> Dataset:
    """Divide a reading into splits; the seed chooses which images of train become validation.

    ``folder`` divides as the folders say, with a fifth of train set aside where there is no
    validation folder; images below none of them are test.

    Raises:
        DatasetError: The protocol needs to know of each image what the file does not say.
    """
    splits = _splits(reading, protocol, seed)
    train, validation, test = (reading.rows.take(splits == part, name=part) for part in PARTS)
    return Dataset(
        name=reading.name,
        protocol=protocol,
        labels=reading.label_set,
        train=train,
        validation=validation,
        test=test,
        left_out=reading.left_out,
    )


def stratified_holdout(labels: Ints, *, seed: int) -> NDArray[np.bool_]:
    """Choose a random fifth of each class, rounded down, as a mask ``(N,)``.

    Examples:
        >>> stratified_holdout(np.array([0] * 10 + [1] * 9), seed=0).sum()
        np.int64(3)
    """
    mask = np.zeros(len(labels), np.bool_)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        rng = np.random.default_rng([seed, int(label)])
        mask[rng.permutation(rows)[: len(rows) // _HOLDOUT_PARTS]] = True
    return mask


def _splits(reading: Reading, protocol: Kind, seed: int) -> NDArray[np.str_]:
    """Return for each row the name of the split that it goes into."""
    usages, parts = reading.rows.usages, reading.parts
    if protocol == "competition":
        if reading.kind == "folder" or np.any(usages == ""):
            raise DatasetError(
                f"protocol 'competition': the names of {np.sum(usages == ''):,} test images do "
                "not say whether they are PublicTest. Use protocol 'kaggle' for FER-2013 with "
                "plain file names, 'folder' for other data"
            )
        return np.array([_SPLIT_OF_USAGE[usage] for usage in usages.tolist()], np.str_)
    if protocol == "kaggle" and reading.kind == "folder":
        raise DatasetError(
            f"protocol 'kaggle': for FER-2013 only, not for {reading.name}. Use protocol 'folder'"
        )
    if protocol == "folder":
        parts = np.where(parts == "", "test", parts)
        if np.any(parts == "validation"):
            return parts
    rows = np.flatnonzero(parts != "test")
    splits = np.where(parts == "test", "test", np.array("train", "U10"))
    splits[rows[stratified_holdout(reading.rows.labels[rows], seed=seed)]] = "validation"
    return splits


def fetch_fer2013() -> Path:
    """Download FER-2013 in the Kaggle layout, or find what was downloaded before.

    Returns:
        The folder that holds ``train`` and ``test``, in kagglehub's own cache.

    Raises:
        MissingExtraError: kagglehub is not installed.
        DatasetError: The download failed.
    """
    with needs_extra("fetch"):
        kagglehub = importlib.import_module("kagglehub")
    _log.info("fetching %s from Kaggle", KAGGLE_DATASET)
    own = vars(kagglehub.exceptions).values()  # which share no root; requests' are OSErrors
    kinds = [one for one in own if isinstance(one, type) and issubclass(one, Exception)]
    unavailable: tuple[type[Exception], ...] = (OSError, ValueError, *kinds)
    try:
        return Path(kagglehub.dataset_download(KAGGLE_DATASET))
    except unavailable as error:
        raise DatasetError(
            f"{KAGGLE_DATASET}: cannot be downloaded: {first_line(error)[:160]}. Check the "
            f"network, or get the zip from https://www.kaggle.com/datasets/{KAGGLE_DATASET}"
        ) from error
