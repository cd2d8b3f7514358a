"""Builds tiny model files with real metadata: one matrix and a softmax, or maps and more heads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from facial_expressions.calibration import Calibration
from facial_expressions.inference.onnx_bytes import seal_model
from facial_expressions.labels import FER2013, FERPLUS, LabelSet
from facial_expressions.model_metadata import Head, ModelMetadata
from facial_expressions.preprocessing import Preprocessing


def metadata_of(head: Head, *others: Head, name: str = "tiny", size: int = 48) -> ModelMetadata:
    """Return metadata of some heads, of which the first is the default."""
    heads = (head, *others)
    return ModelMetadata(name, "none", heads, head.name, Preprocessing(size=size))


HEAD = Head("fer2013", FER2013, Calibration(uncertain_below=0.4))
METADATA = metadata_of(HEAD)
FERPLUS_HEAD = Head(
    "ferplus",
    FERPLUS,
    Calibration(temperature=1.5, uncertain_below=0.3),
    {"validation_ece": 0.02},
)
MAPPED_METADATA = metadata_of(HEAD, FERPLUS_HEAD, name="tiny-mapped")


def weights(labels: LabelSet = FER2013, *, size: int = 48) -> NDArray[np.float32]:
    """Return the matrix ``(S * S, K)`` of every tiny model."""
    random = np.random.default_rng(0)
    return random.normal(scale=0.03, size=(size * size, len(labels))).astype(np.float32)


def tiny_graph(
    metadata: ModelMetadata | None = METADATA,
    *,
    matrix: NDArray[np.float32] | None = None,
    input_name: str = "crops",
    output_name: str = "fer2013_probabilities",
    size: int = 48,
) -> onnx.ModelProto:
    """Build a model: ``fer2013_probabilities = softmax(flatten(crops) @ matrix)``."""
    matrix = weights(size=size) if matrix is None else matrix
    nodes = [
        helper.make_node("Flatten", [input_name], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["logits"]),
        helper.make_node("Softmax", ["logits"], [output_name], axis=1),
    ]
    crops = helper.make_tensor_value_info(input_name, TensorProto.FLOAT, ["N", size, size, 1])
    rows = helper.make_tensor_value_info(output_name, TensorProto.FLOAT, ["N", matrix.shape[1]])
    tensors = [numpy_helper.from_array(matrix, "matrix")]
    graph = helper.make_graph(nodes, "tiny", [crops], [rows], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if metadata is not None:
        helper.set_model_props(model, metadata.to_entries())
    return model


def write_tiny_model(path: Path, *, sealed: bool = True, uncertain_below: float = 0.4) -> Path:
    """Write a tiny model and return its path."""
    calibration = Calibration(uncertain_below=uncertain_below)
    metadata = metadata_of(replace(HEAD, calibration=calibration))
    content = tiny_graph(metadata).SerializeToString()
    path.write_bytes(seal_model(content) if sealed else content)
    return path


def mapped_weights(labels: LabelSet) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return kernel and bias ``(K,)`` of a mapped model's head: a class likes bright or dark."""
    kernel = np.linspace(-3, 3, len(labels)).astype(np.float32)
    return kernel, np.cos(np.arange(len(labels))).astype(np.float32)


def mapped_graph(metadata: ModelMetadata = MAPPED_METADATA) -> onnx.ModelProto:
    """Build a model with maps: each class's map is ``kernel * mean of 8x8 pixels + bias``.

    It has the outputs of all heads that the metadata name.
    """
    nodes = [
        helper.make_node("Transpose", ["crops"], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["first"], ["blocks"], kernel_shape=[8, 8], strides=[8, 8]),
    ]
    tensors, outputs = [], []
    for head in metadata.heads:
        kernel, bias = mapped_weights(head.labels)
        k, maps, n = len(head.labels), head.maps, f"{head.maps}/"
        tensors.append(numpy_helper.from_array(kernel.reshape(k, 1, 1, 1), f"{n}kernel"))
        tensors.append(numpy_helper.from_array(bias, f"{n}bias"))
        nodes += [
            helper.make_node("Conv", ["blocks", f"{n}kernel", f"{n}bias"], [maps]),
            helper.make_node("ReduceMean", [maps], [f"{n}mean"], axes=[2, 3], keepdims=0),
            helper.make_node("Softmax", [f"{n}mean"], [head.output], axis=1),
        ]
        outputs += [
            helper.make_tensor_value_info(head.output, TensorProto.FLOAT, ["N", k]),
            helper.make_tensor_value_info(maps, TensorProto.FLOAT, ["N", k, 6, 6]),
        ]
    crops = helper.make_tensor_value_info("crops", TensorProto.FLOAT, ["N", 48, 48, 1])
    graph = helper.make_graph(nodes, "tiny", [crops], outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, metadata.to_entries())
    return model


def write_mapped_model(path: Path, metadata: ModelMetadata = MAPPED_METADATA) -> Path:
    """Write a tiny model with maps, of two heads or of those given, and return its path."""
    path.write_bytes(seal_model(mapped_graph(metadata).SerializeToString()))
    return path
