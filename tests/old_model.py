"""Builds a model file of format 1, as this package wrote them before heads were a list."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper, numpy_helper

from facial_expressions.inference.onnx_bytes import seal_model
from facial_expressions.labels import FER2013, FERPLUS, LabelSet
from facial_expressions.preprocessing import Preprocessing
from tests.tiny_model import mapped_weights

FER2013_FIGURES = {
    "temperature": 2.0,
    "uncertain_below": 0.4,
    "validation_accuracy": 0.75,
    **{f"logit_bias_{name}": 0.1 * i for i, name in enumerate(FER2013)},
    **{f"confidence_slope_{name}": 1.0 for name in FER2013},
    **{f"confidence_offset_{name}": 0.0 for name in FER2013},
}
FERPLUS_FIGURES = {"temperature": 1.5, "uncertain_below": 0.0, "validation_ece": 0.02}


def old_entries() -> dict[str, str]:
    """Return the metadata of a file of format 1 with two heads."""
    second = {"labels": _labels(FERPLUS), "temperature": 1.5, "uncertain_below": 0.0,
              "figures": FERPLUS_FIGURES}  # fmt: skip
    return {
        "format": "facial-expressions-model/1",
        "name": "old",
        "architecture": "none",
        "labels": json.dumps(_labels(FER2013)),
        "preprocessing": json.dumps(Preprocessing().to_dict() | {"framing": {"center_x": 0.5}}),
        "temperature": "2.0",
        "uncertain_below": "0.4",
        "licence": "MIT",
        "data": "drawn",
        "data_digest": "abc",
        "figures": json.dumps(FER2013_FIGURES),
        "created_with": "facial-expressions 0.1.0",
        "other_heads": json.dumps([second]),
    }


def old_graph() -> onnx.ModelProto:
    """Build the graph: maps of 8x8 pixels, their mean by a temperature, softmax, for two heads."""
    nodes = [
        helper.make_node("Transpose", ["crops"], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["first"], ["blocks"], kernel_shape=[8, 8], strides=[8, 8]),
    ]
    tensors, outputs = [], []
    for prefix, labels, temperature in (("", FER2013, 2.0), ("ferplus_", FERPLUS, 1.5)):
        kernel, bias = mapped_weights(labels)
        k, maps, rows = len(labels), f"{prefix}maps", f"{prefix}probabilities"
        kernel = kernel.reshape(k, 1, 1, 1) / temperature
        tensors += [
            numpy_helper.from_array(kernel, f"{maps}/kernel"),
            numpy_helper.from_array(bias / temperature, f"{maps}/bias"),
        ]
        nodes += [
            helper.make_node("Conv", ["blocks", f"{maps}/kernel", f"{maps}/bias"], [maps], maps),
            helper.make_node("ReduceMean", [maps], [f"{rows}/scaled"], axes=[2, 3], keepdims=0),
            helper.make_node("Softmax", [f"{rows}/scaled"], [rows], rows, axis=1),
        ]
        outputs += [
            helper.make_tensor_value_info(rows, TensorProto.FLOAT, ["N", k]),
            helper.make_tensor_value_info(maps, TensorProto.FLOAT, ["N", k, 6, 6]),
        ]
    crops = helper.make_tensor_value_info("crops", TensorProto.FLOAT, ["N", 48, 48, 1])
    graph = helper.make_graph(nodes, "old", [crops], outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def write_old_model(path: Path, **changes: str) -> Path:
    """Write a model file of format 1, with some entries changed, and return its path."""
    model = old_graph()
    helper.set_model_props(model, old_entries() | changes)
    path.write_bytes(seal_model(model.SerializeToString()))
    return path


def _labels(labels: LabelSet) -> dict[str, Any]:
    return {"name": labels.name, "names": list(labels)}
