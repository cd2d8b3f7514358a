"""Faces in one line, by the default model, which is opened once per process."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from facial_expressions.image_sources import ImageSource
from facial_expressions.inference.recognizer import load_recognizer
from facial_expressions.results import Faces, ImageResult


def recognize(image: ImageSource) -> Faces:
    """Find the faces in one image with the default model, loaded once per process.

    Args:
        image: A path, bytes, open file, RGB ``uint8 (H, W, 3)`` array or tensor, or Pillow image;
            see ``images.load_image``.

    Returns:
        The faces from left to right, an empty list if there is none; with ``show()``, ``save()``
        and ``to_dataframe()``.

    Raises:
        ImageError: The image cannot be read.

    Examples:
        >>> import numpy as np
        >>> recognize(np.zeros((64, 64, 3), np.uint8))
        []
    """
    return _default_recognizer().recognize(image)


def recognize_folder(folder: str | Path) -> Iterator[ImageResult]:
    """Find the faces in all images of a folder and its subfolders, with the default model.

    Args:
        folder: The folder; hidden files and files of other kinds are left out.

    Returns:
        One result per image, sorted by path; each image is read when its result is due.

    Raises:
        ImageError: There is no such folder.

    Examples:
        >>> import os
        >>> os.mkdir("photos")
        >>> list(recognize_folder("photos"))
        []
    """
    return _default_recognizer().recognize_folder(folder)


_default_recognizer: Final = functools.cache(load_recognizer)
