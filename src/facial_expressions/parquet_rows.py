"""Write rows as Parquet: of a video one per face, of a batch one per image with its faces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from facial_expressions.errors import needs_extra
from facial_expressions.rows import Column

GROUP_ROWS: Final = 1024
"""Rows that are written together."""


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
            if len(waiting) >= GROUP_ROWS:
                write_group()

        yield write
        if waiting:
            write_group()


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
