"""A contact sheet of many images: one HTML page without other files, scripts or network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.pages.templating import environment, face_thumbnail, jpeg_uri, render
from facial_expressions.plain_text import counted
from facial_expressions.results import Face, ImageResult
from facial_expressions.shown import count_expressions

_THUMB_PX: Final = 360
_SUREST: Final = 6
"""So many faces are shown of each expression."""


class ContactSheet:
    """Collects images with what was found in them; only small copies are kept.

    Args:
        title: Heading of the page.
        labels: Every expression that may occur, in the order in which they are listed.

    Raises:
        MissingExtraError: Jinja2 is not installed.

    Examples:
        >>> sheet = ContactSheet("Holiday", ("happy", "sad"))
        >>> sheet.add("a.jpg", ImageResult("a.jpg", "ok", 8, 6), np.zeros((6, 8, 3), np.uint8))
        >>> "1 image" in sheet.to_html()
        True
    """

    def __init__(self, title: str, labels: Sequence[str]) -> None:
        environment()  # says before the work that something is not installed
        self._title = title
        self._thumbs: list[tuple[str, str, ImageResult]] = []
        self._problems: list[tuple[str, str]] = []
        self._faces = Counter(dict.fromkeys(labels, 0))
        self._surest: dict[str, list[tuple[float, str, str]]] = {label: [] for label in labels}

    def add(self, name: str, result: ImageResult, image: NDArray[np.uint8] | None = None) -> None:
        """Add an image.

        Args:
            name: What the page calls it.
            result: What was found in it, or why it was not read.
            image: RGB ``uint8 (H, W, 3)``; None where it was not read.
        """
        if image is None:
            self._problems.append((name, result.error))
            return
        self._faces.update(face.expression for face in result.faces)
        for face in result.faces:
            self._keep_if_sure(name, face, image)
        thumb = Image.fromarray(image)
        thumb.thumbnail((_THUMB_PX, _THUMB_PX), reducing_gap=2.0)
        self._thumbs.append((name, jpeg_uri(thumb), result))

    def to_html(self) -> str:
        """Return the page: shares, the most confident of each expression, every image."""
        n_faces = self._faces.total()
        n_images = len(self._thumbs) + len(self._problems)
        return render(
            "contact_sheet.html",
            title=self._title,
            summary=f"{counted(n_images, 'image')}, {counted(n_faces, 'face')}",
            n_images=n_images,
            n_faces=n_faces,
            faces=self._faces,
            confident={label: found for label, found in self._surest.items() if found},
            thumbs=self._thumbs,
            problems=self._problems,
            count_expressions=count_expressions,
        )

    def _keep_if_sure(self, name: str, face: Face, image: NDArray[np.uint8]) -> None:
        """Keep the face if its answer is certain and among the most confident of its expression."""
        kept = self._surest[face.expression]
        is_among = len(kept) < _SUREST or face.confidence > kept[-1][0]
        if not face.uncertain and is_among:
            kept.append((face.confidence, name, jpeg_uri(face_thumbnail(image, face.box))))
            kept.sort(key=lambda one: -one[0])
            del kept[_SUREST:]
