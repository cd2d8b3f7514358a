"""First weights of a run that does not start from chance: those of a trained network.

They go to a network of the same architecture, or to a wider one that holds it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import keras
import numpy as np
from numpy.typing import NDArray

from facial_expressions.errors import ModelError
from facial_expressions.labels import LabelSet
from facial_expressions.preprocessing import Preprocessing
from facial_expressions.training.identity import describe_differences
from facial_expressions.training.network import preprocessing_of
from facial_expressions.training.recipe import Recipe
from facial_expressions.training.trained_networks import TrainedNetwork

_GROWN_FROM: Final = {"compact_resnet_wide": "compact_resnet"}
"""Networks that hold another one: its channels come first, and its blocks."""


def copy_weights(
    source: TrainedNetwork, model: keras.Model, recipe: Recipe, labels: LabelSet
) -> None:
    """Give the network of a recipe, whose first head has ``labels``, the weights of a trained one.

    A further head that the trained one lacks is left as it is.

    Raises:
        ModelError: The two differ in architecture, label set or scaling, or a layer has another
            shape; the message says what differs. Or the trained network cannot be read.
    """
    wanted = recipe.network.architecture
    grows = _GROWN_FROM.get(wanted) == source.architecture
    there = wanted if grows else source.architecture
    of_first = next(iter(source.heads.values()))
    differences = describe_differences(
        _essence(there, of_first, source.preprocessing),
        _essence(wanted, labels, preprocessing_of(recipe)),
    )
    copies = {}
    for old, new in _pairs(source.build(), model, grows=grows) if not differences else ():
        weights = old.get_weights() if old is not None else []
        if grows:
            weights = _grown(weights, new)
        copies[new.name] = weights
        received, own = ([tuple(w.shape) for w in some] for some in (weights, new.weights))
        if received != own:
            differences.append(f"{new.name} has weights {received} there, {own} here")
    if differences:
        raise ModelError(
            f"{source.path}: its weights do not fit this network: {'; '.join(differences)}. Start "
            "from weights of the same network"
        )
    for name, weights in copies.items():
        model.get_layer(name).set_weights(weights)


def _essence(
    architecture: str, labels: LabelSet, preprocessing: Preprocessing
) -> dict[str, object]:
    """Return what two networks must have in common for weights to mean the same."""
    return {
        "architecture": architecture,
        "label set": f"{labels.name} {list(labels.names)}",
        "mean": preprocessing.mean,
        "std": preprocessing.std,
    }


def _pairs(
    old: keras.Model, new: keras.Model, *, grows: bool
) -> Iterator[tuple[keras.Layer | None, keras.Layer]]:
    """Yield each layer of the new network with the one that its weights come from.

    Layers of one architecture have the same order, and where a wider one holds it the same names;
    further heads go by their names.
    """
    heads = [net.output_names[1:] for net in (old, new)]
    bodies = [
        [layer for layer in net.layers if layer.name not in names]
        for net, names in zip((old, new), heads, strict=True)
    ]
    if grows:
        named = {layer.name: layer for layer in bodies[0]}
        yield from ((named.get(layer.name), layer) for layer in bodies[1])
    else:
        yield from zip(*bodies, strict=True)
    for name in set(heads[0]).intersection(heads[1]):
        yield old.get_layer(name), new.get_layer(name)


def _grown(smaller: list[NDArray[np.float32]], layer: keras.Layer) -> list[NDArray[np.float32]]:
    """Return a layer's fresh weights with those of a smaller one in their first places.

    What the smaller layer gave does not change: its outputs get nothing from inputs that it did not
    have. A layer that the smaller network lacks keeps its fresh weights; where it closes a block,
    its scale is zero, so that the block passes on what comes in.
    """
    grown = [np.array(value) for value in layer.get_weights()]
    for whole, part in zip(grown, smaller, strict=bool(smaller)):
        places = tuple(slice(n) for n in part.shape)
        if part.ndim > 1:
            whole[..., : part.shape[-1]] = 0
        whole[places] = part
    return grown
