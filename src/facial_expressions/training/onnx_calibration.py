"""Top-label calibration inside a model file: the step between a head's logits and its softmax.

The same as ``TopLabelMap.apply``, in operators that every ONNX Runtime has, on ``(N, K)`` numbers.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import onnx
from onnx import TensorProto

from facial_expressions.calibration import LEAD, LEAST_REST, TopLabelMap
from facial_expressions.errors import ExportError
from facial_expressions.training.model_files import Attribute, Graph

_FAR: Final = 1e4
"""Puts the answer's own logit below all others when the next one is looked for."""


def set_top_label_map(model: onnx.ModelProto, output: str, top_label: TopLabelMap | None) -> None:
    """Put a map of confidences before the softmax of one head, in place of one that is there.

    Args:
        model: The graph of a model file; changed.
        output: Name of the head's output.
        top_label: The map; None takes it out.

    Raises:
        ExportError: The graph has no softmax of this name.
    """
    nodes = model.graph.node
    prefix = f"{output}/confidence/"
    softmax = next((node for node in nodes if [*node.output] == [output]), None)
    if softmax is None or softmax.op_type != "Softmax":
        raise ExportError(
            f"{output}: does not come from a softmax, before which confidences are mapped, but "
            f"from {'nothing' if softmax is None else softmax.op_type}. Export the run again"
        )
    earlier = [node for node in nodes if node.output[0].startswith(prefix)]
    logits = earlier[0].input[0] if earlier else softmax.input[0]
    constants = [one for one in model.graph.initializer if one.name.startswith(prefix)]
    for node in [*earlier, softmax]:
        nodes.remove(node)
    for constant in constants:
        remove_constant(model.graph, constant)
    if top_label is not None:
        _add_steps(Graph(model.graph), top_label, logits, prefix)
    softmax.input[0] = logits if top_label is None else f"{prefix}mapped"
    nodes.append(softmax)
    onnx.checker.check_model(model, full_check=True)


def remove_constant(graph: onnx.GraphProto, constant: onnx.TensorProto) -> None:
    """Remove a constant of one head; other heads that share it keep it."""
    name, kept = constant.name, f"shared/{constant.name}"
    users = [node for node in graph.node if name in node.input]
    for node in users:
        inputs = [kept if given == name else given for given in node.input]
        node.input[:] = inputs
    if users:
        constant.name = kept
    else:
        graph.initializer.remove(constant)


def _add_steps(graph: Graph, top_label: TopLabelMap, logits: str, prefix: str) -> None:
    """Add the nodes from ``logits`` to ``mapped``, and the numbers that they need."""

    def step(kind: str, inputs: str, output: str, **attributes: Attribute) -> None:
        names = [logits if name == "logits" else f"{prefix}{name}" for name in inputs.split()]
        graph.add(kind, names, f"{prefix}{output}", **attributes)

    for name, value in {
        "minus_slopes": 1 - np.array(top_label.slopes, np.float32),
        "offsets": np.array(top_label.offsets, np.float32),
        "one": np.array(1.0),
        "least_rest": np.array(LEAST_REST),
        "far": np.array(_FAR),
        "lead": np.array(LEAD),
        "classes": np.array([1]),
    }.items():
        graph.constant(f"{prefix}{name}", value)
    # The answer's log-odds against all others: -log(sum of exp(z - z_top), less its own 1).
    step("ReduceMax", "logits", "top", axes=[1], keepdims=1)
    step("Sub", "logits top", "apart")
    step("Exp", "apart", "shares")
    step("ReduceSum", "shares classes", "sum", keepdims=1)
    step("Sub", "sum one", "rest")
    step("Max", "rest least_rest", "some_rest")
    step("Log", "some_rest", "minus_odds")
    # What the answer's class adds to its logit: (slope - 1) * odds + offset.
    step("Mul", "minus_odds minus_slopes", "turned")
    step("Add", "turned offsets", "change")
    # It stays above the next class.
    step("Equal", "logits top", "is_answer")
    step("Cast", "is_answer", "answer", to=TensorProto.FLOAT)
    step("Mul", "answer far", "removed")
    step("Sub", "apart removed", "others")
    step("ReduceMax", "others", "next", axes=[1], keepdims=1)
    step("Add", "next lead", "least_change")
    step("Max", "change least_change", "kept_change")
    step("Mul", "kept_change answer", "moved")
    step("Add", "logits moved", "mapped")
