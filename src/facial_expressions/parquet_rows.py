"""Write rows as Parquet: of a video one per face, of a batch one per image with its faces."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

from facial_expressions.errors import needs_extra
from facial_expressions.files import atomic_write, check_name, storage_errors
from facial_expressions.rows import Column

_GROUP_ROWS: Final = 1024
_PARTS_AT_ONCE: Final = 8
_PART_S: Final = 5.0
"""Rows wait in memory no longer than this."""


def import_pyarrow(extra: str) -> Any:  # noqa: ANN401 - pyarrow publishes no types
    """Return pyarrow with its module ``parquet``.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    with needs_extra(extra):
        import pyarrow
        import pyarrow.parquet
    return pyarrow


@contextmanager
def parquet_writer(
    file: Path | BinaryIO, columns: Sequence[Column], labels: Sequence[str], *, extra: str
) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Begin a Parquet file, which is readable when the block has ended; rows go there in groups.

    Yields:
        A function that takes a row; a column that it lacks is null, a list of rows empty.

    Raises:
        MissingExtraError: pyarrow is not installed.
        OSError: The file cannot be written.
    """
    arrow = import_pyarrow(extra)
    schema = arrow.schema(_fields(arrow, columns, labels))
    empty: dict[str, Any] = {one.name: [] for one in columns if one.columns and one.shape}
    waiting: list[dict[str, Any]] = []
    with arrow.parquet.ParquetWriter(file, schema) as writer:

        def write_group() -> None:
            writer.write_table(arrow.Table.from_pylist(waiting, schema=schema))
            waiting.clear()

        def write(row: Mapping[str, Any]) -> None:
            waiting.append({**empty, **{name: _utf8(row[name]) for name in row}})
            if len(waiting) >= _GROUP_ROWS:
                write_group()

        yield write
        if waiting:
            write_group()


class ParquetParts:
    """Rows in a Parquet file that appears, whole, when it is closed.

    Such a file has its index at its end. Until then the rows lie in small files of their own, whole
    ones, in a folder beside it: that is what a run that is killed leaves.

    Raises:
        MissingExtraError: pyarrow is not installed.
        StorageError: The folder cannot be made, or a file cannot be written.
    """

    def __init__(
        self, path: Path, columns: Sequence[Column], labels: Sequence[str], *, overwrite: bool
    ) -> None:
        self._arrow = import_pyarrow("video")
        self._begin = partial(parquet_writer, columns=columns, labels=labels, extra="video")
        self._path, self._folder = path, path.with_name(f"{path.name}.parts")
        check_name(path, overwrite=overwrite)
        with storage_errors(self._folder):
            if overwrite and self._folder.is_dir() and not self._folder.is_symlink():
                self._remove_parts()
            self._folder.mkdir()
        self._waiting: list[Mapping[str, Any]] = []
        self._n_parts = 0
        self._written_s = time.monotonic()

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows; they are on the disk within seconds."""
        self._waiting += rows
        is_due = time.monotonic() - self._written_s >= _PART_S
        if is_due or len(self._waiting) >= _GROUP_ROWS:
            self._write_part()

    def close(self) -> None:
        """Put the parts together under the file's name; without a row there is no file."""
        try:
            if self._waiting:
                self._write_part()
        except OSError:
            with suppress(OSError):  # parts from before stay
                self._folder.rmdir()
            raise
        if parts := self._parts():
            with atomic_write(self._path) as file:
                self._join(parts, file)
        self._remove_parts()

    def _write_part(self) -> None:
        rows, self._waiting = self._waiting, []
        part = self._folder / f"{self._n_parts:06}.parquet"
        with atomic_write(part) as file, self._begin(file) as write:
            for row in rows:
                write(row)
        self._n_parts += 1
        self._written_s = time.monotonic()

    def _parts(self) -> list[Path]:
        return sorted(self._folder.glob("*.parquet"))

    def _join(self, parts: Sequence[Path], file: BinaryIO) -> None:
        """Copy the parts' rows, few at a time."""
        read = self._arrow.parquet.read_table
        with self._arrow.parquet.ParquetWriter(file, read(parts[0]).schema) as writer:
            for start in range(0, len(parts), _PARTS_AT_ONCE):
                tables = [read(part) for part in parts[start : start + _PARTS_AT_ONCE]]
                writer.write_table(self._arrow.concat_tables(tables))

    def _remove_parts(self) -> None:
        for part in self._parts():
            part.unlink()
        self._folder.rmdir()


def _utf8(value: Any) -> Any:  # noqa: ANN401
    """Escape what is no UTF-8 in a name: Parquet's texts are UTF-8 without exception."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _fields(arrow: Any, columns: Sequence[Column], labels: Sequence[str]) -> dict[str, Any]:  # noqa: ANN401
    shown = [column for column in columns if "shard" in column.outputs]
    return {column.name: _type(arrow, column, labels) for column in shown}


def _type(arrow: Any, column: Column, labels: Sequence[str]) -> Any:  # noqa: ANN401
    if column.columns:
        kind = arrow.struct(_fields(arrow, column.columns, labels))
    else:
        kind = arrow.type_for_alias(column.kind)
    if column.is_by_label:
        kind = arrow.struct(dict.fromkeys(labels, kind))
    for length in reversed(column.shape):
        kind = arrow.list_(kind, -1 if length is None else length)
    return kind
