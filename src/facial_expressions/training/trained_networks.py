"""Networks that are trained: finished runs, as they are saved and read, and model files.

A model file holds every trained number of its network, by the names of its layers, so that training
can continue from what ships. Three changes by ``onnx_graph`` are undone: weights of 16 bits are
widened; taps that only ever meet padding are zeros; and a standardised kernel, of which the
file has the sum over repeated grey channels, becomes one with that very sum.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from facial_expressions.data.dataset import Split
from facial_expressions.errors import ModelError, first_line, parsed
from facial_expressions.files import atomic_write, write_file
from facial_expressions.inference.classifier import load_classifier
from facial_expressions.inference.runtime import file_sha256
from facial_expressions.labels import LabelSet
from facial_expressions.preprocessing import Preprocessing
from facial_expressions.training.devices import computing_in
from facial_expressions.training.heads import label_sets_of
from facial_expressions.training.network import build_network, predict_logits, preprocessing_of
from facial_expressions.training.onnx_graph import HALF, kept_taps
from facial_expressions.training.recipe import NetworkRecipe, Recipe
from facial_expressions.training.run_folder import RunFolder

_PARTS: Final = {"moving_mean": "mean", "moving_variance": "variance"}
"""What a file calls a layer's variables, where it is not Keras' own name."""


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A finished run.

    Attributes:
        folder: Its files.
        recipe: What it was trained by.
        labels: Label set of its first head.
        data: What it learnt from, in words.
        data_digest: Digest of the data set that it learnt from.
        sha256: SHA-256 of its final weights, as hexadecimal digits.
    """

    folder: RunFolder
    recipe: Recipe
    labels: LabelSet
    data: str
    data_digest: str
    sha256: str

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.folder.path

    @property
    def architecture(self) -> str:
        """Name of its architecture."""
        return self.recipe.network.architecture

    @property
    def heads(self) -> dict[str, LabelSet]:
        """Label set of each head, by the head's name, in the order of the network's outputs."""
        return label_sets_of(self.recipe, self.labels)

    @property
    def preprocessing(self) -> Preprocessing:
        """How crops become its input."""
        return preprocessing_of(self.recipe)

    def describe(self) -> dict[str, object]:
        """Return what identifies its weights, as plain values."""
        return {"name": self.path.name, "weights_sha256": self.sha256}

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


def read_finished_run(path: str | Path) -> FinishedRun:
    """Read a finished run's folder.

    Raises:
        ModelError: It is not a run's folder, the run is not finished, or a file is damaged.
    """
    folder = RunFolder(Path(path))
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
        data = f"{facts['name']} ({facts['protocol']}, train {facts['counts']['train']})"
        digest = str(facts["digest"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{folder.dataset}: damaged: {first_line(error)}. Train the run again"
        ) from error
    with folder.weights.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return FinishedRun(folder, Recipe.load(folder.recipe), labels, data, digest, sha256)


def save_final_weights(
    folder: RunFolder, model: keras.Model, split: Split, truths: Mapping[str, NDArray[np.int64]]
) -> list[NDArray[np.float32]]:
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
    run = read_finished_run(folder.path)
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
    if Path(source).is_dir():
        return read_finished_run(source)
    return ModelFile(source)


def _weights_of(
    layer: keras.Layer, arrays: dict[str, NDArray[np.generic]]
) -> list[NDArray[np.float32]]:
    """Return a layer's weights, in Keras' order; those that the file lacks are left out."""
    values = []
    for variable in layer.weights:
        array = arrays.get(f"{layer.name}/{_PARTS.get(variable.name, variable.name)}")
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
        kept = [kept_taps(layer, axis)[0] for axis in (0, 1)]
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
    """
    part = total / channels
    power = np.mean(np.square(part), axis=(0, 1, 2), keepdims=True)
    missing = np.sqrt(np.maximum(1 - power, 0) * channels / 2 / np.maximum(power, 1e-12))
    kernel: NDArray[np.float32] = np.repeat(part, channels, axis=2)
    kernel[:, :, :1] += missing * part
    kernel[:, :, 1:2] -= missing * part
    return kernel
