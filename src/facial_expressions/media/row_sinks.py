"""Write the rows of a video: JSON Lines, CSV and Parquet.

JSON Lines has one line per frame. CSV and Parquet have one row per face, and one row with those
columns empty for a frame without a face. A line is on the disk as soon as its frame is done;
Parquet is written in groups of rows and readable once it is closed. What is no UTF-8 in a video's
name is escaped.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from facial_expressions.media.frames import ClosedAtExit
from facial_expressions.parquet_rows import ParquetRows
from facial_expressions.rows import FRAME, csv_header, table_columns, table_rows, to_csv, to_json

if TYPE_CHECKING:
    from facial_expressions.media.frames import Frame
    from facial_expressions.results import FrameResult

__all__ = ["CsvSink", "JsonLinesSink", "ParquetSink"]


class _TextSink(ClosedAtExit):
    """A text file of rows.

    Args:
        path: The file; replaced when it exists.
        source: What the rows call the video.
        labels: Names of the expressions.

    Raises:
        OSError: The file cannot be written.
    """

    def __init__(self, path: Path, *, source: str, labels: Sequence[str]) -> None:
        self._source, self._labels = source, labels
        self._file: TextIO = path.open(
            "w", encoding="utf-8", errors="backslashreplace", newline="\n"
        )

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Write a frame's lines.

        Args:
            frame: Not looked at.
            result: The frame's result.
        """
        self._file.write(self._lines(result.to_dict(self._source)) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @abstractmethod
    def _lines(self, row: dict[str, Any]) -> str:
        """Return the lines of a frame's row, without the end of the last."""


class JsonLinesSink(_TextSink):
    """One line of JSON per frame."""

    def _lines(self, row: dict[str, Any]) -> str:
        return to_json(FRAME, row)


class CsvSink(_TextSink):
    """One line per face, under a line of column names."""

    def __init__(self, path: Path, *, source: str, labels: Sequence[str]) -> None:
        super().__init__(path, source=source, labels=labels)
        self._file.write(csv_header(FRAME, labels) + "\n")

    def _lines(self, row: dict[str, Any]) -> str:
        return to_csv(FRAME, row, self._labels)


class ParquetSink(ClosedAtExit):
    """The rows of ``CsvSink`` with types, for data frames.

    Args:
        path: The file; replaced when it exists.
        source: What the rows call the video.
        labels: Names of the expressions, a column each.

    Raises:
        MissingExtraError: pyarrow is not installed.
        OSError: The file cannot be written.
    """

    def __init__(self, path: Path, *, source: str, labels: Sequence[str]) -> None:
        self._source, self._labels = source, labels
        self._rows = ParquetRows(path, table_columns(FRAME, labels), labels, extra="video")

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Take a frame's rows; they are written in groups.

        Args:
            frame: Not looked at.
            result: The frame's result.
        """
        for row in table_rows(FRAME, result.to_dict(self._source), self._labels):
            self._rows.write(row)

    def close(self) -> None:
        """Write what still waits, and close the file."""
        self._rows.close()
