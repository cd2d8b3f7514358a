"""Measures cold starts: importing the package, and the command's version, help and one photo.

Example:
    python -m benchmarks.import_time
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial

from benchmarks.record import astronaut, milliseconds, write_results

STARTS: dict[str, list[str]] = {
    "python": ["-c", "pass"],
    "import facial_expressions": ["-c", "import facial_expressions"],
    "load_classifier": [
        "-c",
        "import facial_expressions as fx; fx.load_classifier('standardized-cnn')",
    ],
    "facial-expressions --version": ["-m", "facial_expressions", "--version"],
    "facial-expressions --help": ["-m", "facial_expressions", "--help"],
}


def main() -> None:
    """Time each start as a process of its own and write the results."""
    photo = astronaut()
    starts = STARTS | {
        "facial-expressions predict": ["-m", "facial_expressions", "predict", str(photo)]
    }
    figures = {
        name: milliseconds(partial(_run, words), repeats=7) for name, words in starts.items()
    }
    write_results("import_time", figures)


def _run(words: list[str]) -> None:
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
