"""Grad-CAM: where a layer of a Keras network found its answer, by gradients.

For networks that do not end in pooling over a map, such as ``standardized_cnn``, whose exported
file cannot explain itself. The seed's hooks for this are its layers ``BeforeFinal_Layer`` (8x8) and
``Final_Layer``, which is 1x1 and so has one value for the whole face.

Reference: Selvaraju et al. 2017, "Grad-CAM: visual explanations from deep networks via
gradient-based localization", arXiv:1610.02391, equations 1 and 2.
"""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from facial_expressions.errors import ModelError

__all__ = ["grad_cam"]


def grad_cam(
    model: keras.Model,
    batch: NDArray[np.float32],
    *,
    layer: str = "BeforeFinal_Layer",
    label_ids: NDArray[np.int64] | None = None,
) -> NDArray[np.float32]:
    """Return how much each place of a layer's map speaks for an expression.

    Args:
        model: Functional network of logits ``(N, K)``; of several outputs the first counts.
        batch: Network input, ``float32 (N, S, S, C)``, as ``to_batch`` makes it.
        layer: Name of a layer with a map ``(N, H, W, C)``.
        label_ids: The expression to explain for each picture, ``int64 (N,)``; None takes the
            network's answer.

    Returns:
        ``float32 (N, H, W)``, 0 or more: the map's channels, each weighted by the mean gradient of
        the expression's logit, summed, with what speaks against it cut off.

    Raises:
        ModelError: There is no such layer, it has no map, or the Keras backend is neither
            TensorFlow nor PyTorch.

    Examples:
        >>> from facial_expressions.architectures import build_architecture
        >>> network = build_architecture("standardized_cnn", (48, 48, 3), 7)
        >>> grad_cam(network, np.zeros((2, 48, 48, 3), np.float32)).shape
        (2, 8, 8)
    """
    map_shape = _map_shape(model, layer)
    if map_shape is None:
        with_maps = [one.name for one in model.layers if _map_shape(model, one.name)]
        raise ModelError(
            f"Grad-CAM needs a layer with a map; received {layer!r} of {model.name!r}; choose one "
            f"of {with_maps}"
        )
    both = keras.Model(model.inputs, [model.get_layer(layer).output, model.outputs[0]])
    if keras.backend.backend() == "tensorflow":
        maps, gradients = _tensorflow_gradients(both, batch, label_ids)
    elif keras.backend.backend() == "torch":
        maps, gradients = _torch_gradients(both, batch, label_ids)
    else:
        raise ModelError(
            f"Grad-CAM takes gradients through TensorFlow or PyTorch; received the Keras backend "
            f"{keras.backend.backend()!r}; set KERAS_BACKEND=tensorflow"
        )
    weights = gradients.mean(axis=(1, 2), keepdims=True)
    heat: NDArray[np.float32] = np.maximum((maps * weights).sum(axis=-1), 0)
    return heat


Arrays = tuple[NDArray[np.float32], NDArray[np.float32]]


def _map_shape(model: keras.Model, layer: str) -> tuple[int | None, ...] | None:
    """Return the shape of a layer's output if it is a map, else None."""
    found = next((one for one in model.layers if one.name == layer), None)
    shape = getattr(getattr(found, "output", None), "shape", ())
    return tuple(shape) if len(shape) == 4 else None


def _tensorflow_gradients(
    both: keras.Model, batch: NDArray[np.float32], label_ids: NDArray[np.int64] | None
) -> Arrays:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        inputs = tf.convert_to_tensor(batch)
        tape.watch(inputs)
        maps, logits = both(inputs, training=False)
        ids = np.argmax(logits.numpy(), axis=1) if label_ids is None else label_ids
        chosen = tf.gather(logits, ids, axis=1, batch_dims=1)
    return np.asarray(maps, np.float32), np.asarray(tape.gradient(chosen, maps), np.float32)


def _torch_gradients(
    both: keras.Model, batch: NDArray[np.float32], label_ids: NDArray[np.int64] | None
) -> Arrays:
    import torch

    with torch.enable_grad():
        inputs = keras.ops.convert_to_tensor(batch).requires_grad_()
        maps, logits = both(inputs, training=False)
        ids = logits.argmax(dim=1).cpu().numpy() if label_ids is None else label_ids
        chosen = logits[torch.arange(len(batch)), torch.as_tensor(ids)].sum()
        (gradients,) = torch.autograd.grad(chosen, maps)
    return maps.detach().float().cpu().numpy(), gradients.float().cpu().numpy()
