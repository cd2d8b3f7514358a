"""Where results go: rows as JSON Lines, CSV or Parquet, or a marked video.

JSON Lines has one line per frame; CSV and Parquet one row per face, or one with those columns
empty. A line is on the disk as soon as its frame is done; a Parquet file has its index at its end,
and until then small ones lie beside it. Without a frame there is no file. Leaving the ``with``
block, also by Ctrl-C, closes it: what was written until then is valid.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol

from facial_expressions.files import (
    GrowingFile,
    atomic_write,
    check_name,
    output_error,
    storage_errors,
)
from facial_expressions.media.frames import Frame
from facial_expressions.parquet_rows import GROUP_ROWS, import_pyarrow, parquet_writer
from facial_expressions.results import FrameResult
from facial_expressions.rows import FRAME, csv_header, table_columns, table_rows, to_csv, to_json

_PARTS_AT_ONCE: Final = 8
_PART_S: Final = 5.0
"""Rows of Parquet wait in memory no longer than this."""

_LOGGER: Final = logging.getLogger(__name__)


class Sink(AbstractContextManager["Sink"], Protocol):
    """Takes results one by one; to plug in one's own, write a class with these methods."""

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Take the next frame and its result."""


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
    """
    file = Path(path)
    build = _SINKS.get(file.suffix.lower())
    if build is None:
        raise ValueError(f"{file}: format not supported. Supported: .csv, .jsonl, .mp4, .parquet")
    if file.exists() and Path(source).exists() and file.samefile(source):
        raise FileExistsError(
            f"{file}: the source itself, which is never replaced. Choose another name"
        )
    if file.exists() and not overwrite:
        raise FileExistsError(f"{file}: exists already. Choose another name")
    return build(file, source=source, labels=tuple(labels), overwrite=overwrite)


class Sinks(AbstractContextManager["Sinks"]):
    """Several sinks as one: one that fails is closed, the others continue.

    Attributes:
        errors: Of each sink that failed, by its name, what went wrong.
    """

    def __init__(self, sinks: Mapping[str, Sink]) -> None:
        self._sinks = dict(sinks)
        self.errors: dict[str, str] = {}

    @property
    def all_failed(self) -> bool:
        """Whether there is no sink that still works, though there were some."""
        return bool(self.errors) and not self._sinks

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Hand a frame to every sink that still works."""
        for name, sink in list(self._sinks.items()):
            with self._apart(name):
                sink.write(frame, result)

    def __exit__(self, *error: Any) -> None:  # noqa: ANN401 - as Python gives them
        def leave(name: str) -> None:
            with self._apart(name):
                self._sinks.pop(name).__exit__(*error)

        with ExitStack() as stack:
            for name in self._sinks:
                stack.callback(leave, name)

    @contextmanager
    def _apart(self, name: str) -> Iterator[None]:
        """Keep a sink's error to itself."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, the other sinks continue
            self.errors[name] = output_error(name, error)
            _LOGGER.error("%s", self.errors[name])  # noqa: TRY400 - one line, no traceback
            if (sink := self._sinks.pop(name, None)) is not None:
                with suppress(Exception):  # the first error says why
                    sink.__exit__(type(error), error, error.__traceback__)


class _TextSink(Sink):
    """Rows as CSV under a line of column names, or one line of JSON per frame."""

    def __init__(self, path: Path, *, source: str, labels: Sequence[str], overwrite: bool) -> None:
        self._source, self._labels = source, labels
        self._is_csv = path.suffix.lower() == ".csv"
        self._file = GrowingFile(path, overwrite=overwrite)

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Write a frame's lines, at once."""
        row = result.to_dict(self._source)
        lines = to_csv(FRAME, row, self._labels) if self._is_csv else to_json(FRAME, row)
        if self._is_csv and not self._file.tell():
            lines = csv_header(FRAME, self._labels) + "\n" + lines
        self._file.write((lines + "\n").encode("utf-8", "backslashreplace"))

    def __exit__(self, *error: object) -> None:
        if not self._file.tell():
            self._file.remove()
        self._file.close()


class _ParquetSink(Sink):
    """The rows of a CSV with types, for data frames, in a file that appears when it is closed.

    Such a file has its index at its end. Until then the rows lie in small files of their own, whole
    ones, in a folder beside it: that is what a run that is killed leaves.
    """

    def __init__(self, path: Path, *, source: str, labels: Sequence[str], overwrite: bool) -> None:
        self._arrow = import_pyarrow("video")
        self._source, self._labels = source, labels
        self._columns = table_columns(FRAME, labels)
        self._path, self._folder = path, path.with_name(f"{path.name}.parts")
        check_name(path, overwrite=overwrite)
        with storage_errors(self._folder):
            if overwrite and self._folder.is_dir() and not self._folder.is_symlink():
                self._remove_parts()
            self._folder.mkdir()
        self._waiting: list[Mapping[str, Any]] = []
        self._n_parts = 0
        self._written_s = time.monotonic()

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Take a frame's rows; they are on the disk within seconds."""
        self._waiting += table_rows(FRAME, result.to_dict(self._source), self._labels)
        if len(self._waiting) >= GROUP_ROWS or time.monotonic() - self._written_s >= _PART_S:
            self._write_part()

    def __exit__(self, *error: object) -> None:
        try:
            if self._waiting:
                self._write_part()
        except OSError:
            with suppress(OSError):  # parts from before stay
                self._folder.rmdir()
            raise
        if parts := self._parts():
            parquet = self._arrow.parquet
            schema = parquet.read_schema(parts[0])
            with atomic_write(self._path) as file, parquet.ParquetWriter(file, schema) as writer:
                for start in range(0, len(parts), _PARTS_AT_ONCE):
                    some = map(parquet.read_table, parts[start : start + _PARTS_AT_ONCE])
                    writer.write_table(self._arrow.concat_tables(some))
        self._remove_parts()

    def _write_part(self) -> None:
        rows, self._waiting = self._waiting, []
        part = self._folder / f"{self._n_parts:06}.parquet"
        with (
            atomic_write(part) as file,
            parquet_writer(file, self._columns, self._labels, extra="video") as write,
        ):
            for row in rows:
                write(row)
        self._n_parts += 1
        self._written_s = time.monotonic()

    def _parts(self) -> list[Path]:
        return sorted(self._folder.glob("*.parquet"))

    def _remove_parts(self) -> None:
        for part in self._parts():
            part.unlink()
        self._folder.rmdir()


def _open_video(path: Path, *, source: str, labels: Sequence[str], overwrite: bool) -> Sink:
    from facial_expressions.media.image_frames import image_kind
    from facial_expressions.media.video_sink import VideoSink  # needs PyAV

    sound_from = source if Path(source).is_file() and not image_kind(source) else None
    return VideoSink(path, sound_from=sound_from, overwrite=overwrite)


_SINKS: Final[dict[str, Callable[..., Sink]]] = {
    ".jsonl": _TextSink,
    ".csv": _TextSink,
    ".parquet": _ParquetSink,
    ".mp4": _open_video,
}
