"""Docstrings: the arguments and attributes they list are the ones there are."""

from __future__ import annotations

import ast
import re

from tests.architecture.sources import all_functions, modules

SECTION = re.compile(r"^(?P<name>[A-Z][a-z]+):\s*$")
ENTRY = re.compile(r"^ {4}(?P<names>\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: \([^)]*\))?:(?:\s|$)")


def test_documented_arguments_are_the_real_ones() -> None:
    """Where a docstring has Args, it names every argument, in order, and no other."""
    wrong = {
        function.name: {"documented": listed, "real": function.arguments}
        for function in all_functions()
        if (listed := _listed(ast.get_docstring(function.node), "Args")) is not None
        and listed != function.arguments
    }
    assert wrong == {}


def test_public_functions_are_documented() -> None:
    bare = [f.name for f in all_functions() if f.is_public and not ast.get_docstring(f.node)]
    assert bare == []


def test_documented_attributes_are_the_fields() -> None:
    """Where a dataclass has Attributes, it lists every public field, in order, and no other."""
    wrong = {
        f"{module.name}.{node.name}": {"documented": listed, "real": _fields(node)}
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
        and any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)
        and (listed := _listed(ast.get_docstring(node), "Attributes")) is not None
        and listed != _fields(node)
    }
    assert wrong == {}


def test_examples_stand_in_a_section_that_the_site_shows_as_code() -> None:
    """The section is called Examples; under Example the site shows running text."""
    wrong = [
        f"{module.name}, line {number}"
        for module in modules()
        for number, line in enumerate(module.text.splitlines(), 1)
        if line.strip() == "Example:"
    ]
    assert wrong == []


def _fields(node: ast.ClassDef) -> list[str]:
    targets = [s.target for s in node.body if isinstance(s, ast.AnnAssign)]
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    return [name for name in names if not name.startswith("_")]


def _listed(docstring: str | None, section: str) -> list[str] | None:
    """Return the names in a section of a docstring, or None when it has no such section."""
    if not docstring:
        return None
    names: list[str] | None = None
    current = ""
    for line in docstring.splitlines():
        heading = SECTION.match(line)
        if heading:
            current = heading["name"]
            names = [] if current == section and names is None else names
        elif current == section and names is not None and (entry := ENTRY.match(line)):
            names += entry["names"].split(", ")
    return names
