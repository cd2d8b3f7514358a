"""The columns of a face, an image and a frame, each declared once, and the rows made of them.

JSON, CSV, Parquet, the server's answers and their description follow from the columns below: one
that is added here is in all of them. Results give exact values; they are rounded when written.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from facial_expressions.plain_text import no_formula, visible

DECIMALS: Final = 6
"""Decimals of probabilities, scores and seconds."""

_PIXEL_DECIMALS: Final = 2
_HEAT_DECIMALS: Final = 3

Kind = Literal["bool", "float32", "float64", "int32", "int64", "string", "row"]
"""Type of a column's values, by Arrow's name; ``row`` where they have columns of their own."""


Output = Literal["object", "shard", "table"]
"""Where a column appears.

An object is a line of JSON or an answer of the server; a shard is the Parquet of a batch, one row
per image with its faces inside; a table is CSV or the Parquet of a video, one row per face.
"""

_NESTED: Final[tuple[Output, ...]] = ("object", "shard")


@dataclass(frozen=True, slots=True)
class Column:
    """One value of a row.

    Attributes:
        name: Its name everywhere.
        kind: Type of the value, or of those in its lists.
        meaning: What it says, for the description of the API.
        decimals: It is written with so many; None leaves it as it is.
        shape: Lengths of its lists, the outer one first; None where any length may be.
        cells: Names of the columns into which a table divides a list.
        columns: Columns of the rows in it; empty for plain values.
        outputs: Where it appears.
        is_by_label: Whether it is an object of one value per expression; a table has a column each.
        is_optional: Whether it is left out where there is nothing to say.
        read: Takes it from a result; None takes the attribute of its name.
    """

    name: str
    kind: Kind
    meaning: str = ""
    decimals: int | None = None
    shape: tuple[int | None, ...] = ()
    cells: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    outputs: tuple[Output, ...] = (*_NESTED, "table")
    is_by_label: bool = False
    is_optional: bool = False
    read: Callable[[Any], Any] | None = None


_SCHEMA: Final = Column("schema", "int32", "version of the row's schema", outputs=_NESTED)
_SOURCE: Final = Column("source", "string", "path or name of the input")
_STATUS: Final = Column("status", "string", "outcome for the input")
_SIZE: Final = (
    Column("width", "int32", "width of the upright image in pixels"),
    Column("height", "int32", "height of the upright image in pixels"),
)

_PREDICTION: Final = (
    Column("expression", "string", "the most probable expression"),
    Column("confidence", "float32", "probability of the expression, 0 to 1", DECIMALS),
    Column("uncertain", "bool",
           "whether the confidence is under uncertain_below, or the face is hard to see"),
    Column("uncertain_below", "float32", "answers less confident are uncertain", DECIMALS,
           outputs=_NESTED),
    Column("probabilities", "float32", "probability of each expression; they sum to 1", DECIMALS,
           is_by_label=True),
)  # fmt: skip

EXPLANATION: Final = (
    Column("expression", "string", "the expression that is explained"),
    Column("heat", "float32",
           "rows of a grid over the face, top first; above 0 supports the expression",
           _HEAT_DECIMALS, shape=(None, None)),
    Column("corners", "float32",
           "the grid's corners in pixels: top left, top right, bottom right, bottom left",
           _PIXEL_DECIMALS, shape=(4, 2)),
)  # fmt: skip
"""Which parts of a face support the answer."""

QUALITY: Final = (
    Column("width_px", "float32", "width of the detector's box in pixels", _PIXEL_DECIMALS),
    Column("sharpness", "float32", "1/3 where all is smooth, 1 in noise, 0 if flat", DECIMALS),
    Column("light", "float32", "grey value that a tenth of the face exceeds, 0 to 255", DECIMALS),
    Column("yaw", "float32", "the nose's offset in eye distances; left out without landmarks",
           DECIMALS, is_optional=True),
    Column("pitch", "float32", "how far the nose is from eyes to mouth; left out without landmarks",
           DECIMALS, is_optional=True),
    Column("roll_degrees", "float32", "tilt of the eye line; left out without landmarks",
           _PIXEL_DECIMALS, is_optional=True),
)  # fmt: skip
"""How well a face can be seen."""

FACE: Final = (
    Column("box", "float32", "left, top, right, bottom in pixels of the upright image",
           _PIXEL_DECIMALS, shape=(4,), cells=("left", "top", "right", "bottom"),
           read=lambda face: face.box.xyxy),
    Column("landmarks", "float32", "eyes, nose and corners of the mouth, x and y",
           _PIXEL_DECIMALS, shape=(None, 2), outputs=_NESTED),
    Column("detection_score", "float32", "confidence of the detector, 0 to 1", DECIMALS),
    *_PREDICTION,
    Column("reasons", "string", "why it is uncertain: small, blurred, dark, turned, tilted, unsure",
           shape=(None,)),
    Column("quality", "row", "what the reasons follow from", columns=QUALITY, outputs=_NESTED,
           is_optional=True),
    # A result holds the explanations beside its faces and adds them itself.
    Column("explanation", "row", "there with explain=true", columns=EXPLANATION,
           outputs=("object",), is_optional=True, read=lambda _: None),
)  # fmt: skip
"""One face of an image."""

TRACKED_FACE: Final = (
    Column("track_id", "int32", "number of the track, counted from 1"),
    Column("is_detected", "bool", "whether the detector found the box on this very frame"),
    *FACE,
)
"""One face of a video's frame."""

_NUMBER: Final = Column("face", "int32", "counted from 1, from left to right", outputs=("table",))

IMAGE: Final = (
    _SCHEMA, _SOURCE, _STATUS, *_SIZE,
    Column("truncated", "bool", "there and true with 100 faces: the image may show more",
           outputs=("object",), is_optional=True),
    Column("faces", "row", "its faces, from the left", shape=(None,), columns=(_NUMBER, *FACE)),
    Column("drawn", "string", "the file with the faces marked, where one was saved",
           outputs=("object", "table"), is_optional=True),
    Column("error", "string", "why the status is not ok", is_optional=True),
)  # fmt: skip
"""One image: exactly one row per input."""

FRAME: Final = (
    _SCHEMA, _SOURCE,
    Column("frame", "int64", "number of the frame, counted from 0"),
    Column("time_s", "float64", "seconds since the video's start, as players show it", DECIMALS),
    Column("pts_s", "float64", "presentation time as the stream has it; left out without one",
           DECIMALS, is_optional=True),
    *_SIZE,
    Column("is_cut", "bool", "whether a new shot begins with the frame; tracks end there"),
    Column("faces", "row", "its faces, from the left", shape=(None,), columns=TRACKED_FACE),
)  # fmt: skip
"""One frame of a video."""

CROP: Final = (_SCHEMA, _STATUS, *_PREDICTION)
"""The answer for one face that is cropped already."""


def as_row(columns: Sequence[Column], result: object, **given: object) -> dict[str, Any]:
    """Return a result as plain values for JSON, unrounded; what there is not is left out.

    Args:
        columns: What to take.
        result: What has an attribute per column.
        **given: Values that are not the result's own; None leaves a column out.

    Examples:
        >>> from facial_expressions.results import Prediction
        >>> answer = Prediction(("happy", "sad"), (0.75, 0.25))
        >>> list(as_row(CROP, answer, schema=1, status="ok"))[:4]
        ['schema', 'status', 'expression', 'confidence']
    """
    row = {}
    for column in columns:
        if "object" not in column.outputs:
            continue
        value = given[column.name] if column.name in given else _take(column, result)
        nothing_to_say = value is None or (column.is_optional and (value is False or value == ""))
        if not nothing_to_say:
            row[column.name] = value
    return row


def rounded(columns: Sequence[Column], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with its numbers rounded, as every output has them.

    Examples:
        >>> rounded(CROP, {"expression": "happy", "confidence": 0.123456789})
        {'expression': 'happy', 'confidence': 0.123457}
    """
    named = {column.name: column for column in columns}
    return {name: _rounded(named[name], value) for name, value in row.items()}


def to_json(columns: Sequence[Column], row: Mapping[str, Any]) -> str:
    """Return a row, which ``to_dict`` of a result gives, as one line of JSON, rounded.

    Examples:
        >>> from facial_expressions.results import ImageResult
        >>> to_json(IMAGE, ImageResult("a.jpg", "ok", 640, 480).to_dict())
        '{"schema": 1, "source": "a.jpg", "status": "ok", "width": 640, "height": 480, "faces": []}'
    """
    return visible(json.dumps(rounded(columns, row), ensure_ascii=False, allow_nan=False))


def table_columns(columns: Sequence[Column], labels: Sequence[str]) -> tuple[Column, ...]:
    """Return the columns of a table: those of the faces among the others, lists divided.

    Examples:
        >>> [column.name for column in table_columns(CROP, ("happy", "sad"))]
        ['status', 'expression', 'confidence', 'uncertain', 'happy', 'sad']
    """
    return tuple(Column(name, column.kind) for column, name, _ in _cells(columns, labels))


def table_rows(
    columns: Sequence[Column], row: Mapping[str, Any], labels: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the rows of a table, rounded: one per face, or one without any where there is none.

    Returns:
        A cell for each of ``table_columns``; None where there is no value. The words of a list that
        is not divided are joined by spaces.
    """
    whole = rounded(columns, row)
    faces = [{"face": number, **face} for number, face in enumerate(whole.get("faces", ()), 1)]
    cells = list(_cells(columns, labels))
    return [
        {name: _part({**whole, **face}.get(column.name), place) for column, name, place in cells}
        for face in faces or [{}]
    ]


def csv_header(columns: Sequence[Column], labels: Sequence[str]) -> str:
    """Return the first line of a CSV, without its end."""
    return _csv_line(column.name for column in table_columns(columns, labels))


def to_csv(columns: Sequence[Column], row: Mapping[str, Any], labels: Sequence[str]) -> str:
    """Return a row as lines of CSV, those of ``table_rows``, without the end of the last.

    A text that a spreadsheet would run as a formula gets an apostrophe before it; a number does
    not, also a negative one. Yes and no are ``true`` and ``false``.

    Examples:
        >>> row = {"status": "=1+1", "uncertain": True, "probabilities": {"happy": 0.5}}
        >>> to_csv(CROP, row, ("happy",))
        "'=1+1,,,true,0.5"
    """
    lines = table_rows(columns, row, labels)
    return "\n".join(_csv_line(line.values()) for line in lines)


def _take(column: Column, result: object) -> Any:  # noqa: ANN401 - plain values of any shape
    value = column.read(result) if column.read else getattr(result, column.name)
    return _plain(column, value, len(column.shape))


def _plain(column: Column, value: Any, n_lists: int) -> Any:  # noqa: ANN401
    if n_lists:
        return [_plain(column, one, n_lists - 1) for one in value]
    return as_row(column.columns, value) if column.columns and value is not None else value


def _rounded(column: Column, value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, list):
        return [_rounded(column, one) for one in value]
    if isinstance(value, dict) and column.columns:
        return rounded(column.columns, value)
    if isinstance(value, dict):
        return {name: _rounded(column, one) for name, one in value.items()}
    return value if column.decimals is None else round(value, column.decimals)


def _cells(
    columns: Sequence[Column], labels: Sequence[str]
) -> Iterator[tuple[Column, str, str | int | None]]:
    """Yield a table's columns: the column of each, its name, and its place in that one's value."""
    for column in columns:
        if "table" not in column.outputs:
            continue
        if column.columns:
            yield from _cells(column.columns, labels)
        elif column.is_by_label:
            yield from ((column, label, label) for label in labels)
        elif column.cells:
            yield from ((column, name, place) for place, name in enumerate(column.cells))
        else:
            yield column, column.name, None


def _part(value: Any, place: str | int | None) -> Any:  # noqa: ANN401
    if isinstance(value, list) and place is None:
        return " ".join(value)
    return value if value is None or place is None else value[place]


def _csv_line(cells: Iterable[str | float | None]) -> str:
    text = io.StringIO()
    # With this end of line the writer puts both of its characters in quotes wherever they stand.
    csv.writer(text, lineterminator="\r\n").writerow([_cell(cell) for cell in cells])
    return text.getvalue().removesuffix("\r\n")


def _cell(value: str | float | bool | None) -> str | float | None:
    if isinstance(value, bool):
        return str(value).lower()
    return visible(no_formula(value)) if isinstance(value, str) else value
