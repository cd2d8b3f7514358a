"""Which run is the same run, and how the difference is said."""

from __future__ import annotations

import json

import pytest

from facial_expressions.training.recipe import Recipe
from facial_expressions.training.run_folder import (
    describe_differences,
    identity_text,
    run_differences,
)

RECIPE = Recipe.parse("[augmentation]\nsizes = [24, 32]")
DATA = {"digest": "d"}


def test_the_same_run_has_no_differences() -> None:
    first, second = (
        identity_text(RECIPE, {"digest": "d", "ferplus_digest": "v"}) for _ in range(2)
    )
    assert run_differences(first, second) == []


def test_a_key_that_is_newer_than_the_run_has_its_default() -> None:
    old = json.loads(identity_text(RECIPE, DATA))
    del old["recipe"]["distillation"], old["recipe"]["augmentation"]["blur"]
    assert run_differences(json.dumps(old), identity_text(RECIPE, DATA)) == []
    other = Recipe.parse("[augmentation]\nsizes = [24, 32]\nblur = 0.5")
    differences = run_differences(json.dumps(old), identity_text(other, DATA))
    assert differences == ["recipe.augmentation.blur is 0.0 there, 0.5 here"]


def test_a_run_with_a_key_that_is_no_more_is_another_one() -> None:
    old = json.loads(identity_text(RECIPE, DATA))
    old["recipe"]["optimization"]["views"] = 1
    differences = run_differences(json.dumps(old), identity_text(RECIPE, DATA))
    assert differences == ["it was written by another version"]


def test_other_votes_are_another_run() -> None:
    found = identity_text(RECIPE, DATA | {"ferplus_digest": "v", "name": "does not count"})
    other = identity_text(RECIPE, DATA | {"ferplus_digest": "w"})
    assert run_differences(found, other) == ["votes is 'v' there, 'w' here"]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"start": {"weights_sha256": "b"}}, "start.weights_sha256 is 'a' there, 'b' here"),
        ({}, "start.weights_sha256 is 'a' there, absent here"),
    ],
)
def test_other_first_weights_are_another_run(parts: dict[str, object], expected: str) -> None:
    found = identity_text(RECIPE, DATA, {"start": {"weights_sha256": "a"}})
    assert run_differences(found, identity_text(RECIPE, DATA, parts)) == [expected]


@pytest.mark.parametrize("found", ["", "{}", '{"recipe": {"colour": {}}}', '{"recipe": 3}'])
def test_what_cannot_be_read_is_of_another_version(found: str) -> None:
    assert run_differences(found, identity_text(RECIPE, DATA)) == [
        "it was written by another version"
    ]


def test_the_order_of_keys_is_no_difference_even_inside_a_list() -> None:
    there = {"teachers": [{"name": "a", "sha256": "1"}]}
    assert describe_differences(there, {"teachers": [{"sha256": "1", "name": "a"}]}) == []
    other = {"teachers": [{"sha256": "2", "name": "a"}]}
    expected = ["teachers.0.sha256 is '1' there, '2' here"]
    assert describe_differences(there, other) == expected
