"""Where results go: rows as JSON Lines, CSV or Parquet, or a marked video.

Sinks are context managers with ``write``; any number of them can stand in one ``with`` block or an
``ExitStack``. Leaving the block closes the file, also after Ctrl-C, so that what was written until
then is valid.

JSON Lines has one line per frame. CSV and Parquet have one row per face, and one row with those
columns empty for a frame without a face. A line is on the disk as soon as its frame is done;
Parquet is written in groups of rows and readable once it is closed. What is no UTF-8 in a video's
name is escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from facial_expressions.media.frames import ClosedAtExit
from facial_expressions.parquet_rows import ParquetRows
from facial_expressions.rows import FRAME, csv_header, table_columns, table_rows, to_csv, to_json

if TYPE_CHECKING:
    from facial_expressions.media.frames import Frame
    from facial_expressions.results import FrameResult

__all__ = ["Sink", "open_sink"]


class Sink(AbstractContextManager["Sink"], Protocol):
    """Takes results one by one; to plug in one's own, write a class with these methods."""

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Take the next frame and its result.

        Args:
            frame: The frame's pixels.
            result: What was found in it.
        """
        ...


def open_sink(
    path: str | Path, *, source: str, labels: Sequence[str], overwrite: bool = False
) -> Sink:
    """Open a sink of the kind that the path's ending names.

    Args:
        path: ``.jsonl``, ``.csv``, ``.parquet`` or ``.mp4``.
        source: What rows call the source; a video takes its sound from the file of this name.
        labels: Names of the expressions, in the order of the columns.
        overwrite: Whether a file that exists is replaced.

    Raises:
        FileExistsError: The file exists and is not to be replaced, or it is the source.
        MissingExtraError: A package of the extra ``video`` is not installed.
        OSError: The file cannot be written.
        ValueError: The ending is none of these.

    Examples:
        >>> open_sink("rows.txt", source="clip.mp4", labels=("happy", "sad"))
        Traceback (most recent call last):
        ...
        ValueError: a sink's file ends in .csv, .jsonl, .mp4 or .parquet; received rows.txt; ...
    """
    file = Path(path)
    build = _SINKS.get(file.suffix.lower())
    if build is None:
        raise ValueError(
            f"a sink's file ends in .csv, .jsonl, .mp4 or .parquet; received {file}; "
            "choose one of these endings"
        )
    if file.exists() and Path(source).exists() and file.samefile(source):
        raise FileExistsError(
            f"a result never replaces its source; received {file} for both; choose another name"
        )
    if file.exists() and not overwrite:
        raise FileExistsError(f"the file exists already; received {file}; choose another name")
    return build(file, source=source, labels=tuple(labels))


class _TextSink(ClosedAtExit):
    """A text file of rows: CSV under a line of column names, or one line of JSON per frame."""

    def __init__(self, path: Path, *, source: str, labels: Sequence[str]) -> None:
        self._source, self._labels = source, labels
        self._is_csv = path.suffix.lower() == ".csv"
        self._file = path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n")
        if self._is_csv:
            self._file.write(csv_header(FRAME, labels) + "\n")

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Write a frame's lines, at once."""
        row = result.to_dict(self._source)
        lines = to_csv(FRAME, row, self._labels) if self._is_csv else to_json(FRAME, row)
        self._file.write(lines + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _ParquetSink(ClosedAtExit):
    """The rows of a CSV with types, for data frames."""

    def __init__(self, path: Path, *, source: str, labels: Sequence[str]) -> None:
        self._source, self._labels = source, labels
        self._rows = ParquetRows(path, table_columns(FRAME, labels), labels, extra="video")

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Take a frame's rows; they are written in groups."""
        for row in table_rows(FRAME, result.to_dict(self._source), self._labels):
            self._rows.write(row)

    def close(self) -> None:
        """Write what still waits, and close the file."""
        self._rows.close()


def _open_video(path: Path, *, source: str, labels: Sequence[str]) -> Sink:
    from facial_expressions.media.video_sink import VideoSink  # needs PyAV

    return VideoSink(path, sound_from=source if Path(source).is_file() else None)


_SINKS: Final[dict[str, Callable[..., Sink]]] = {
    ".jsonl": _TextSink,
    ".csv": _TextSink,
    ".parquet": _ParquetSink,
    ".mp4": _open_video,
}
