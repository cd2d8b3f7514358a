"""What a run ends with: its final weights, and the network's answers on validation."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from facial_expressions.data.dataset import Split
from facial_expressions.files import atomic_write, write_file
from facial_expressions.training.network import predict_logits
from facial_expressions.training.run_folder import RunFolder
from facial_expressions.training.trained_networks import FinishedRun, read_finished_run


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
        For each head the logits on validation, ``float32 (N, K)``.
    """
    with tempfile.TemporaryDirectory() as name:  # Keras writes to nothing but a path
        temporary = Path(name) / folder.weights.name
        model.save_weights(temporary)
        write_file(folder.weights, temporary.read_bytes())
    run = read_finished_run(folder.path)
    is_exact = keras.config.dtype_policy().compute_dtype == "float32"
    network = model if is_exact else _in_float32(run)
    logits = predict_logits(network, split.images, run.preprocessing)
    arrays: dict[str, NDArray[Any]] = {"crops": split.images}
    for (name, truth), answers in zip(truths.items(), logits, strict=True):
        arrays |= {f"{name}_labels": truth, f"{name}_logits": answers}
    with atomic_write(folder.validation) as file:
        np.savez(file, allow_pickle=False, **arrays)
    return logits


def _in_float32(run: FinishedRun) -> keras.Model:
    """Return a run's network, computing in float32."""
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        return run.build()
    finally:
        keras.config.set_dtype_policy(previous)
