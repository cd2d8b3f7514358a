"""Where results go: what every sink has, and the choice of one by a file's ending.

Sinks are context managers with ``write``; any number of them can stand in one ``with`` block or an
``ExitStack``. Leaving the block closes the file, also after Ctrl-C, so that what was written until
then is valid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from facial_expressions.media.row_sinks import CsvSink, JsonLinesSink, ParquetSink

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


def _open_video(path: Path, *, source: str, labels: Sequence[str]) -> Sink:
    from facial_expressions.media.video_sink import VideoSink  # needs PyAV

    return VideoSink(path, sound_from=source if Path(source).is_file() else None)


_SINKS: Final[dict[str, Callable[..., Sink]]] = {
    ".jsonl": JsonLinesSink,
    ".csv": CsvSink,
    ".parquet": ParquetSink,
    ".mp4": _open_video,
}
