"""Write results as rows: JSON Lines, CSV and Parquet.

JSON Lines has one line per frame. CSV and Parquet have one row per face, and one row with those
columns empty for a frame without a face. Probabilities and times have six decimals, pixels two. A
line is on the disk as soon as its frame is done; Parquet is written in groups of rows and readable
once it is closed. What is no UTF-8 in a video's name is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TextIO

from facial_expressions.csv_rows import to_csv_line
from facial_expressions.errors import MissingExtraError
from facial_expressions.media.frames import ClosedAtExit

if TYPE_CHECKING:
    from facial_expressions.media.frames import Frame
    from facial_expressions.results import FrameResult, TrackedFace

__all__ = ["CsvSink", "JsonLinesSink", "ParquetSink", "to_json"]

_DECIMALS: Final = 6
_PIXEL_DECIMALS: Final = 2
_GROUP_ROWS: Final = 4096

_FRAME_COLUMNS: Final = {
    "source": "string", "frame": "int64", "time_s": "float64", "width": "int32", "height": "int32",
}  # fmt: skip
_FACE_COLUMNS: Final = {
    "track_id": "int32", "is_detected": "bool", "left": "float32", "top": "float32",
    "right": "float32", "bottom": "float32", "detection_score": "float32", "expression": "string",
    "confidence": "float32", "uncertain": "bool",
}  # fmt: skip


def to_json(result: FrameResult, *, source: str) -> str:
    """Return a frame's line of JSON, rounded.

    Args:
        result: The frame's result.
        source: What the line calls the video.
    """
    data = result.to_dict()
    data["time_s"] = round(data["time_s"], _DECIMALS)
    for face in data["faces"]:
        face["box"] = _rounded(face["box"], _PIXEL_DECIMALS)
        face["landmarks"] = [_rounded(point, _PIXEL_DECIMALS) for point in face["landmarks"]]
        for name in ("detection_score", "confidence", "uncertain_below"):
            face[name] = round(face[name], _DECIMALS)
        probabilities = face["probabilities"]
        face["probabilities"] = {k: round(value, _DECIMALS) for k, value in probabilities.items()}
    line = {"schema": data.pop("schema"), "source": source, "frame": data.pop("index"), **data}
    return json.dumps(line, ensure_ascii=False, allow_nan=False)


class _FileSink(ClosedAtExit):
    """A text file that is closed at the end of the ``with`` block."""

    def __init__(self, path: Path) -> None:
        self._file: TextIO = path.open(
            "w", encoding="utf-8", errors="backslashreplace", newline="\n"
        )

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class JsonLinesSink(_FileSink):
    """One line of JSON per frame.

    Args:
        path: The file; replaced when it exists.
        source: What the rows call the video.

    Raises:
        OSError: The file cannot be written.
    """

    def __init__(self, path: Path, *, source: str) -> None:
        super().__init__(path)
        self._source = source

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Write a frame's line.

        Args:
            frame: Not looked at.
            result: The frame's result.
        """
        self._file.write(to_json(result, source=self._source) + "\n")
        self._file.flush()


class CsvSink(_FileSink):
    """One line per face, under a line of column names.

    Args:
        path: The file; replaced when it exists.
        source: What the rows call the video.
        labels: Names of the expressions, a column each.

    Raises:
        OSError: The file cannot be written.
    """

    def __init__(self, path: Path, *, source: str, labels: Sequence[str]) -> None:
        super().__init__(path)
        self._source, self._labels = source, labels
        self._file.write(to_csv_line([*_FRAME_COLUMNS, *_FACE_COLUMNS, *labels]) + "\n")

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Write a frame's lines.

        Args:
            frame: Not looked at.
            result: The frame's result.
        """
        for row in _rows(result, self._source, self._labels):
            self._file.write(to_csv_line(row) + "\n")
        self._file.flush()


class ParquetSink:
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
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise MissingExtraError.of("video", "pyarrow") from error
        columns = {**_FRAME_COLUMNS, **_FACE_COLUMNS, **dict.fromkeys(labels, "float32")}
        fields = [(name, pyarrow.type_for_alias(kind)) for name, kind in columns.items()]
        self._build_table = pyarrow.Table.from_arrays
        self._schema: Any = pyarrow.schema(fields)
        self._build_array = pyarrow.array
        self._writer: Any = pyarrow.parquet.ParquetWriter(path, self._schema)
        self._source = source.encode("utf-8", "backslashreplace").decode()
        self._labels = labels
        self._waiting: list[tuple[Any, ...]] = []

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Take a frame's rows; they are written in groups.

        Args:
            frame: Not looked at.
            result: The frame's result.
        """
        self._waiting += _rows(result, self._source, self._labels)
        if len(self._waiting) >= _GROUP_ROWS:
            self._write_group()

    def _write_group(self) -> None:
        columns = zip(*self._waiting, strict=True)
        pairs = zip(columns, self._schema, strict=True)
        arrays = [self._build_array(values, field.type) for values, field in pairs]
        self._writer.write_table(self._build_table(arrays, schema=self._schema))
        self._waiting = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._waiting:
                self._write_group()
        finally:
            self._writer.close()


def _rows(result: FrameResult, source: str, labels: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return one row per face; one with empty columns when there is none."""
    time_s = round(result.time_s, _DECIMALS)
    start = (source, result.index, time_s, result.width, result.height)
    empty = (None,) * (len(_FACE_COLUMNS) + len(labels))
    faces = [(*start, *_face_values(face, labels)) for face in result.faces]
    return faces or [(*start, *empty)]


def _face_values(face: TrackedFace, labels: Sequence[str]) -> tuple[Any, ...]:
    probabilities = face.probabilities
    return (
        face.track_id,
        face.is_detected,
        *_rounded(face.box.xyxy, _PIXEL_DECIMALS),
        round(face.detection_score, _DECIMALS),
        face.expression,
        round(face.confidence, _DECIMALS),
        face.uncertain,
        *(round(probabilities[label], _DECIMALS) for label in labels),
    )


def _rounded(values: Sequence[float], decimals: int) -> list[float]:
    return [round(value, decimals) for value in values]
