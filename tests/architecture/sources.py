"""The package's own source, parsed, for the tests that check its shape."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

__all__ = ["PACKAGE", "ROOT", "Function", "Module", "all_functions", "modules"]

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGE: Final = ROOT / "src" / "facial_expressions"

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One file of the package.

    Attributes:
        name: Dotted name.
        path: The file.
        text: Its source.
        tree: Its syntax tree.
    """

    name: str
    path: Path
    text: str
    tree: ast.Module


@dataclass(frozen=True)
class Function:
    """One function or method.

    Attributes:
        name: Dotted name, module and class included.
        node: Its syntax tree.
        owner: The class it is a method of, or None.
        is_nested: Whether it stands inside another function.
    """

    name: str
    node: FunctionNode
    owner: ast.ClassDef | None
    is_nested: bool

    @property
    def is_public(self) -> bool:
        """Whether a user can reach it: no underscore in its dotted name, not nested."""
        return not self.is_nested and not any(p.startswith("_") for p in self.name.split("."))

    @property
    def arguments(self) -> list[str]:
        """Names of the arguments, without ``self`` or ``cls``, with ``*`` and ``**`` in front."""
        given = self.node.args
        names = [argument.arg for argument in given.posonlyargs + given.args]
        if self.owner is not None and not _is_static(self.node):
            names = names[1:]
        if given.vararg:
            names.append(f"*{given.vararg.arg}")
        names += [argument.arg for argument in given.kwonlyargs]
        if given.kwarg:
            names.append(f"**{given.kwarg.arg}")
        return names

    @property
    def body_lines(self) -> int:
        """Lines of the body without the docstring and nested blank ends."""
        body = self.node.body
        if ast.get_docstring(self.node) is not None:
            body = body[1:]
        return 0 if not body else (body[-1].end_lineno or 0) - body[0].lineno + 1


@cache
def modules() -> tuple[Module, ...]:
    """Return every file of the package, parsed, by name."""
    return tuple(_parse(path) for path in sorted(PACKAGE.rglob("*.py")))


@cache
def all_functions() -> tuple[Function, ...]:
    """Return every function and method of the package, nested ones too."""
    return tuple(function for module in modules() for function in _functions(module))


def _functions(module: Module) -> Iterator[Function]:
    yield from _walk(module.tree, module.name, owner=None, is_nested=False)


def _walk(
    node: ast.AST, prefix: str, *, owner: ast.ClassDef | None, is_nested: bool
) -> Iterator[Function]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, FunctionNode):
            yield Function(f"{prefix}.{child.name}", child, owner, is_nested)
            yield from _walk(child, f"{prefix}.{child.name}", owner=None, is_nested=True)
        elif isinstance(child, ast.ClassDef):
            yield from _walk(child, f"{prefix}.{child.name}", owner=child, is_nested=is_nested)
        else:
            yield from _walk(child, prefix, owner=owner, is_nested=is_nested)


def _parse(path: Path) -> Module:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    text = path.read_text(encoding="utf-8")
    return Module(name, path, text, ast.parse(text, str(path)))


def _is_static(node: FunctionNode) -> bool:
    return any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list)
