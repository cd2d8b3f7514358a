"""Measure the size of the house: lines, longest chain of imports, who writes a face's row.

A line of code holds more than a comment or part of a constant that stands by itself (a docstring,
``...``); a statement over five lines counts five. A chain of imports has the modules of
``training`` that import one another, inside functions too. A writer of a face's row names the
columns ``detection_score`` and ``confidence``, as strings or as fields of a schema.

Example:
    python -m tests.architecture.house
"""

from __future__ import annotations

import ast
import io
import tokenize
from functools import cache
from typing import Final

import grimp

from scripts.pages import ROOT, markdown_table

COLUMNS: Final = {"detection_score", "confidence"}

LIMITS: Final = {
    "lines of Python in `src/`": 25_000,
    "lines of code": 13_500,
    "lines in `scripts/`": 1_200,
    "longest chain of imports in `training/`": 7,
    "writers of a face's row": 1,
}
"""Most of each figure that the tests accept."""


def main() -> None:
    """Print the figures beside their limits."""
    rows = [(what, f"{found:,}", f"{LIMITS[what]:,}") for what, found in measure().items()]
    print("\n".join(markdown_table(("figure", "measured", "limit"), rows)))


def measure() -> dict[str, int]:
    """Return the figures by the names that ``LIMITS`` has."""
    package, scripts = (
        [path.read_text(encoding="utf-8") for path in folder.rglob("*.py")]
        for folder in (ROOT / "src", ROOT / "scripts")
    )
    values = (
        "".join(package).count("\n"),
        sum(map(count_code, package)),
        "".join(scripts).count("\n"),
        longest_chain("facial_expressions.training"),
        sum(map(names_columns, package)),
    )
    return dict(zip(LIMITS, values, strict=True))


def count_code(text: str) -> int:
    """Return how many lines of a module are code."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    held = [one for one in tokens if one.string.strip() and one.type != tokenize.COMMENT]
    code = {line for one in held for line in range(one.start[0], one.end[0] + 1)}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            code -= {*range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    return len(code)


def longest_chain(package: str) -> int:
    """Return how many modules of a package the longest chain of imports among them has."""
    graph = grimp.build_graph(package.partition(".")[0])
    modules = graph.find_descendants(package)

    @cache
    def storeys(module: str) -> int:
        imported = graph.find_modules_directly_imported_by(module) & modules
        return 1 + max(map(storeys, imported), default=0)

    return max(map(storeys, modules))


def names_columns(text: str) -> bool:
    """Return whether a module has the columns of a face's row, as strings or fields of a schema."""
    nodes = [*ast.walk(ast.parse(text))]
    schemas = [node for node in nodes if isinstance(node, ast.ClassDef) and node.bases]
    fields = [one.target for node in schemas for one in node.body if isinstance(one, ast.AnnAssign)]
    strings = {node.value for node in nodes if isinstance(node, ast.Constant)}
    return strings | {ast.unparse(field) for field in fields} >= COLUMNS


if __name__ == "__main__":
    main()
