"""What makes two runs the same run, and in words what differs where they are not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from facial_expressions.errors import RecipeError
from facial_expressions.training.recipe import Recipe


def identity_text(
    recipe: Recipe, facts: Mapping[str, Any], origins: Mapping[str, object] | None = None
) -> str:
    """Return the text that says which run this is.

    Of the ``facts`` of its ``dataset.json``, ``digest`` and ``ferplus_digest`` count; ``origins``
    are what ``origins.json`` says of weights and teachers.
    """
    parts: dict[str, object] = {"recipe": recipe.to_dict(), "data": facts["digest"]}
    if "ferplus_digest" in facts:
        parts["votes"] = facts["ferplus_digest"]
    return json.dumps(parts | dict(origins or {}), sort_keys=True)


def run_differences(found: str, expected: str) -> list[str]:
    """Return in words what differs between two runs; nothing when they are the same.

    Recipe keys that did not exist when ``found`` was written have their defaults, which train as
    before.

    Examples:
        >>> first = identity_text(Recipe(), {"digest": "a1"})
        >>> run_differences(first, identity_text(Recipe(), {"digest": "b2"}))
        ["data is 'a1' there, 'b2' here"]
    """
    if found == expected:
        return []
    try:
        there = json.loads(found)
        there["recipe"] = json.loads(json.dumps(Recipe.from_dict(there["recipe"]).to_dict()))
    except (ValueError, KeyError, TypeError, RecipeError):
        return ["it was written by another version"]
    return describe_differences(there, json.loads(expected))


def describe_differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Return one text for each value that differs between two nested dictionaries.

    Examples:
        >>> describe_differences({"a": {"b": 1}}, {"a": {"b": 2}, "c": 3})
        ['a.b is 1 there, 2 here', 'c is absent there, 3 here']
    """
    first, second = dict(_flat(there)), dict(_flat(here))
    return [
        f"{key} is {first.get(key, 'absent')} there, {second.get(key, 'absent')} here"
        for key in dict.fromkeys([*first, *second])
        if first.get(key) != second.get(key)
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield dotted keys with their values as texts."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
            yield from _flat({str(i): one for i, one in enumerate(value)}, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", repr(value)
