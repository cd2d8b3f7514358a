"""Measures what an install takes: the size of each dependency, and the memory of a start.

Sizes are those of the files that each distribution lists as its own. The base install is this
package and everything that it asks for without an extra, here and on this platform.

Example:
    python -m benchmarks.footprint
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import Distribution, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.record import astronaut, write_results

PACKAGE: Final = "facial-expressions"
MEGABYTE: Final = 1e6


def main() -> None:
    """Measure sizes and memory and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short trial; nothing is written")
    is_quick = parser.parse_args().quick
    sizes = base_install(PACKAGE)
    starts = {
        "import facial_expressions": ["-c", "import facial_expressions"],
        "help": ["-m", "facial_expressions", "--help"],
        "predict, one photo": ["-m", "facial_expressions", "predict", str(astronaut())],
    }
    figures: dict[str, Any] = {
        "base_install_mb": round(sum(sizes.values()), 1),
        "install_mb": sizes,
        "peak_memory_mb": {name: round(peak_memory(words)) for name, words in starts.items()},
    }
    write_results("footprint", figures, keep=not is_quick)


def base_install(package: str) -> dict[str, float]:
    """Return the megabytes of a package and of everything that it needs, largest first.

    Args:
        package: Name of an installed distribution.
    """
    sizes: dict[str, float] = {}
    waiting = [package]
    while waiting:
        name = waiting.pop()
        if canonicalize_name(name) in sizes:
            continue
        found = distribution(name)
        sizes[canonicalize_name(name)] = round(_megabytes(found), 2)
        waiting += needed(found.requires or ())
    return dict(sorted(sizes.items(), key=lambda pair: -pair[1]))


def needed(requirements: Sequence[str]) -> list[str]:
    """Return the names that are needed here without any extra.

    Args:
        requirements: As a distribution lists them.

    Example:
        >>> needed(["numpy>=2", "ray; extra == 'ray'", "tzdata; python_version < '3'"])
        ['numpy']
    """
    parsed = [Requirement(one) for one in requirements]
    return [one.name for one in parsed if one.marker is None or one.marker.evaluate({"extra": ""})]


def peak_memory(words: Sequence[str]) -> float:
    """Return the largest resident memory of a start of Python, in megabytes.

    Args:
        words: What Python is given.
    """
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"exit code {process.returncode} of: python {' '.join(words)}")
    scale = 1 if sys.platform == "darwin" else 1024
    return usage.ru_maxrss * scale / MEGABYTE


def _megabytes(found: Distribution) -> float:
    """Return the size of a distribution's own files; an editable one's are where its source is."""
    paths = [Path(str(file.locate())) for file in found.files or ()]
    if found.metadata["Name"] == PACKAGE:
        spec = find_spec("facial_expressions")
        assert spec
        assert spec.origin
        paths = [one for one in Path(spec.origin).parent.rglob("*") if one.suffix != ".pyc"]
    return sum(one.stat().st_size for one in paths if one.is_file()) / MEGABYTE


if __name__ == "__main__":
    main()
