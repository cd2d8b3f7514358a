"""Names and words: the glossary, module docstrings, printing."""

from __future__ import annotations

import ast
import re

from tests.architecture.sources import ROOT, modules

FORBIDDEN_MODULES = {"utils", "helpers", "common", "misc", "core", "base", "manager"}

WORD = "emotion"
MAY_SAY_IT = {
    "src/facial_expressions/data/competition.py": "the competition file's column is called that",
    "src/facial_expressions/labels.py": "says what the codes of that column mean",
}
"""Files that may hold the word, each with its reason."""


def test_no_module_is_named_for_nothing() -> None:
    named = {m.name: {part.strip("_") for part in m.name.split(".")} for m in modules()}
    assert {name for name, parts in named.items() if parts & FORBIDDEN_MODULES} == set()


def test_every_module_says_its_job_in_its_first_line() -> None:
    first_lines = {m.name: (ast.get_docstring(m.tree) or "").split("\n")[0] for m in modules()}
    assert {name for name, line in first_lines.items() if len(line) < 15} == set()


def test_only_the_command_line_prints() -> None:
    printing = {
        f"{module.name}:{node.lineno}"
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
    }
    assert {place for place in printing if ".cli." not in place} == set()


def test_errors_say_what_they_are_about_in_sentences() -> None:
    """Such as ``photo.jpg: damaged. Copy it again``, not ``damaged; received photo.jpg``."""
    raised = {
        f"{module.name}:{node.lineno}": ast.unparse(node)
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Error")
    }
    old = re.compile(r"\breceived:? |; (?:check|choose|copy|export|give|run|try|use|write) ")
    assert len(raised) > 200
    assert {place for place, text in raised.items() if old.search(text)} == set()


def test_an_expression_is_called_an_expression() -> None:
    saying = {
        module.path.relative_to(ROOT).as_posix()
        for module in modules()
        if re.search(WORD, module.text, re.IGNORECASE)
    }
    assert saying == set(MAY_SAY_IT)
