"""Networks that are trained: finished runs, as they are saved and read, and model files.

Their weights are the first ones of a run that does not start from chance: one of the same
architecture, or of a wider one that holds it.

A model file holds every trained number of its network, by the names of its layers, so that training
can continue from what ships. Three changes by ``onnx_graph`` are undone: weights of 16 bits are
widened; taps that only ever meet padding are zeros; and a standardised kernel, of which the
file has the sum over repeated grey channels, becomes one with that very sum.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from facial_expressions.data.dataset import Floats, Ints, Split
from facial_expressions.errors import ModelError, first_line, parsed
from facial_expressions.files import atomic_write, write_file
from facial_expressions.inference.classifier import load_classifier
from facial_expressions.inference.runtime import file_sha256
from facial_expressions.labels import LabelSet
from facial_expressions.preprocessing import Preprocessing
from facial_expressions.training.devices import computing_in
from facial_expressions.training.network import (
    build_network,
    label_sets_of,
    predict_logits,
    preprocessing_of,
)
from facial_expressions.training.onnx_graph import HALF, kept_taps
from facial_expressions.training.recipe import NetworkRecipe, Recipe
from facial_expressions.training.run_folder import RunFolder, describe_differences

_GROWN_FROM: Final = {"compact_resnet_wide": "compact_resnet"}
"""Networks that hold another one: its channels come first, and its blocks."""

_PARTS: Final = {"moving_mean": "mean", "moving_variance": "variance"}
"""What a file calls a layer's variables, where it is not Keras' own name."""


class FinishedRun:
    """The folder of a finished run.

    Args:
        path: The folder.

    Raises:
        ModelError: It is not a run's folder, the run is not finished, or a file is damaged.

    Attributes:
        folder: Its files.
        path: The folder.
        recipe: What it was trained by.
        architecture: Name of its architecture.
        heads: Label set of each head, by the head's name, in the order of the network's outputs.
        preprocessing: How crops become its input.
        data: What it learnt from, in words.
        data_digest: Digest of the data set that it learnt from.
    """

    def __init__(self, path: str | Path) -> None:
        folder = self.folder = RunFolder(Path(path))
        self.path = folder.path
        needed = (folder.recipe, folder.dataset, folder.weights)
        missing = [one.name for one in needed if not one.is_file()]
        if missing:
            raise ModelError(
                f"{path}: not the folder of a finished run: {', '.join(missing)} missing. "
                "Give one that 'facial-expressions train' has finished"
            )
        try:
            facts = parsed(json.loads, folder.dataset.read_text(encoding="utf-8"))
            labels = LabelSet(facts["labels"]["name"], tuple(facts["labels"]["names"]))
            self.data = f"{facts['name']} ({facts['protocol']}, train {facts['counts']['train']})"
            self.data_digest = str(facts["digest"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"{folder.dataset}: damaged: {first_line(error)}. Train the run again"
            ) from error
        self.recipe = Recipe.load(folder.recipe)
        self.architecture = self.recipe.network.architecture
        self.heads = label_sets_of(self.recipe, labels)
        self.preprocessing = preprocessing_of(self.recipe)

    def describe(self) -> dict[str, object]:
        """Return what identifies its weights, as plain values."""
        return {"name": self.path.name, "weights_sha256": file_sha256(self.folder.weights)}

    def build(self) -> keras.Model:
        """Return the run's network with its final weights.

        Raises:
            ModelError: The weights are damaged, or not of this version's architecture.
        """
        model = build_network(self.recipe, self.heads)
        try:
            model.load_weights(self.folder.weights)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(
                f"{self.folder.weights}: cannot be read into {self.architecture!r}: "
                f"{first_line(error)}. Train the run again"
            ) from error
        return model


def save_final_weights(
    folder: RunFolder, model: keras.Model, split: Split, truths: Mapping[str, Ints]
) -> list[Floats]:
    """Write what ``export`` reads: weights, and on validation crops and each head's answers.

    The logits are those of float32, in which the exported file computes, whatever the network was
    trained in: in bfloat16 every five-hundredth answer is another one.

    Args:
        folder: The run's folder, with recipe and data.
        model: The network with its final weights.
        split: The validation images.
        truths: By each head's name the label ids of these images, -1 where there is none.

    Returns:
        For each head the logits, ``float32 (N, K)``.
    """
    with tempfile.TemporaryDirectory() as name:  # Keras writes to nothing but a path
        temporary = Path(name) / folder.weights.name
        model.save_weights(temporary)
        write_file(folder.weights, temporary.read_bytes())
    run = FinishedRun(folder.path)
    is_exact = keras.config.dtype_policy().compute_dtype == "float32"
    with computing_in("float32"):
        network = model if is_exact else run.build()
    logits = predict_logits(network, split.images, run.preprocessing)
    arrays: dict[str, NDArray[Any]] = {"crops": split.images}
    for (name, truth), answers in zip(truths.items(), logits, strict=True):
        arrays |= {f"{name}_labels": truth, f"{name}_logits": answers}
    with atomic_write(folder.validation) as file:
        np.savez(file, allow_pickle=False, **arrays)
    return logits


class ModelFile:
    """An exported model file.

    Args:
        source: Its path, or the name of a shipped model.

    Raises:
        ModelError: There is no such file, or it is damaged.

    Attributes:
        path: The file.
        architecture: Name of its architecture.
        heads: Label set of each head, by the head's name, in the order of the network's outputs.
        preprocessing: How crops become its input, of one channel in the file.
    """

    def __init__(self, source: str | Path) -> None:
        classifier = load_classifier(str(source))
        self.path = classifier.path
        self.architecture = classifier.metadata.architecture
        self.heads = {head.name: head.labels for head in classifier.metadata.heads}
        self.preprocessing = classifier.metadata.preprocessing

    def describe(self) -> dict[str, object]:
        """Return what identifies its weights, as plain values."""
        return {"name": self.path.name, "sha256": file_sha256(self.path)}

    def build(self) -> keras.Model:
        """Return the file's network, without its calibration.

        Raises:
            ModelError: A layer has other weights in the file, or none.
        """
        network = NetworkRecipe(self.architecture, self.preprocessing.size)
        model = build_network(Recipe(network=network), self.heads)
        arrays = {
            tensor.name.removesuffix(HALF): numpy_helper.to_array(tensor)
            for tensor in onnx.load(self.path).graph.initializer
        }
        for layer in model.layers:
            weights = _weights_of(layer, arrays)
            received, wanted = ([tuple(w.shape) for w in some] for some in (weights, layer.weights))
            if received != wanted:
                raise ModelError(
                    f"{self.path}: does not hold the weights of {self.architecture!r}: "
                    f"{layer.name} has {received}, not {wanted}. Choose a file of 16 or 32 bits"
                )
            layer.set_weights(weights)
        return model


TrainedNetwork = FinishedRun | ModelFile


def open_network(source: str | Path) -> TrainedNetwork:
    """Open the folder of a finished run, a model file, or a shipped model by its name.

    Raises:
        ModelError: There is no such thing, it is damaged, or the run is not finished.
    """
    return FinishedRun(source) if Path(source).is_dir() else ModelFile(source)


def copy_weights(
    source: TrainedNetwork, model: keras.Model, recipe: Recipe, labels: LabelSet
) -> None:
    """Give the network of a recipe, whose first head has ``labels``, the weights of a trained one.

    A further head that the trained one lacks is left as it is.

    Raises:
        ModelError: The two differ in architecture, label set or scaling, or a layer has another
            shape; the message says what differs, and the network is of no use. Or the trained
            network cannot be read.
    """
    wanted = recipe.network.architecture
    grows = _GROWN_FROM.get(wanted) == source.architecture
    there = wanted if grows else source.architecture
    of_first = next(iter(source.heads.values()))
    differences = describe_differences(
        _essence(there, of_first, source.preprocessing),
        _essence(wanted, labels, preprocessing_of(recipe)),
    )
    for old, new in _pairs(source.build(), model, grows=grows) if not differences else ():
        weights = old.get_weights() if old is not None else []
        if grows:
            weights = _grown(weights, new)
        received, own = ([tuple(w.shape) for w in some] for some in (weights, new.weights))
        if received == own:
            new.set_weights(weights)
        else:
            differences.append(f"{new.name} has weights {received} there, {own} here")
    if differences:
        raise ModelError(
            f"{source.path}: its weights do not fit this network: {'; '.join(differences)}. Start "
            "from weights of the same network"
        )


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


def _grown(smaller: list[Floats], layer: keras.Layer) -> list[Floats]:
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


def _weights_of(layer: keras.Layer, arrays: dict[str, NDArray[np.generic]]) -> list[Floats]:
    """Return a layer's weights, in Keras' order; those that the file lacks are left out."""
    values = []
    for variable in layer.weights:
        array = arrays.get(f"{layer.name}/{_PARTS.get(variable.name, variable.name)}")
        if array is not None:
            value = array.astype(np.float32)
            is_kernel = isinstance(layer, keras.layers.Conv2D) and variable.name == "kernel"
            values.append(_whole_kernel(value, layer) if is_kernel else value)
    return values


def _whole_kernel(kernel: Floats, layer: keras.layers.Conv2D) -> Floats:
    """Return a file's kernel ``(F, C, h, w)`` as Keras has it, ``(kh, kw, C, F)``."""
    kernel = kernel.transpose(2, 3, 1, 0)
    if kernel.shape[:2] != layer.kernel_size:
        whole = np.zeros((*layer.kernel_size, *kernel.shape[2:]), np.float32)
        kept = [kept_taps(layer, axis)[0] for axis in (0, 1)]
        if kernel.shape[:2] != tuple(map(len, kept)):
            return kernel
        whole[np.ix_(*kept)] = kernel
        kernel = whole
    if hasattr(layer, "standardized_kernel") and kernel.shape[2:3] == (1,):
        kernel = _spread_over_channels(kernel, layer.kernel.shape[2])
    return kernel


def _spread_over_channels(total: Floats, channels: int) -> Floats:
    """Return a kernel of mean 0 and variance 1 a filter whose channels add up to ``total``.

    Each channel gets an equal part, and the first two what is missing to the variance, with
    opposite signs, so that the sum stays. That can be done because adding up channels of a kernel
    of variance 1 gives at most ``channels`` times what an equal part is.
    """
    part = total / channels
    power = np.mean(np.square(part), axis=(0, 1, 2), keepdims=True)
    missing = np.sqrt(np.maximum(1 - power, 0) * channels / 2 / np.maximum(power, 1e-12))
    kernel: Floats = np.repeat(part, channels, axis=2)
    kernel[:, :, :1] += missing * part
    kernel[:, :, 1:2] -= missing * part
    return kernel
