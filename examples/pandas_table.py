"""Put the faces of a folder into a pandas table and count their expressions.

python examples/pandas_table.py photos
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import facial_expressions as fx

FOLDER = Path(__file__).parent


def main(arguments: Sequence[str]) -> int:
    """Print how many faces show each expression, and the mean confidence; return the exit code."""
    results = fx.recognize_folder(arguments[0] if arguments else FOLDER)
    table = fx.to_dataframe(results)  # a row per face, and one per image without a face
    print(table.groupby("expression")["confidence"].agg(["count", "mean"]).round(2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
