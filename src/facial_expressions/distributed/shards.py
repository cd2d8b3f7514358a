"""Write shards of rows: a shard has its name only when it is whole.

Rows go into a temporary file beside it, which is flushed to the disk and renamed. JSON Lines hold
the rows as they are. Parquet has a row per input too, with the columns of the JSON: ``faces`` is a
list of structures, empty where there are none.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

from facial_expressions.parquet_rows import ParquetRows
from facial_expressions.rows import IMAGE

__all__ = [
    "SHARD_FORMATS",
    "ShardFormat",
    "ShardWriter",
    "disk_errors_named",
    "replace_durably",
]

ShardFormat = Literal["jsonl", "parquet"]
SHARD_FORMATS: Final[tuple[ShardFormat, ...]] = ("jsonl", "parquet")
PART: Final = ".part"
"""Ending of temporary files."""


@contextlib.contextmanager
def disk_errors_named(path: Path) -> Iterator[None]:
    """Say in words which file could not be written, and how much room there is.

    Args:
        path: The file.

    Raises:
        OSError: Something in the block could not be written.
    """
    try:
        yield
    except OSError as error:
        try:
            room = f"{shutil.disk_usage(path.parent).free:,} bytes are free"
        except OSError:
            room = "the folder cannot be looked at"
        raise OSError(
            f"the output cannot be written; received {path}: {error.strerror or error}, {room}; "
            "make room or mend the rights, then run the same command with --resume"
        ) from error


def replace_durably(part: Path, path: Path) -> None:
    """Rename a file whose content is on the disk, so that the new name survives a power cut.

    Args:
        part: The file.
        path: Its new name.
    """
    part.replace(path)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class ShardWriter:
    """A shard being written; leaving its ``with`` block without an error finishes it.

    Args:
        path: Its final name; replaced when it exists.
        file_format: ``jsonl`` or ``parquet``.
        labels: Names of the expressions.

    Raises:
        OSError: The file cannot be written.
    """

    def __init__(self, path: Path, file_format: ShardFormat, labels: Sequence[str]) -> None:
        self._path = path
        self._part = path.with_name(path.name + PART)
        self._is_parquet, self._labels = file_format == "parquet", labels
        self._rows: ParquetRows | None = None

    def __enter__(self) -> Self:
        with disk_errors_named(self._part):
            self._file = self._part.open("wb")
            if self._is_parquet:
                self._rows = ParquetRows(self._file, IMAGE, self._labels, extra="parquet")
        return self

    def write(self, line: str) -> None:
        """Add a row.

        Args:
            line: Its line of JSON, without the end of the line.
        """
        with disk_errors_named(self._part):
            if self._rows is not None:
                self._rows.write(json.loads(line))
            else:  # A name that is no UTF-8 becomes JSON's own escape of it.
                self._file.write(line.encode("utf-8", "backslashreplace") + b"\n")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                with disk_errors_named(self._part):
                    if self._rows is not None:
                        self._rows.close()
                    self._file.flush()
                    os.fsync(self._file.fileno())
                    self._file.close()
                    replace_durably(self._part, self._path)
        finally:
            _drop(self._part, *filter(None, [self._rows, self._file]))


def _drop(part: Path, *files: Any) -> None:  # noqa: ANN401 - anything that closes
    """Close and remove what is left of a shard that was not finished."""
    for file in files:
        with contextlib.suppress(OSError, ValueError):
            file.close()
    with contextlib.suppress(OSError):
        part.unlink(missing_ok=True)
