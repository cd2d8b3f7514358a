"""What results do of themselves in a notebook or script: show, save and tabulate.

Drawing and tables lie in higher layers, which are loaded when they are asked for.
"""

from __future__ import annotations

import base64
import html
import importlib
import io
import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final

from facial_expressions.errors import FacialExpressionsError, ImageFormatError
from facial_expressions.files import write_file

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image

SAVED_AS: Final = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""Format of a marked image by the ending of its file."""

_NOTEBOOK_SIDE: Final = 960
_QUALITY: Final = 92


class Tabular:
    """A result that becomes a table of pandas."""

    __slots__ = ()

    def to_dataframe(self) -> pd.DataFrame:
        """Return a table of one row per face, or one without a face; see ``fx.to_dataframe``.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        frame: pd.DataFrame = _from("dataframes", "to_dataframe")(self)
        return frame


class Shown(Tabular, ABC):
    """A result whose faces can be drawn into its image."""

    __slots__ = ()

    def show(self) -> None:
        """Show the image with its faces marked: in the notebook, or in the system's viewer.

        Raises:
            ImageError: The image cannot be read any more, or was not kept.
            FacialExpressionsError: There is no viewer.
        """
        from PIL import ImageShow

        image, ipython = self._marked(), sys.modules.get("IPython")
        shell = ipython.get_ipython() if ipython else None
        if hasattr(shell, "kernel"):
            importlib.import_module("IPython.display").display(image)
        elif not ImageShow.show(image):
            raise FacialExpressionsError(
                "no program to show an image was found. Save it instead: .save('marked.png')"
            )

    def save(self, path: str | Path) -> Path:
        """Save the image with its faces marked, as PNG, JPEG or WebP by the ending; replaces.

        Args:
            path: The file to write; its folder has to be there.

        Returns:
            The path.

        Raises:
            ImageFormatError: The ending is another.
            ImageError: The image cannot be read any more, or was not kept.
            StorageError: The file cannot be written.
        """
        suffix = PurePath(path).suffix.lower()
        if suffix not in SAVED_AS:
            raise ImageFormatError(
                f"{PurePath(path).name[:100]}: format not supported. Supported: "
                f"{', '.join(SAVED_AS)}"
            )
        write_file(Path(path), encoded(self._marked(), SAVED_AS[suffix]))
        return Path(path)

    @abstractmethod
    def _marked(self) -> Image:
        """Return the image with its faces marked."""

    @abstractmethod
    def _caption(self) -> str:
        """Return in words what was found."""

    def _repr_html_(self) -> str | None:
        """Return the marked image for a notebook; None, which shows the text, without one."""
        try:
            image = self._marked()
        except (FacialExpressionsError, MemoryError):
            return None
        image.thumbnail((_NOTEBOOK_SIDE, _NOTEBOOK_SIDE))
        data = base64.b64encode(encoded(image, "JPEG")).decode()
        text = html.escape(self._caption())
        return (
            f'<figure style="margin:0"><img alt="{text}" style="max-width:100%" '
            f'src="data:image/jpeg;base64,{data}"><figcaption>{text}</figcaption></figure>'
        )


def count_expressions(expressions: Iterable[str]) -> str:
    """Return how many faces there are of each expression, the most frequent first.

    Examples:
        >>> count_expressions(["sad", "happy", "happy"]), count_expressions(["sad"])
        ('3 faces: 2 happy, 1 sad', '1 face: sad')
    """
    counts = Counter(expressions)
    if counts.total() < 2:
        return f"1 face: {next(iter(counts))}" if counts else "no face"
    each = ", ".join(f"{n} {name}" for name, n in counts.most_common())
    return f"{counts.total()} faces: {each}"


def draw(image: Any, faces: Any, explanations: Any = ()) -> Image:  # noqa: ANN401
    """Return an image with faces marked, as ``draw_faces`` does."""
    drawn: Image = _from("media.draw", "draw_faces")(image, faces, explanations)
    return drawn


def encoded(image: Image, kind: str) -> bytes:
    """Return a marked image as the content of a file, in one of the formats of ``SAVED_AS``."""
    content = io.BytesIO()
    image.save(content, kind, quality=_QUALITY)  # which a PNG has not
    return content.getvalue()


def _from(module: str, name: str) -> Any:  # noqa: ANN401 - a function of a higher layer
    return getattr(importlib.import_module(f"facial_expressions.{module}"), name)
