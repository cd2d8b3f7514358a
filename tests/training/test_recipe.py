"""Recipes: strict TOML, checked ranges, nearest names suggested and never applied."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facial_expressions.errors import RecipeError
from facial_expressions.training.recipe import Recipe


def test_an_unknown_key_is_refused_and_the_nearest_suggested() -> None:
    with pytest.raises(RecipeError, match=r"'epoch'; did you mean 'epochs'\?"):
        Recipe.parse("[optimization]\nepoch = 3")


def test_an_unknown_section_is_refused_and_the_nearest_suggested() -> None:
    with pytest.raises(RecipeError, match=r"'optimisation'; did you mean 'optimization'\?"):
        Recipe.parse("[optimisation]\nepochs = 3")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[optimization]\nepochs = 0", r"optimization\.epochs is out of range; received 0"),
        (
            "[optimization]\nepochs = 2.5",
            r"epochs has another type; received 2\.5; write a whole number",
        ),
        ("[optimization]\nepochs = true", "another type; received True"),
        ("[optimization]\nlearning_rate = nan", "another type; received nan"),
        ("[optimization]\nloss = 'focal'", "received 'focal'; use one of"),
        ("[network]\ndropout = 1", r"network\.dropout is out of range; received 1\.0"),
        ("[augmentation]\nflip = 1.5", r"augmentation\.flip is out of range; received 1\.5"),
        ("[run]\nname = '../up'", r"run\.name is out of range"),
        ("[run]\nseed = -1", r"run\.seed is out of range; received -1"),
        ("run = 3", r"run is a section; received 3; write \[run\]"),
        ("[run\n", "is not valid TOML"),
    ],
)
def test_a_wrong_value_is_named_with_what_to_write(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe.parse(text)


def test_a_missing_or_undecodable_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    for name in ("absent.toml", "binary.toml"):
        with pytest.raises(RecipeError, match=f"{name} cannot be read"):
            Recipe.load(tmp_path / name)


def test_overrides_win_over_the_file_and_pass_the_same_checks() -> None:
    text = "[optimization]\nepochs = 9"
    recipe = Recipe.parse(text, ["optimization.epochs=2", "run.name=mine", "network.dropout=0"])
    assert recipe.optimization.epochs == 2
    assert recipe.run.name == "mine"
    assert recipe.network.dropout == 0.0
    with pytest.raises(RecipeError, match="did you mean 'epochs'"):
        Recipe.parse(text, ["optimization.epoch=2"])
    with pytest.raises(RecipeError, match=r"section\.key=value; received 'epochs=2'"):
        Recipe.parse(text, ["epochs=2"])


@given(
    epochs=st.integers(1, 1000),
    rate=st.floats(1e-6, 1.0),
    seed=st.integers(0, 2**31 - 1),
    flip=st.floats(0, 1),
)
def test_a_recipe_survives_being_written_and_read(
    epochs: int, rate: float, seed: int, flip: float
) -> None:
    recipe = Recipe.from_dict(
        {
            "run": {"seed": seed},
            "augmentation": {"flip": flip},
            "optimization": {"epochs": epochs, "learning_rate": rate, "warmup_epochs": 0.0},
        }
    )
    assert Recipe.parse(recipe.to_toml()) == recipe


@pytest.mark.parametrize("name", ["standardized-cnn", "seed"])
def test_the_recipes_of_the_repository_are_valid(name: str, repository: Path) -> None:
    assert Recipe.load(repository / "recipes" / f"{name}.toml").run.name == name
