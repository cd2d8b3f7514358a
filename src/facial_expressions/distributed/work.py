"""What a worker of a batch does: a few inputs to one row each, whatever the inputs are."""

from __future__ import annotations

import stat
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from facial_expressions.distributed.inputs import BatchInput
from facial_expressions.errors import FacialExpressionsError, first_line
from facial_expressions.inference.contracts import RowRecognizer
from facial_expressions.plain_text import shown
from facial_expressions.results import ImageResult

MAX_MEMBER_BYTES: Final = 256 * 1024**2
"""Larger members of an archive are rejected unread."""

RecognizerFactory = Callable[[], RowRecognizer]
"""Opens a worker's recognizer, in that worker; must pickle."""


Row = dict[str, Any]
"""What ``ImageResult.to_dict`` returns."""


@dataclass
class RowMaker:
    """Runs in a worker, whatever that is.

    Attributes:
        factory: Opens its recognizer, when it is told to.
        root: Folder at which relative paths start.
    """

    factory: RecognizerFactory
    root: Path

    def open(self) -> FacialExpressionsError | None:
        """Open the recognizer; return why it cannot be opened."""
        warnings.filterwarnings("ignore", module=r"PIL\.")  # of metadata that is ignored anyway
        try:
            self._recognizer = self.factory()
        except FacialExpressionsError as error:
            return error
        return None

    def answer(self, inputs: Sequence[BatchInput]) -> list[Row]:
        """Recognise a few inputs, one row each; all faces go through the network at once."""
        read = [_read(one, self.root) for one in inputs]
        sources = [one for one in read if not isinstance(one, ImageResult)]
        results = self._recognizer.recognize_rows(sources, batch_size=max(1, len(sources)))
        rows = []
        for one, source in zip(inputs, read, strict=True):
            result = source if isinstance(source, ImageResult) else next(results)
            rows.append(replace(result, source=one.source).to_dict())
        return rows


def _read(one: BatchInput, root: Path) -> Path | bytes | ImageResult:
    """Return what the recognizer reads, or the result when that cannot be read at all."""
    if one.status:
        return ImageResult(one.source, one.status, error=one.error)
    path = root / (one.archive or one.source)
    if one.n_bytes > MAX_MEMBER_BYTES:
        reason = (
            f"{shown(one.source)}: too large ({one.n_bytes:,} bytes). The limit "
            f"is {MAX_MEMBER_BYTES:,}"
        )
        return ImageResult(one.source, "rejected", error=reason)
    reason = ""
    try:
        if one.archive:
            with path.open("rb") as file:
                file.seek(one.offset)
                return file.read(one.n_bytes)
        if stat.S_ISREG(path.stat().st_mode):
            path.open("rb").close()
    except FileNotFoundError:
        if one.is_listed or one.archive:
            reason = f"vanished: {shown(path)} was there when the inputs were listed"
    except PermissionError:
        reason = f"permission: {shown(path)} cannot be read"
    except (OSError, ValueError) as error:
        if one.archive:
            reason = f"{shown(path)}: the archive cannot be read: {first_line(error)}"
    # Whatever else is wrong with a file, the recognizer says so.
    return ImageResult(one.source, "failed", error=reason) if reason else path
