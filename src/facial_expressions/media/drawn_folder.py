"""Save marked images into a folder under names that are free."""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Final

from facial_expressions.files import storage_errors, write_file
from facial_expressions.images import ImageSource, load_image
from facial_expressions.limits import MAX_PIXELS
from facial_expressions.media.draw import draw_faces
from facial_expressions.results import Explanation, Face

__all__ = ["DrawnFolder"]

_JPEG_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"})
_LONGEST_STEM: Final = 50
"""Letters of a name that are kept: at most 200 bytes, where file systems allow 255."""


class DrawnFolder:
    """A folder for marked images; no file that exists is ever overwritten.

    Args:
        folder: Made with its parents when it is missing.
        max_pixels: Images with more pixels are not read.

    Raises:
        StorageError: The folder cannot be made.

    Examples:
        >>> import numpy as np
        >>> marked = DrawnFolder("marked")
        >>> marked.save(np.zeros((40, 40, 3), np.uint8), [], name="team.png").name
        'team-faces.png'
    """

    def __init__(self, folder: str | Path, *, max_pixels: int = MAX_PIXELS) -> None:
        self._folder = Path(folder)
        self._max_pixels = max_pixels
        with storage_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)

    def save(
        self,
        image: ImageSource,
        faces: Sequence[Face],
        explanations: Sequence[Explanation] = (),
        *,
        name: str,
    ) -> Path:
        """Draw the faces and save the image: as JPEG what was one, anything else as PNG.

        Args:
            image: The image.
            faces: What was found in it.
            explanations: Where in the faces it was found; may be empty.
            name: Path or name of the original; the new name is made from it.

        Returns:
            Where the image was written.

        Raises:
            ImageError: The image cannot be read.
            StorageError: The file cannot be written.
        """
        image = draw_faces(load_image(image, max_pixels=self._max_pixels), faces, explanations)
        is_jpeg = PurePath(name).suffix.lower() in _JPEG_SUFFIXES
        kind, suffix = ("JPEG", ".jpg") if is_jpeg else ("PNG", ".png")
        stem = PurePath(name).stem[:_LONGEST_STEM] if name != "-" else "stdin"
        content = io.BytesIO()
        image.save(content, kind, quality=92)  # that of a JPEG; a PNG has none
        return self._write(stem, suffix, content.getbuffer())

    def _write(self, stem: str, suffix: str, content: memoryview) -> Path:
        """Write the first of ``stem-faces``, ``stem-faces-2``, ... that does not exist."""
        for number in itertools.count(1):
            extra = "" if number == 1 else f"-{number}"
            path = self._folder / f"{stem}-faces{extra}{suffix}"
            with contextlib.suppress(FileExistsError):
                write_file(path, content, overwrite=False)
                break
        return path
