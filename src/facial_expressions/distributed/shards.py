"""Write shards of rows: a shard has its name only when it is whole.

JSON Lines hold the rows as they are. Parquet has a row per input too, with the columns of the JSON:
``faces`` is a list of structures, empty where there are none.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

from facial_expressions.files import atomic_write
from facial_expressions.parquet_rows import ParquetRows
from facial_expressions.rows import IMAGE

__all__ = ["SHARD_FORMATS", "ShardFormat", "WriteRow", "open_shard"]

ShardFormat = Literal["jsonl", "parquet"]
SHARD_FORMATS: Final[tuple[ShardFormat, ...]] = ("jsonl", "parquet")

WriteRow = Callable[[str], object]
"""Adds a row to a shard: its line of JSON, without the end of the line."""


@contextlib.contextmanager
def open_shard(path: Path, file_format: ShardFormat, labels: Sequence[str]) -> Iterator[WriteRow]:
    """Begin a shard; it has its name when the ``with`` block has ended without an error.

    Args:
        path: Its final name; replaced when it exists.
        file_format: ``jsonl`` or ``parquet``.
        labels: Names of the expressions.

    Yields:
        A function that takes one row after the other.

    Raises:
        StorageError: The file cannot be written.
        MissingExtraError: Parquet needs pyarrow, which is not installed.
    """
    with atomic_write(path) as file:
        if file_format == "parquet":
            rows = ParquetRows(file, IMAGE, labels, extra="parquet")
            with contextlib.closing(rows):
                yield lambda line: rows.write(json.loads(line))
        else:  # a name that is no UTF-8 becomes JSON's own escape of it
            yield lambda line: file.write(line.encode("utf-8", "backslashreplace") + b"\n")
