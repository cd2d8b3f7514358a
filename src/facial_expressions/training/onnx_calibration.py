"""Top-label calibration inside a model file: the step between a head's logits and its softmax.

The same as ``TopLabelMap.apply``, in operators that every ONNX Runtime has, on ``(N, K)`` numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from facial_expressions.calibration import LEAD, LEAST_REST, TopLabelMap
from facial_expressions.errors import ExportError

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
            f"confidences are mapped before the softmax of {output!r}; received a graph in which "
            f"that is {'missing' if softmax is None else f'a {softmax.op_type}'}; export the run "
            "again"
        )
    earlier = [node for node in nodes if node.output[0].startswith(prefix)]
    logits = earlier[0].input[0] if earlier else softmax.input[0]
    constants = [one for one in model.graph.initializer if one.name.startswith(prefix)]
    for node in [*earlier, softmax]:
        nodes.remove(node)
    for constant in constants:
        _remove_constant(model.graph, constant)
    if top_label is not None:
        model.graph.initializer.extend(
            numpy_helper.from_array(value, f"{prefix}{name}")
            for name, value in _constants(top_label).items()
        )
        nodes.extend(_steps(logits, prefix))
    softmax.input[0] = logits if top_label is None else f"{prefix}mapped"
    nodes.append(softmax)
    onnx.checker.check_model(model, full_check=True)


def _remove_constant(graph: onnx.GraphProto, constant: onnx.TensorProto) -> None:
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


def _constants(top_label: TopLabelMap) -> dict[str, NDArray[np.generic]]:
    """Return the numbers that the steps need, by their names."""
    return {
        "minus_slopes": 1 - np.array(top_label.slopes, np.float32),
        "offsets": np.array(top_label.offsets, np.float32),
        "one": np.array(1, np.float32),
        "least_rest": np.array(LEAST_REST, np.float32),
        "far": np.array(_FAR, np.float32),
        "lead": np.array(LEAD, np.float32),
        "classes": np.array([1], np.int64),
    }


def _steps(logits: str, prefix: str) -> Iterator[onnx.NodeProto]:
    """Yield the nodes from ``logits`` to ``mapped``."""

    def node(kind: str, inputs: str, output: str, **attributes: int | list[int]) -> onnx.NodeProto:
        names = [logits if name == "logits" else f"{prefix}{name}" for name in inputs.split()]
        name = f"{prefix}{output}"
        made = helper.make_node(kind, names, [name], name)
        made.attribute.extend(helper.make_attribute(key, of) for key, of in attributes.items())
        return made

    # The answer's log-odds against all others: -log(sum of exp(z - z_top), less its own 1).
    yield node("ReduceMax", "logits", "top", axes=[1], keepdims=1)
    yield node("Sub", "logits top", "apart")
    yield node("Exp", "apart", "shares")
    yield node("ReduceSum", "shares classes", "sum", keepdims=1)
    yield node("Sub", "sum one", "rest")
    yield node("Max", "rest least_rest", "some_rest")
    yield node("Log", "some_rest", "minus_odds")
    # What the answer's class adds to its logit: (slope - 1) * odds + offset.
    yield node("Mul", "minus_odds minus_slopes", "turned")
    yield node("Add", "turned offsets", "change")
    # It stays above the next class.
    yield node("Equal", "logits top", "is_answer")
    yield node("Cast", "is_answer", "answer", to=TensorProto.FLOAT)
    yield node("Mul", "answer far", "removed")
    yield node("Sub", "apart removed", "others")
    yield node("ReduceMax", "others", "next", axes=[1], keepdims=1)
    yield node("Add", "next lead", "least_change")
    yield node("Max", "change least_change", "kept_change")
    yield node("Mul", "kept_change answer", "moved")
    yield node("Add", "logits moved", "mapped")
