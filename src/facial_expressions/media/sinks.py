"""Where results go: what every sink has, and the choice of one by a file's ending.

Sinks are context managers with ``write``; any number of them can stand in one ``with`` block or an
``ExitStack``. Leaving the block closes the file, also after Ctrl-C, so that what was written until
then is valid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self

if TYPE_CHECKING:
    from facial_expressions.media.frames import Frame
    from facial_expressions.results import FrameResult

__all__ = ["SINK_SUFFIXES", "Sink", "open_sink"]


class Sink(Protocol):
    """Takes results one by one; to plug in one's own, write a class with these methods."""

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Take the next frame and its result.

        Args:
            frame: The frame's pixels.
            result: What was found in it.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


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
    return build(file, source, tuple(labels))


def _open_rows(path: Path, source: str, labels: tuple[str, ...]) -> Sink:
    from facial_expressions.media.row_sinks import CsvSink, JsonLinesSink, ParquetSink

    kinds: dict[str, type[JsonLinesSink | CsvSink | ParquetSink]]
    kinds = {".jsonl": JsonLinesSink, ".csv": CsvSink, ".parquet": ParquetSink}
    return kinds[path.suffix.lower()](path, source=source, labels=labels)


def _open_mp4(path: Path, source: str, labels: tuple[str, ...]) -> Sink:
    from facial_expressions.media.video_sink import VideoSink

    return VideoSink(path, sound_from=source if Path(source).is_file() else None)


_SINKS: Final[dict[str, Callable[[Path, str, tuple[str, ...]], Sink]]] = {
    ".jsonl": _open_rows,
    ".csv": _open_rows,
    ".parquet": _open_rows,
    ".mp4": _open_mp4,
}

SINK_SUFFIXES: Final = tuple(_SINKS)
"""Endings of the files that ``open_sink`` writes."""
