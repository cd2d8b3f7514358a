"""Results as a table of pandas: one row per face, as in CSV."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from facial_expressions.errors import needs_extra
from facial_expressions.results import Faces, FrameResult, ImageResult
from facial_expressions.rows import FRAME, IMAGE, Kind, table_columns, table_rows

if TYPE_CHECKING:
    import pandas as pd

Result = Faces | ImageResult | FrameResult

_DTYPES: Final[dict[Kind, str]] = {
    "bool": "boolean", "float32": "float64", "float64": "float64", "int32": "Int64",
    "int64": "Int64", "string": "string",
}  # fmt: skip
_FRAME: Final = tuple(column for column in FRAME if column.name != "source")  # frames know none


def to_dataframe(results: Result | Iterable[Result]) -> pd.DataFrame:
    """Return results as a table: one row per face, and one for an image or frame without any.

    Its columns are those of CSV: the source and its status, the face's number, box and score, the
    expression, one column per expression with its probability, the reasons of an uncertain answer.
    What a row does not have is missing (``NaN`` or ``NA``).

    Args:
        results: What ``recognize``, ``recognize_folder`` or ``recognize_rows`` returned, or
            ``analyze_video`` yielded; one or many, images or frames, not both.

    Raises:
        MissingExtraError: pandas is not installed.
        TypeError: Something else is among the results.

    Examples:
        >>> from facial_expressions.results import Box, Face, Prediction
        >>> face = Face(Box(1, 2, 3, 4), 0.9, (), Prediction(("happy", "sad"), (0.75, 0.25)))
        >>> found = [ImageResult("a.jpg", "ok", 9, 9, (face,)), ImageResult("b.jpg", "ok", 9, 9)]
        >>> table = to_dataframe(found)
        >>> table[["source", "face", "expression", "happy"]].values.tolist()
        [['a.jpg', 1, 'happy', 0.75], ['b.jpg', <NA>, <NA>, nan]]
    """
    with needs_extra("pandas"):
        import pandas as pd

    rows, labels, kinds = [], dict[str, None](), set()
    for one in [results] if isinstance(results, Result) else results:
        if not isinstance(one, Result):
            raise TypeError(
                f"{type(one).__name__}: not a result. Give what recognize, recognize_folder, "
                "recognize_rows or analyze_video returned"
            )
        result = one.result if isinstance(one, Faces) else one
        rows.append(result.to_dict())
        kinds.add(type(result))
        labels.update((name, None) for face in result.faces for name in face.prediction.labels)
    if len(kinds) > 1:
        raise TypeError("images and frames: their columns differ. Make a table of each")
    columns = _FRAME if FrameResult in kinds else IMAGE
    cells = [line for row in rows for line in table_rows(columns, row, tuple(labels))]
    dtypes = {one.name: _DTYPES[one.kind] for one in table_columns(columns, tuple(labels))}
    return pd.DataFrame(cells, columns=list(dtypes)).astype(dtypes)
