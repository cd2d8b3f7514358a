"""What a run ends with: its final weights, and the network's answers on validation."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from facial_expressions.data.ferplus import strict_majority
from facial_expressions.files import atomic_write, write_file
from facial_expressions.labels import FERPLUS
from facial_expressions.training.material import Material
from facial_expressions.training.network import build_network, predict_logits, preprocessing_of
from facial_expressions.training.run_folder import RunFolder

__all__ = ["save_final_weights"]


def save_final_weights(
    folder: RunFolder, model: keras.Model, material: Material
) -> list[NDArray[np.float32]]:
    """Write what ``export`` reads: weights, and on validation crops and each head's answers.

    The logits are those of float32, in which the exported file computes, whatever the network was
    trained in: in bfloat16 every five-hundredth answer is another one.

    Args:
        folder: The run's folder.
        model: The network with its final weights.
        material: What it learnt from.

    Returns:
        For each head the logits on validation, ``float32 (N, K)``.
    """
    split = material.dataset.validation
    with tempfile.TemporaryDirectory() as name:  # Keras writes to nothing but a path
        temporary = Path(name) / folder.weights.name
        model.save_weights(temporary)
        write_file(folder.weights, temporary.read_bytes())
    exact = _in_float32(model, folder, material)
    logits = predict_logits(exact, split, preprocessing_of(material.recipe))
    truths = {material.dataset.labels.name: split.labels}
    if material.votes is not None:
        truths[FERPLUS.name] = strict_majority(material.votes[split.name])
    arrays: dict[str, NDArray[Any]] = {"crops": split.images}
    for (name, truth), rows in zip(truths.items(), logits, strict=True):
        arrays |= {f"{name}_labels": truth, f"{name}_logits": rows}
    with atomic_write(folder.validation) as file:
        np.savez(file, allow_pickle=False, **arrays)
    return logits


def _in_float32(model: keras.Model, folder: RunFolder, material: Material) -> keras.Model:
    """Return the network with its saved weights, computing in float32."""
    previous = keras.config.dtype_policy()
    if previous.compute_dtype == "float32":
        return model
    keras.config.set_dtype_policy("float32")
    try:
        exact = build_network(material.recipe, len(material.dataset.labels))
    finally:
        keras.config.set_dtype_policy(previous)
    exact.load_weights(folder.weights)
    return exact
