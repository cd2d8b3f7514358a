"""Builds tiny model files: one matrix and a softmax, with real metadata."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from facial_expressions.inference.onnx_bytes import seal_model
from facial_expressions.labels import FER2013, LabelSet
from facial_expressions.model_metadata import ModelMetadata
from facial_expressions.preprocessing import Preprocessing

METADATA = ModelMetadata("tiny", "none", FER2013, Preprocessing(), uncertain_below=0.4)


def weights(labels: LabelSet = FER2013, *, size: int = 48) -> NDArray[np.float32]:
    """Return the matrix ``(S * S, K)`` of every tiny model."""
    random = np.random.default_rng(0)
    return random.normal(scale=0.03, size=(size * size, len(labels))).astype(np.float32)


def tiny_graph(
    metadata: ModelMetadata | None = METADATA,
    *,
    matrix: NDArray[np.float32] | None = None,
    input_name: str = "crops",
    output_name: str = "probabilities",
    size: int = 48,
) -> onnx.ModelProto:
    """Build a model: ``probabilities = softmax(flatten(crops) @ matrix)``."""
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
    metadata = replace(METADATA, uncertain_below=uncertain_below)
    content = tiny_graph(metadata).SerializeToString()
    path.write_bytes(seal_model(content) if sealed else content)
    return path
