"""Save marked images: one under a name of its own, many into a folder under names that are free."""

from __future__ import annotations

import contextlib
import errno
import itertools
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Final

from facial_expressions.files import storage_errors, write_file
from facial_expressions.image_sources import ImageSource
from facial_expressions.media.draw import draw_faces
from facial_expressions.results import Explanation, Face
from facial_expressions.shown import SAVED_AS, encoded

MARKED_SUFFIXES: Final = tuple(SAVED_AS)
"""Endings by which a marked image can be named."""

_JPEG_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"})
_LONGEST_STEM: Final = 50
"""Letters of a name that are kept: at most 200 bytes, where file systems allow 255."""


def is_file_name(target: Path) -> bool:
    """Tell whether a path names one marked image rather than a folder for many.

    Examples:
        >>> is_file_name(Path("out.png")), is_file_name(Path("marked"))
        (True, False)
    """
    return target.suffix.lower() in SAVED_AS and not target.is_dir()


class MarkedImages:
    """Where marked images go: one file, or a folder in which no file is ever overwritten.

    Raises:
        StorageError: The folder cannot be made.

    Examples:
        >>> import numpy as np
        >>> marked = MarkedImages("marked")
        >>> marked.save(np.zeros((40, 40, 3), np.uint8), [], name="2024/team.png").as_posix()
        'marked/2024/team-faces.png'
    """

    def __init__(self, target: str | Path) -> None:
        self._target = Path(target)
        self._is_file = is_file_name(self._target)
        if not self._is_file:
            _make_folder(self._target)

    def save(
        self,
        image: ImageSource,
        faces: Sequence[Face],
        explanations: Sequence[Explanation] = (),
        *,
        name: str,
    ) -> Path:
        """Draw the faces and save the image; in a folder as JPEG what was one, the rest as PNG.

        The name is that of the original, with the folders below which it lay: they are mirrored.
        Returns where the image was written.

        Raises:
            ImageError: The image cannot be read.
            StorageError: The file cannot be written.
        """
        drawn = draw_faces(image, faces, explanations)
        original = PurePath(name)
        suffix = ".jpg" if original.suffix.lower() in _JPEG_SUFFIXES else ".png"
        suffix = self._target.suffix.lower() if self._is_file else suffix
        content = encoded(drawn, SAVED_AS[suffix])
        if self._is_file:
            write_file(self._target, content)
            return self._target
        folder = self._target
        for part in original.parts[:-1]:
            if part not in ("..", original.anchor):
                folder = folder / part
                with storage_errors(folder):
                    if folder.is_symlink():  # it may have been planted, and lead anywhere
                        raise OSError(errno.ELOOP, "", str(folder))
        _make_folder(folder)
        return _write(folder, original.stem[:_LONGEST_STEM], suffix, content)


def _make_folder(folder: Path) -> None:
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)


def _write(folder: Path, stem: str, suffix: str, content: bytes) -> Path:
    """Write the first of ``stem-faces``, ``stem-faces-2``, ... that does not exist."""
    for number in itertools.count(1):
        extra = "" if number == 1 else f"-{number}"
        path = folder / f"{stem}-faces{extra}{suffix}"
        with contextlib.suppress(FileExistsError):
            write_file(path, content, overwrite=False)
            break
    return path
