"""Reads FER-2013 in the layout of the Kaggle data set ``msambare/fer2013``, folder or zip.

``train/<class>/*.jpg`` and ``test/<class>/*.jpg``, 48x48 grey JPEG, possibly below one folder more.
File names begin with the competition's split: ``Training_``, ``PublicTest_`` or ``PrivateTest_``.
It is a class folder like any other, but all seven classes must be there on either side.
"""

from __future__ import annotations

from pathlib import Path

from facial_expressions.data.class_folders import read_class_folders
from facial_expressions.data.reading import Reading

__all__ = ["read_kaggle"]


def read_kaggle(path: Path) -> Reading:
    """Read FER-2013 from the Kaggle layout; file names without a split are accepted.

    Args:
        path: The folder or ``.zip`` that holds ``train`` and ``test``.

    Returns:
        All pictures, ``uint8 (N, 48, 48)``, train before test, by path. Counts are not checked
        here.

    Raises:
        DatasetError: A class folder is missing or empty, or the archive is damaged or not safe to
            read.
    """
    return read_class_folders(path, as_fer2013=True)
