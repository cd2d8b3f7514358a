"""Size limits: a module 400 lines, a function body 40, seven arguments."""

from __future__ import annotations

from tests.architecture.sources import Function, all_functions, modules

MODULE_LINES = 400
BODY_LINES = 40
BUILD_BODY_LINES = 60  # an architecture's build reads like its table
ARGUMENTS = 7

EXCEPTIONS: frozenset[str] = frozenset()
"""Dotted names that may exceed a limit, each with its reason; empty, and meant to stay so."""


def test_modules_are_short() -> None:
    lines = {module.name: len(module.text.splitlines()) for module in modules()}
    assert _over(lines, MODULE_LINES) == {}


def test_function_bodies_are_short() -> None:
    builds = {f.name: f.body_lines for f in all_functions() if _is_architecture(f)}
    others = {f.name: f.body_lines for f in all_functions() if not _is_architecture(f)}
    assert _over(builds, BUILD_BODY_LINES) | _over(others, BODY_LINES) == {}


def test_functions_take_few_arguments() -> None:
    """Verbs of the command line are left out: there each option is an argument."""
    counts = {f.name: len(f.arguments) for f in all_functions() if not _is_verb(f)}
    assert _over(counts, ARGUMENTS) == {}


def _over(sizes: dict[str, int], limit: int) -> dict[str, int]:
    return {name: size for name, size in sizes.items() if size > limit and name not in EXCEPTIONS}


def _is_architecture(function: Function) -> bool:
    decorators = [getattr(d, "func", d) for d in function.node.decorator_list]
    return any(getattr(d, "id", "") == "register_architecture" for d in decorators)


def _is_verb(function: Function) -> bool:
    return function.name.startswith("facial_expressions.cli.") and function.is_public
