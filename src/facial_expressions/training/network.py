"""The network of a recipe: its architecture, its input, and its further heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from facial_expressions.architectures.registry import build_architecture, get_architecture
from facial_expressions.errors import RecipeError
from facial_expressions.labels import LabelSet
from facial_expressions.preprocessing import Preprocessing, to_batch
from facial_expressions.training.recipe import Recipe

_AT_ONCE: Final = 256


def preprocessing_of(recipe: Recipe) -> Preprocessing:
    """Return how the recipe's network wants its input."""
    channels = get_architecture(recipe.network.architecture).channels
    return Preprocessing(size=recipe.network.size, channels=channels)


def build_network(
    recipe: Recipe, heads: Mapping[str, LabelSet], *, any_size: bool = False
) -> keras.Model:
    """Return the recipe's network, untrained, with its initial weights drawn from the seed.

    Each further head is one linear layer over the features that the first one has. With
    ``any_size`` the sides of the input are open, for images of ``augmentation.sizes``, which only
    networks that pool over the map can take.

    Raises:
        RecipeError: The architecture cannot take images of the sizes asked for.
    """
    keras.utils.set_random_seed(recipe.run.seed)
    preprocessing = preprocessing_of(recipe)
    side = None if any_size else preprocessing.size
    network, (first, *further) = recipe.network, heads
    shape = (side, side, preprocessing.channels)
    try:
        n_classes, dropout = len(heads[first]), network.dropout
        model = build_architecture(network.architecture, shape, n_classes, dropout=dropout)
        for size in recipe.augmentation.sizes if any_size else ():
            model.compute_output_spec(keras.KerasTensor((1, size, size, preprocessing.channels)))
    except RecipeError:
        raise
    except ValueError as error:
        raise RecipeError(
            f"architecture {network.architecture!r}: cannot take images of size {network.size} "
            f"and sizes {list(recipe.augmentation.sizes)}: {error}. Leave augmentation.sizes "
            "empty, or give sizes that suit the network"
        ) from error
    if not further:
        return model
    features = model.layers[-1].input
    logits = [
        layers.Dense(len(heads[name]), dtype="float32", name=f"{name}_logits")(features)
        for name in further
    ]
    return keras.Model(model.inputs[0], [model.outputs[0], *logits], name=model.name)


def predict_logits(
    model: keras.Model,
    crops: NDArray[np.uint8] | NDArray[np.float32],
    preprocessing: Preprocessing,
) -> list[NDArray[np.float32]]:
    """Return each head's logits, ``float32 (N, K)``, for grey crops of 0 to 255, ``(N, S, S)``."""
    chunks = []
    for start in range(0, len(crops), _AT_ONCE):
        inputs = to_batch(crops[start : start + _AT_ONCE], preprocessing)
        outputs = model.predict_on_batch(inputs)
        chunks.append(outputs if isinstance(outputs, list) else [outputs])
    return [
        np.concatenate([keras.ops.convert_to_numpy(one) for one in head]).astype(np.float32)
        for head in zip(*chunks, strict=True)
    ]
