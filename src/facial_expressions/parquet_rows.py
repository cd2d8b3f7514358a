"""Write rows as Parquet: of a video one per face, of a batch one per image with its faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

from facial_expressions.errors import needs_extra
from facial_expressions.rows import Column

__all__ = ["ParquetRows", "import_pyarrow"]

_GROUP_ROWS: Final = 1024


def import_pyarrow(extra: str) -> Any:  # noqa: ANN401 - pyarrow publishes no types
    """Return pyarrow with its module ``parquet``.

    Args:
        extra: The extra that installs it, for the error.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    with needs_extra(extra):
        import pyarrow
        import pyarrow.parquet
    return pyarrow


class ParquetRows:
    """Rows in a Parquet file, which is readable once it is closed; they are written in groups.

    Args:
        file: A path, or a file that is open for writing.
        columns: Columns of the rows.
        labels: Names of the expressions.
        extra: The extra that installs pyarrow, for the error.

    Raises:
        MissingExtraError: pyarrow is not installed.
        OSError: The file cannot be written.
    """

    def __init__(
        self, file: Path | BinaryIO, columns: Sequence[Column], labels: Sequence[str], *, extra: str
    ) -> None:
        arrow = import_pyarrow(extra)
        self._schema = arrow.schema(_fields(arrow, columns, labels))
        self._build_table = arrow.Table.from_pylist
        self._writer = arrow.parquet.ParquetWriter(file, self._schema)
        self._empty: dict[str, Any] = {
            column.name: [] for column in columns if column.columns and column.shape
        }
        self._waiting: list[dict[str, Any]] = []

    def write(self, row: Mapping[str, Any]) -> None:
        """Add a row.

        Args:
            row: Values by column; a column that it lacks is null, a list of rows empty.
        """
        self._waiting.append({**self._empty, **{name: _utf8(row[name]) for name in row}})
        if len(self._waiting) >= _GROUP_ROWS:
            self._write_group()

    def close(self) -> None:
        """Write what still waits, and end the file."""
        try:
            if self._waiting:
                self._write_group()
        finally:
            self._writer.close()

    def _write_group(self) -> None:
        rows, self._waiting = self._waiting, []
        self._writer.write_table(self._build_table(rows, schema=self._schema))


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
