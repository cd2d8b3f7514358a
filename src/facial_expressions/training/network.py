"""The network of a recipe: its architecture, its input, and the second head where it has one."""

from __future__ import annotations

from typing import Final

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from facial_expressions.architectures import build_architecture, get_architecture
from facial_expressions.data.dataset import Split
from facial_expressions.errors import RecipeError
from facial_expressions.labels import FERPLUS
from facial_expressions.preprocessing import Preprocessing, to_batch
from facial_expressions.training.recipe import Recipe

__all__ = ["FERPLUS_HEAD", "build_network", "predict_logits", "preprocessing_of"]

FERPLUS_HEAD: Final = "ferplus_logits"
"""Name of the layer that learns the FER+ votes."""


def preprocessing_of(recipe: Recipe) -> Preprocessing:
    """Return how the recipe's network wants its input."""
    network = recipe.network
    channels = get_architecture(network.architecture).channels
    return Preprocessing(size=network.size, channels=channels, mean=network.mean, std=network.std)


def build_network(recipe: Recipe, n_classes: int, *, any_size: bool = False) -> keras.Model:
    """Return the recipe's network, untrained, with its initial weights drawn from the seed.

    A recipe with a ``ferplus_weight`` gets a second output, logits over the eight FER+ classes,
    from the same features as the first.

    Args:
        recipe: The recipe.
        n_classes: Length of the label set.
        any_size: Leave the sides of the input open, for pictures of ``augmentation.sizes``; only
            networks that pool over the map can.

    Raises:
        RecipeError: The architecture cannot take pictures of the sizes asked for.
    """
    keras.utils.set_random_seed(recipe.run.seed)
    preprocessing = preprocessing_of(recipe)
    side = None if any_size else preprocessing.size
    network = recipe.network
    shape = (side, side, preprocessing.channels)
    try:
        model = build_architecture(network.architecture, shape, n_classes, dropout=network.dropout)
        for size in recipe.augmentation.sizes if any_size else ():
            model.compute_output_spec(keras.KerasTensor((1, size, size, preprocessing.channels)))
    except RecipeError:
        raise
    except ValueError as error:
        raise RecipeError(
            f"architecture {network.architecture!r} cannot take its pictures; received size "
            f"{network.size} and sizes {list(recipe.augmentation.sizes)}: {error}; leave "
            "augmentation.sizes empty, or give sides that suit the network"
        ) from error
    if recipe.optimization.ferplus_weight == 0:
        return model
    head = layers.Dense(len(FERPLUS), dtype="float32", name=FERPLUS_HEAD)
    features = model.layers[-1].input
    return keras.Model(model.inputs[0], [model.outputs[0], head(features)], name=model.name)


def predict_logits(
    model: keras.Model, split: Split, preprocessing: Preprocessing, *, batch_size: int = 256
) -> list[NDArray[np.float32]]:
    """Return the logits of each of the network's heads for every picture of a split.

    Args:
        model: The network.
        split: Pictures.
        preprocessing: How crops become input.
        batch_size: Pictures at a time.

    Returns:
        For each head ``float32 (N, K)``.
    """
    chunks = []
    for start in range(0, len(split), batch_size):
        inputs = to_batch(split.images[start : start + batch_size], preprocessing)
        outputs = model.predict_on_batch(inputs)
        chunks.append(outputs if isinstance(outputs, list) else [outputs])
    return [
        np.concatenate([keras.ops.convert_to_numpy(one) for one in head]).astype(np.float32)
        for head in zip(*chunks, strict=True)
    ]
