"""First weights of a run that does not start from chance: a finished run's, or a model file's.

A model file holds every trained number of its network, by the names of its layers, so that training
can go on from what ships. Three things are put back that ``onnx_graph`` changed: weights of 16 bits
are widened; taps that only ever meet padding are zeros; and a standardised kernel, of which the
file has the sum over repeated grey channels, becomes one with that very sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

import keras
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from facial_expressions.errors import ModelError
from facial_expressions.inference.classifier import ExpressionClassifier
from facial_expressions.inference.runtime import file_sha256
from facial_expressions.labels import LabelSet
from facial_expressions.training.finished_run import FinishedRun, read_finished_run
from facial_expressions.training.identity import describe_differences
from facial_expressions.training.onnx_graph import HALF, kept_taps
from facial_expressions.training.recipe import Recipe

__all__ = ["FirstWeights", "open_first_weights"]

_PARTS: Final = {"moving_mean": "mean", "moving_variance": "variance"}
"""What a file calls a layer's variables, where it is not Keras' own name."""


_GROWN_FROM: Final = {"compact_resnet_wide": "compact_resnet"}
"""Networks that hold another one: its channels come first, and its blocks."""


class FirstWeights(Protocol):
    """Gives a network its first weights."""

    def describe(self) -> dict[str, object]:
        """Return what identifies the weights, as plain values."""

    def copy_to(self, model: keras.Model, recipe: Recipe, labels: LabelSet) -> None:
        """Give a network the weights; a further head that only one side has is left as it is.

        Args:
            model: The network of ``recipe``.
            recipe: Its recipe.
            labels: Its label set.

        Raises:
            ModelError: The two differ in architecture, label set or scaling, or a layer has another
                shape; the message says what differs.
        """


def open_first_weights(source: str | Path) -> FirstWeights:
    """Open what a run is to start from.

    Args:
        source: Folder of a finished run, path of a model file, or name of a shipped model.

    Raises:
        ModelError: There is no such thing, it is damaged, or the run is not finished.
    """
    if Path(source).is_dir():
        return _RunWeights(read_finished_run(source))
    return _FileWeights(source)


class _RunWeights:
    """The final weights of a finished run."""

    def __init__(self, run: FinishedRun) -> None:
        self._run = run

    def describe(self) -> dict[str, object]:
        return self._run.describe()

    def copy_to(self, model: keras.Model, recipe: Recipe, labels: LabelSet) -> None:
        run = self._run
        network = run.recipe.network
        there = _essence(network.architecture, run.labels, network.mean, network.std)
        differences = _differences(there, recipe, labels)
        if not differences:
            source = run.build(any_size=bool(recipe.augmentation.sizes))
            layers = list(zip(_trunk(source), _trunk(model), strict=True))
            differences = [
                f"{new.name} has weights {_shapes(old)} there, {_shapes(new)} here"
                for old, new in layers
                if _shapes(old) != _shapes(new)
            ]
        if differences:
            raise _misfit(str(run.folder.path), differences)
        for old, new in layers:
            new.set_weights(old.get_weights())
        heads = _further_heads(source)
        for head in _further_heads(model) & heads:
            model.get_layer(head).set_weights(source.get_layer(head).get_weights())


class _FileWeights:
    """The weights in an exported model file."""

    def __init__(self, source: str | Path) -> None:
        classifier = ExpressionClassifier.load(source)  # refuses a file that is damaged
        self._path, self._metadata = classifier.path, classifier.metadata
        self._arrays = {
            tensor.name.removesuffix(HALF): numpy_helper.to_array(tensor)
            for tensor in onnx.load(self._path).graph.initializer
        }

    def describe(self) -> dict[str, object]:
        return {"name": self._path.name, "sha256": file_sha256(self._path)}

    def copy_to(self, model: keras.Model, recipe: Recipe, labels: LabelSet) -> None:
        metadata = self._metadata
        scaling = metadata.preprocessing
        grows = _GROWN_FROM.get(recipe.network.architecture) == metadata.architecture
        architecture = recipe.network.architecture if grows else metadata.architecture
        of_first = metadata.heads[0].labels
        there = _essence(architecture, of_first, scaling.mean, scaling.std)
        differences = _differences(there, recipe, labels)
        values, heads = {}, _further_heads(model)
        for layer in model.layers if not differences else ():
            if layer.name in heads and f"{layer.name}/kernel" not in self._arrays:
                continue
            arrays = self._values(layer)
            if grows:
                arrays = _grown(arrays, layer)
            values[layer.name] = arrays
            if _shapes_of(arrays) != _shapes(layer):
                received = _shapes_of(arrays)
                differences.append(
                    f"{layer.name} has weights {received} there, {_shapes(layer)} here"
                )
        if differences:
            raise _misfit(str(self._path), differences)
        for name, arrays in values.items():
            model.get_layer(name).set_weights(arrays)

    def _values(self, layer: keras.Layer) -> list[NDArray[np.float32]]:
        """Return a layer's weights, in Keras' order; those that the file lacks are left out."""
        values = []
        for variable in layer.weights:
            array = self._arrays.get(f"{layer.name}/{_PARTS.get(variable.name, variable.name)}")
            if array is not None:
                value = array.astype(np.float32)
                is_kernel = isinstance(layer, keras.layers.Conv2D) and variable.name == "kernel"
                values.append(_whole_kernel(value, layer) if is_kernel else value)
        return values


def _whole_kernel(kernel: NDArray[np.float32], layer: keras.layers.Conv2D) -> NDArray[np.float32]:
    """Return a file's kernel ``(F, C, h, w)`` as Keras has it, ``(kh, kw, C, F)``."""
    kernel = kernel.transpose(2, 3, 1, 0)
    if kernel.shape[:2] != layer.kernel_size:
        whole = np.zeros((*layer.kernel_size, *kernel.shape[2:]), np.float32)
        kept = kept_taps(layer, 0), kept_taps(layer, 1)
        if kernel.shape[:2] != tuple(map(len, kept)):
            return kernel
        whole[np.ix_(*kept)] = kernel
        kernel = whole
    if hasattr(layer, "standardized_kernel") and kernel.shape[2:3] == (1,):
        kernel = _spread_over_channels(kernel, layer.kernel.shape[2])
    return kernel


def _spread_over_channels(total: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """Return a kernel of mean 0 and variance 1 a filter whose channels add up to ``total``.

    Each channel gets an equal part, and the first two what is missing to the variance, with
    opposite signs, so that the sum stays. That can be done because adding up channels of a kernel
    of variance 1 gives at most ``channels`` times what an equal part is.

    Args:
        total: ``(kh, kw, 1, F)``, of mean 0 a filter.
        channels: Number of channels C, at least 2.
    """
    part = total / channels
    power = np.mean(np.square(part), axis=(0, 1, 2), keepdims=True)
    missing = np.sqrt(np.maximum(1 - power, 0) * channels / 2 / np.maximum(power, 1e-12))
    kernel: NDArray[np.float32] = np.repeat(part, channels, axis=2)
    kernel[:, :, :1] += missing * part
    kernel[:, :, 1:2] -= missing * part
    return kernel


def _grown(smaller: list[NDArray[np.float32]], layer: keras.Layer) -> list[NDArray[np.float32]]:
    """Return a layer's fresh weights with those of a smaller one in their first places.

    What the smaller layer gave does not change: its outputs get nothing from inputs that it did not
    have. A layer that the smaller network lacks keeps its fresh weights; where it closes a block,
    its scale is zero, so that the block passes on what comes in.

    Args:
        smaller: Weights of the smaller network's layer of that name; empty when it has none.
        layer: The layer of the larger network, with fresh weights.
    """
    grown = [np.array(value) for value in layer.get_weights()]
    for whole, part in zip(grown, smaller, strict=bool(smaller)):
        places = tuple(slice(n) for n in part.shape)
        if part.ndim > 1:
            whole[..., : part.shape[-1]] = 0
        whole[places] = part
    return grown


def _differences(there: Mapping[str, object], recipe: Recipe, labels: LabelSet) -> list[str]:
    network = recipe.network
    here = _essence(network.architecture, labels, network.mean, network.std)
    return describe_differences(there, here)


def _essence(architecture: str, labels: LabelSet, mean: float, std: float) -> dict[str, object]:
    """Return what two networks must have in common for weights to mean the same."""
    return {
        "architecture": architecture,
        "label set": f"{labels.name} {list(labels.names)}",
        "mean": mean,
        "std": std,
    }


def _misfit(source: str, differences: list[str]) -> ModelError:
    return ModelError(
        f"the weights of {source} do not fit this network; received {'; '.join(differences)}; "
        "start from weights of the same network"
    )


def _trunk(model: keras.Model) -> list[keras.Layer]:
    """Return the layers of the network without its further heads."""
    heads = _further_heads(model)
    return [layer for layer in model.layers if layer.name not in heads]


def _further_heads(model: keras.Model) -> set[str]:
    """Return the names of the layers that give the network's outputs after the first."""
    return {output._keras_history.operation.name for output in model.outputs[1:]}


def _shapes(layer: keras.Layer) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in layer.weights]


def _shapes_of(arrays: list[NDArray[np.float32]]) -> list[tuple[int, ...]]:
    return [array.shape for array in arrays]
