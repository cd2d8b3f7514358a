"""The exception tree: every error is ours and also the built-in that a careful caller catches."""

from __future__ import annotations

import json
import pickle
import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from facial_expressions import errors
from facial_expressions.errors import (
    FacialExpressionsError,
    MissingExtraError,
    first_line,
    needs_extra,
    parsed,
)


@pytest.mark.parametrize(
    ("name", "built_in"),
    [
        ("ImageError", ValueError),
        ("VideoError", ValueError),
        ("CameraError", RuntimeError),
        ("ModelError", ValueError),
        ("DatasetError", ValueError),
        ("RecipeError", ValueError),
        ("CheckpointError", RuntimeError),
        ("StorageError", OSError),
        ("BatchError", ValueError),
        ("ExportError", RuntimeError),
        ("MissingExtraError", ImportError),
    ],
)
def test_error_is_ours_and_a_built_in(name: str, built_in: type[Exception]) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, FacialExpressionsError)
    assert issubclass(kind, built_in)


@pytest.mark.parametrize("name", [name for name in vars(errors) if name.endswith("Error")])
def test_error_survives_pickling_with_its_message(name: str) -> None:
    error = getattr(errors, name)("one: two. Do three")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == "one: two. Do three"


def test_missing_extra_names_package_and_install_line() -> None:
    message = str(MissingExtraError.of("train", "keras"))
    assert "'keras'" in message
    assert message.endswith('run: pip install ".[train]"')


def test_a_failed_import_names_package_and_extra() -> None:
    with pytest.raises(MissingExtraError, match=r"'no_such'.*\[train\]"), needs_extra("train"):
        import no_such.part  # type: ignore[import-not-found]  # noqa: F401


def test_a_failed_import_of_our_own_stays_what_it_is() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such"), needs_extra("train"):
        import facial_expressions.no_such  # type: ignore[import-not-found]  # noqa: F401


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("\n  one\ntwo"), "one"),
        (ValueError(), "ValueError"),
        (KeyError("x" * 300), "'" + "x" * 199),
    ],
)
def test_first_line_is_one_short_line(error: Exception, line: str) -> None:
    assert first_line(error) == line


@pytest.mark.parametrize(
    ("parse", "text", "said"),
    [
        (json.loads, "[" * 100_000, "it is nested too deeply"),
        (json.loads, '{"a":' * 100_000, "it is nested too deeply"),
        (tomllib.loads, f"a = {'[' * 100_000}", "it is nested too deeply"),
        (json.loads, "9" * 5_000, "a number has too many digits"),
        (tomllib.loads, f"a = {'9' * 5_000}", "a number has too many digits"),
        (json.loads, "{", "Expecting property name"),
        (tomllib.loads, "a = ", "Invalid value"),
    ],
    ids=["list", "dict", "toml", "number", "toml-number", "json-error", "toml-error"],
)
def test_what_a_parser_gives_up_on_is_malformed(
    parse: Callable[[str], Any], text: str, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        parsed(parse, text)
