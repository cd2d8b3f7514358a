"""Put the faces of a folder into a pandas table and count their expressions.

python examples/pandas_table.py photos
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

import facial_expressions as fx

FOLDER = Path(__file__).parent


def main(arguments: Sequence[str]) -> int:
    """Print the share of each expression and the mean confidence; return the exit code."""
    images = sorted(Path(arguments[0] if arguments else FOLDER).rglob("*.jpg"))
    rows = [
        {"image": result.source, "expression": face.expression, "confidence": face.confidence}
        | dict(face.probabilities)
        for result in fx.load_recognizer().recognize_rows(images)
        for face in result.faces
    ]
    table = pd.DataFrame(rows)
    print(table.groupby("expression")["confidence"].agg(["count", "mean"]).round(2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
