"""The network of a recipe: images of several sizes only where it can take them."""

from __future__ import annotations

import keras
import pytest

from facial_expressions.architectures import registry
from facial_expressions.architectures.registry import Architecture
from facial_expressions.errors import RecipeError
from facial_expressions.labels import FER2013
from facial_expressions.training.network import build_network
from facial_expressions.training.recipe import Recipe


def _recipe(architecture: str, sizes: list[int]) -> Recipe:
    network = {"architecture": architecture}
    return Recipe.from_dict({"network": network, "augmentation": {"sizes": sizes}})


def test_a_network_that_pools_takes_images_of_every_size_of_the_recipe() -> None:
    model = build_network(_recipe("compact_resnet", [32, 40]), {"fer2013": FER2013}, any_size=True)
    assert model.input_shape == (None, None, None, 1)


def test_a_network_that_flattens_its_map_is_refused_several_sizes() -> None:
    message = r"'tiny_for_tests': cannot take images of size 48 and sizes \[32\]"
    with pytest.raises(RecipeError, match=message):
        build_network(_recipe("tiny_for_tests", [32]), {"fer2013": FER2013}, any_size=True)


def test_a_size_that_does_not_suit_the_network_is_refused_before_training() -> None:
    with pytest.raises(RecipeError, match=r"sizes \[36\].*give sizes that suit the network"):
        build_network(_recipe("compact_resnet", [36]), {"fer2013": FER2013}, any_size=True)


def test_a_builder_that_takes_no_dropout_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    built = Architecture(lambda shape, n_classes: keras.Model(), channels=1)
    monkeypatch.setitem(registry._REGISTRY, "rigid", built)
    with pytest.raises(RecipeError, match=r"architecture 'rigid'.* argument 'dropout'"):
        build_network(_recipe("rigid", []), {"fer2013": FER2013})
