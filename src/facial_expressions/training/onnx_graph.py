"""From a Keras functional model to an ONNX graph, layer by layer, on any Keras backend.

Inside the graph tensors are channels first, ``(N, C, H, W)``, which ONNX Runtime computes fastest.
The graph is exact, and smaller than the network in three ways: standardised kernels are computed
here once; kernel taps that can only ever meet padding (eight of nine on a 1x1 map) are cut off;
and where grey is repeated into three channels, the first kernel is summed over them.

A layer that this file does not know is refused by name: add a function to ``_CONVERTERS``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import keras
import numpy as np
import onnx
from keras import layers
from onnx import TensorProto, helper, numpy_helper

from facial_expressions.architectures.direct_layers import same_padding
from facial_expressions.data.dataset import Floats
from facial_expressions.errors import ExportError
from facial_expressions.model_metadata import INPUT_NAME, Head, ModelMetadata
from facial_expressions.training.model_files import Graph, set_top_label_map

OPSET = 17
"""ONNX operator set of the files; read by every ONNX Runtime since 1.12."""

HALF = "/half"
"""Ends the name of weights that are stored in 16 bits."""

_IR_VERSION = 8


class _Graph(Graph):
    """The graph under construction; ``names`` maps Keras tensors to ONNX value names."""

    def __init__(self, *, grey_repeated: bool) -> None:
        super().__init__()
        self.names: dict[int, str] = {}
        self.grey_repeated = grey_repeated


_Converter = Callable[[_Graph, layers.Layer, list[str]], str]


def build_onnx(model: keras.Model, metadata: ModelMetadata) -> onnx.ModelProto:
    """Convert a network of logits to a model file's content.

    Args:
        model: Functional model ``(N, S, S, C) -> (N, K)`` of logits, or with as many outputs as
            the metadata have heads.
        metadata: Written into the file; each head's calibration goes into the graph, and where the
            preprocessing has one channel but the network three, grey is taken as repeated.

    Returns:
        A graph from ``crops``, with a free batch axis, to each head's probabilities, and where the
        network pools over its last map to each head's class activation maps.

    Raises:
        ExportError: The model has a layer that cannot be converted.
    """
    preprocessing = metadata.preprocessing
    size, channels = preprocessing.size, preprocessing.channels
    graph = _Graph(grey_repeated=channels == 1 and model.inputs[0].shape[-1] == 3)
    graph.names[id(model.inputs[0])] = graph.add(
        "Transpose", [INPUT_NAME], "channels_first", perm=[0, 3, 1, 2]
    )
    for layer in model.layers:
        if not isinstance(layer, layers.InputLayer):
            _convert_layer(graph, layer)
    for tensor, head in zip(model.outputs, metadata.heads, strict=True):
        _add_head(graph, tensor, head)
    graph.proto.name = metadata.name
    graph.proto.input.append(
        helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, ["N", size, size, channels])
    )
    onnx_model = helper.make_model(
        graph.proto,
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="facial-expressions",
        ir_version=_IR_VERSION,
    )
    helper.set_model_props(onnx_model, metadata.to_entries())
    for head in metadata.heads:
        if head.calibration.top_label:
            set_top_label_map(onnx_model, head.output, head.calibration.top_label)
    onnx.checker.check_model(onnx_model, full_check=True)
    return onnx_model


def _add_head(graph: _Graph, tensor: keras.KerasTensor, head: Head) -> None:
    """Add the probabilities of one head, and its maps where it has them."""
    graph.add_probabilities(head, graph.names[id(tensor)])
    dense = tensor._keras_history.operation
    features = _pooled_map(dense)
    if features is not None:
        layer = _array(dense.kernel), _array(dense.bias)
        graph.add_maps(head, graph.names[id(features)], layer, features.shape[1:3])


def _pooled_map(dense: layers.Layer) -> keras.KerasTensor | None:
    """Return the map whose mean a linear layer sees, or None when it sees something else."""
    if not isinstance(dense, layers.Dense) or not dense.use_bias:
        return None
    source = dense.input._keras_history.operation
    while isinstance(source, layers.Dropout):
        source = source.input._keras_history.operation
    return source.input if isinstance(source, layers.GlobalAveragePooling2D) else None


def to_half_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy whose weights are stored in 16 bits and widened when the file is opened.

    ONNX Runtime folds the widening at load: speed and memory stay those of 32 bits.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    kept, casts = [], []
    for tensor in copy.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype != np.float32 or array.size < 1024:
            kept.append(tensor)
            continue
        half = f"{tensor.name}{HALF}"
        kept.append(numpy_helper.from_array(array.astype(np.float16), half))
        casts.append(helper.make_node("Cast", [half], [tensor.name], half, to=TensorProto.FLOAT))
    nodes = [*casts, *copy.graph.node]
    del copy.graph.initializer[:], copy.graph.node[:]
    copy.graph.initializer.extend(kept)
    copy.graph.node.extend(nodes)
    onnx.checker.check_model(copy, full_check=True)
    return copy


def _convert_layer(graph: _Graph, layer: layers.Layer) -> None:
    converter = next((c for kind, c in _CONVERTERS.items() if isinstance(layer, kind)), None)
    if converter is None:
        known = sorted(kind.__name__ for kind in _CONVERTERS)
        raise ExportError(
            f"layer {layer.name!r}: a {type(layer).__name__} cannot be exported. Known: {known}. "
            "Add a converter to training/onnx_graph.py"
        )
    tensors = layer.input if isinstance(layer.input, list) else [layer.input]
    graph.names[id(layer.output)] = converter(graph, layer, [graph.names[id(t)] for t in tensors])


def _array(value: object) -> Floats:
    return np.asarray(keras.ops.convert_to_numpy(value), dtype=np.float32)


def _activate(graph: _Graph, layer: layers.Layer, value: str) -> str:
    """Add a layer's own activation after its output ``value``."""
    name = keras.activations.serialize(layer.activation)
    if name == "linear":
        return value
    kind = _ACTIVATIONS.get(name)
    if kind is None:
        raise ExportError(
            f"layer {layer.name!r}: activation {name!r} cannot be exported. Known: "
            f"{sorted(_ACTIVATIONS)}. Add it to training/onnx_graph.py"
        )
    return graph.add(kind, [value], f"{layer.name}/{name}")


def kept_taps(layer: layers.Conv2D, axis: int) -> tuple[range, tuple[int, int]]:
    """Return which taps of a kernel are in the file; the others only ever meet padding.

    Args:
        layer: A convolution of a network whose input has a fixed size.
        axis: 0 for the kernel's rows, 1 for its columns.

    Returns:
        The taps, and the padding that is left before and after.
    """
    size, length = layer.input.shape[1 + axis], layer.kernel_size[axis]
    stride = layer.strides[axis]
    before, after = same_padding(size, length, stride) if layer.padding == "same" else (0, 0)
    last_start = (size + before + after - length) // stride * stride
    first = next(t for t in range(length) if last_start + t >= before)
    stop = next(t for t in range(length, 0, -1) if t - 1 < before + size)
    return range(first, stop), (before - first, after - (length - stop))


def _conv(graph: _Graph, layer: layers.Layer, inputs: list[str]) -> str:
    standardized = getattr(layer, "standardized_kernel", None)
    kernel = _array(standardized() if standardized else layer.kernel)
    if graph.grey_repeated and inputs == ["channels_first"]:
        kernel = kernel.sum(axis=2, keepdims=True)
    rows, (top, bottom) = kept_taps(layer, 0)
    columns, (left, right) = kept_taps(layer, 1)
    kernel = kernel[np.ix_(rows, columns)]
    weights = [graph.constant(f"{layer.name}/kernel", kernel.transpose(3, 2, 0, 1))]
    if layer.use_bias:
        weights.append(graph.constant(f"{layer.name}/bias", _array(layer.bias)))
    value = graph.add(
        "Conv",
        [*inputs, *weights],
        layer.name,
        kernel_shape=list(kernel.shape[:2]),
        strides=list(layer.strides),
        dilations=list(layer.dilation_rate),
        group=layer.groups,
        pads=[top, left, bottom, right],
    )
    return _activate(graph, layer, value)


def _batch_normalization(graph: _Graph, layer: layers.Layer, inputs: list[str]) -> str:
    mean, variance = _array(layer.moving_mean), _array(layer.moving_variance)
    gamma = _array(layer.gamma) if layer.scale else np.ones_like(mean)
    beta = _array(layer.beta) if layer.center else np.zeros_like(mean)
    parts = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
    weights = [graph.constant(f"{layer.name}/{name}", part) for name, part in parts.items()]
    kind = "BatchNormalization"
    return graph.add(kind, [*inputs, *weights], layer.name, epsilon=layer.epsilon)


def _pool(kind: str, graph: _Graph, layer: layers.Layer, inputs: list[str]) -> str:
    sides, pool, strides = layer.input.shape[1:3], layer.pool_size, layer.strides
    (top, bottom), (left, right) = (
        map(same_padding, sides, pool, strides) if layer.padding == "same" else ((0, 0), (0, 0))
    )
    return graph.add(
        kind,
        inputs,
        layer.name,
        kernel_shape=list(pool),
        strides=list(strides),
        pads=[top, left, bottom, right],
    )


def _merge(kind: str, graph: _Graph, layer: layers.Layer, inputs: list[str]) -> str:
    value = inputs[0]
    for index, other in enumerate(inputs[1:]):
        value = graph.add(kind, [value, other], f"{layer.name}/{index}")
    return value


def _flatten(graph: _Graph, layer: layers.Layer, inputs: list[str]) -> str:
    shape = layer.input.shape
    if len(shape) == 4 and shape[1:3] != (1, 1):
        inputs = [graph.add("Transpose", inputs, f"{layer.name}/last", perm=[0, 2, 3, 1])]
    return graph.add("Flatten", inputs, layer.name, axis=1)


def _dense(graph: _Graph, layer: layers.Layer, inputs: list[str]) -> str:
    weights = [graph.constant(f"{layer.name}/kernel", _array(layer.kernel))]
    if layer.use_bias:
        weights.append(graph.constant(f"{layer.name}/bias", _array(layer.bias)))
    return _activate(graph, layer, graph.add("Gemm", [*inputs, *weights], layer.name))


def _relu(graph: _Graph, layer: layers.Layer, inputs: list[str]) -> str:
    if layer.max_value is not None or layer.negative_slope or layer.threshold:
        raise ExportError(
            f"layer {layer.name!r}: a ReLU with a slope, a threshold or a largest value cannot be "
            "exported. Use a plain one, or add it to training/onnx_graph.py"
        )
    return graph.add("Relu", inputs, layer.name)


_ACTIVATIONS = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "hard_sigmoid": "HardSigmoid"}

_CONVERTERS: dict[type[layers.Layer], _Converter] = {
    layers.Conv2D: _conv,
    layers.BatchNormalization: _batch_normalization,
    layers.MaxPooling2D: partial(_pool, "MaxPool"),
    layers.AveragePooling2D: partial(_pool, "AveragePool"),
    layers.GlobalAveragePooling2D: lambda graph, layer, inputs: graph.add(
        "ReduceMean", inputs, layer.name, axes=[2, 3], keepdims=int(layer.keepdims)
    ),
    layers.Concatenate: lambda graph, layer, inputs: graph.add(
        "Concat", inputs, layer.name, axis=1
    ),
    layers.Add: partial(_merge, "Add"),
    layers.Multiply: partial(_merge, "Mul"),
    layers.Flatten: _flatten,
    layers.Dense: _dense,
    layers.Dropout: lambda graph, layer, inputs: inputs[0],
    layers.Activation: lambda graph, layer, inputs: _activate(graph, layer, inputs[0]),
    layers.ReLU: _relu,
}
