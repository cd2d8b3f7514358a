"""Which run is the same run, and how the difference is said."""

from __future__ import annotations

import json

import pytest

from facial_expressions.training.recipe import Recipe
from facial_expressions.training.run_folder import describe_differences, identity_text

RECIPE = Recipe.parse("[augmentation]\nsizes = [24, 32]")
DATA = {"digest": "d"}


def _differences(found: str, expected: str) -> list[str]:
    return describe_differences(json.loads(found), json.loads(expected))


def test_another_recipe_is_another_run() -> None:
    other = Recipe.parse("[augmentation]\nsizes = [24, 32]\nblur = 0.5")
    differences = _differences(identity_text(RECIPE, DATA), identity_text(other, DATA))
    assert differences == ["recipe.augmentation.blur is 0.0 there, 0.5 here"]


def test_other_votes_are_another_run() -> None:
    found = identity_text(RECIPE, DATA | {"ferplus_digest": "v", "name": "does not count"})
    other = identity_text(RECIPE, DATA | {"ferplus_digest": "w"})
    assert _differences(found, other) == ["votes is 'v' there, 'w' here"]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"start": {"weights_sha256": "b"}}, "start.weights_sha256 is 'a' there, 'b' here"),
        ({}, "start.weights_sha256 is 'a' there, absent here"),
    ],
)
def test_other_first_weights_are_another_run(parts: dict[str, object], expected: str) -> None:
    found = identity_text(RECIPE, DATA, {"start": {"weights_sha256": "a"}})
    assert _differences(found, identity_text(RECIPE, DATA, parts)) == [expected]


def test_the_order_of_keys_is_no_difference_even_inside_a_list() -> None:
    there = {"teachers": [{"name": "a", "sha256": "1"}]}
    assert describe_differences(there, {"teachers": [{"sha256": "1", "name": "a"}]}) == []
    other = {"teachers": [{"sha256": "2", "name": "a"}]}
    expected = ["teachers.0.sha256 is '1' there, '2' here"]
    assert describe_differences(there, other) == expected
