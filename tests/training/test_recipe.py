"""Recipes: strict TOML, checked ranges, nearest names suggested and never applied."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facial_expressions.errors import RecipeError
from facial_expressions.training.recipe import Recipe


def test_an_unknown_key_is_refused_and_the_nearest_suggested() -> None:
    with pytest.raises(RecipeError, match=r"'epoch'\. Did you mean 'epochs'\?"):
        Recipe.parse("[optimization]\nepoch = 3")


def test_an_unknown_section_is_refused_and_the_nearest_suggested() -> None:
    with pytest.raises(RecipeError, match=r"'optimisation'\. Did you mean 'optimization'\?"):
        Recipe.parse("[optimisation]\nepochs = 3")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[optimization]\nepochs = 0", r"optimization\.epochs: 0 is out of range"),
        (
            "[optimization]\nepochs = 2.5",
            r"epochs: 2\.5 has the wrong type\. Write a whole number",
        ),
        ("[optimization]\nepochs = true", "True has the wrong type"),
        ("[optimization]\nlearning_rate = nan", "nan has the wrong type"),
        ("[optimization]\nloss = 'focal'", r"'focal' is out of range\. Use one of"),
        ("[network]\ndropout = 1", r"network\.dropout: 1\.0 is out of range"),
        ("[augmentation]\nflip = 1.5", r"augmentation\.flip: 1\.5 is out of range"),
        ("[augmentation]\nmixup = -0.1", r"mixup: -0\.1 is out of range\. Use 0 to 1"),
        ("[augmentation]\nsizes = [8]", r"sizes: \(8,\) is out of range\. Use 16 to 512"),
        ("[augmentation]\nsizes = [32.5]", r"has the wrong type\. Write a list of whole numbers"),
        ("[augmentation]\nblur = 1.1", r"blur: 1\.1 is out of range\. Use 0 to 1"),
        ("[augmentation]\nlow_resolution = 2", r"low_resolution: .* is out of range"),
        ("[augmentation]\nlow_light = -1", r"low_light: .* is out of range"),
        ("[augmentation]\nnoise = 7", r"noise: .* is out of range"),
        ("[optimization]\nferplus_weight = -1", r"ferplus_weight: .* is out of range"),
        ("[data]\nvotes_in_labels = 2", r"votes_in_labels: .* is out of range"),
        ("[distillation]\nweight = 1.1", r"distillation\.weight: .* is out of range"),
        ("[distillation]\ntemperature = 0", r"temperature: 0\.0 is out of range\. Use 0\.1 to 20"),
        ("[distillation]\nper_image = 1", r"1 has the wrong type\. Write true or false"),
        ("[augmentation]\nrotation_degrees = 181", r"rotation_degrees: .*\. Use 0 to 180"),
        ("[network]\nsize = 15", r"network\.size: 15 is out of range\. Use 16 to 512"),
        ("[run]\nname = '../up'", r"run\.name: .* is out of range"),
        ("[run]\nseed = -1", r"run\.seed: -1 is out of range"),
        ("run = 3", r"run is a section, not 3\. Write \[run\]"),
        ("[run\n", "not valid TOML"),
    ],
)
def test_a_wrong_value_is_named_with_what_to_write(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe.parse(text)


def test_a_missing_or_undecodable_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    for name in ("absent.toml", "binary.toml"):
        with pytest.raises(RecipeError, match=f"{name}: cannot be read"):
            Recipe.load(tmp_path / name)


def test_overrides_win_over_the_file_and_pass_the_same_checks() -> None:
    text = "[optimization]\nepochs = 9"
    recipe = Recipe.parse(text, ["optimization.epochs=2", "run.name=mine", "network.dropout=0"])
    assert recipe.optimization.epochs == 2
    assert recipe.run.name == "mine"
    assert recipe.network.dropout == 0.0
    with pytest.raises(RecipeError, match="Did you mean 'epochs'"):
        Recipe.parse(text, ["optimization.epoch=2"])
    with pytest.raises(
        RecipeError, match=r"'epochs=2': not an override\. Write section\.key=value"
    ):
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


def test_ingredients_are_off_unless_a_recipe_asks_for_them() -> None:
    recipe = Recipe()
    changes, optimization = recipe.augmentation, recipe.optimization
    hits = (changes.blur, changes.low_resolution, changes.low_light, changes.noise, changes.mixup)
    assert not any(hits)
    assert not changes.sizes
    assert (optimization.ferplus_weight, recipe.distillation.weight) == (0, 0)
    assert recipe.data.votes_in_labels == 0


def test_the_recipes_of_the_repository_are_valid(repository: Path) -> None:
    recipes = repository.glob("recipes/*.toml")
    assert {path.stem: Recipe.load(path).run.name for path in recipes} == {
        "compact": "compact",
        "compact-distilled": "compact",
        "compact-votes": "compact",
        "compact-wide": "compact",
        "seed": "seed",
        "standardized-cnn": "standardized-cnn",
        "standardized-cnn-continued": "standardized-cnn",
        "standardized-cnn-distilled": "standardized-cnn",
    }


def test_the_recipe_in_a_run_folder_of_an_earlier_version_is_read(repository: Path) -> None:
    """It lacks the keys that came later."""
    path = repository / "docs" / "reports" / "compact" / "run" / "recipe.toml"
    assert "votes_in_labels" not in path.read_text(encoding="utf-8")
    recipe = Recipe.load(path)
    assert (recipe.run.name, recipe.network.architecture) == ("compact", "compact_resnet")
