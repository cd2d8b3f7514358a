"""TensorBoard's event files: the Keras callback that writes them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import keras

from facial_expressions.errors import MissingExtraError


def tensorboard_callback(folder: str | Path) -> keras.callbacks.Callback:
    """Return the callback that writes a run's event files.

    Args:
        folder: Where they go; made if absent.

    Raises:
        MissingExtraError: TensorBoard is not installed, or TensorFlow, whose writer Keras uses.
    """
    for extra, package in (("tensorboard", "tensorboard"), ("train", "tensorflow")):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError.of(extra, package)
    return keras.callbacks.TensorBoard(str(folder))
