"""Model files as graphs: read with what they say of themselves, changed, sealed.

The map of confidences is a step between a head's logits and its softmax: the same as
``TopLabelMap.apply``, in operators that every ONNX Runtime has, on ``(N, K)`` numbers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from facial_expressions.calibration import LEAD, LEAST_REST, TopLabelMap
from facial_expressions.errors import ExportError
from facial_expressions.inference.onnx_bytes import seal_model
from facial_expressions.inference.runtime import ModelSession, open_session
from facial_expressions.model_metadata import Head, ModelMetadata

_FAR: Final = 1e4
"""Puts the answer's own logit below all others when the next one is looked for."""

Attribute = int | float | list[int]


class Graph:
    """A graph, at first an empty one, to which nodes are added, each named after its output."""

    def __init__(self, proto: onnx.GraphProto | None = None) -> None:
        self.proto = onnx.GraphProto() if proto is None else proto

    def add(self, kind: str, inputs: Sequence[str], output: str, **attributes: Attribute) -> str:
        """Add a node and return its output's name."""
        node = helper.make_node(kind, list(inputs), [output], output)
        node.attribute.extend(
            helper.make_attribute(key, value) for key, value in attributes.items()
        )
        self.proto.node.append(node)
        return output

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        """Add weights, or whole numbers such as a shape, and return their name."""
        kind = np.float32 if np.issubdtype(value.dtype, np.floating) else np.int64
        array = np.asarray(value, dtype=kind, order="C")
        self.proto.initializer.append(numpy_helper.from_array(array, name))
        return name

    def declare(self, output: str, shape: Sequence[str | int | None]) -> None:
        """Make a value one of the graph's outputs."""
        value = helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)
        self.proto.output.append(value)

    def add_probabilities(self, head: Head, logits: str) -> None:
        """Add the output of a head: its logits with class biases and temperature, as softmax.

        Its map of confidences is added by ``set_top_label_map``.
        """
        output, biases = head.output, np.array(head.calibration.biases, np.float32)
        if biases.any():
            shift = self.constant(f"{output}/shift", biases)
            logits = self.add("Add", [logits, shift], f"{output}/shifted")
        divisor = np.array([head.calibration.temperature], np.float32)
        temperature = self.constant(f"{output}/temperature", divisor)
        scaled = self.add("Div", [logits, temperature], f"{output}/scaled")
        self.add("Softmax", [scaled], output, axis=-1)
        self.declare(output, ["N", len(head.labels)])

    def add_maps(
        self,
        head: Head,
        last_map: str,
        layer: tuple[NDArray[np.floating], NDArray[np.floating]],
        sides: Sequence[int | None] = (None, None),
    ) -> None:
        """Add the class activation maps of a head that is linear over the mean of the last map.

        ``layer`` is the kernel ``(D, K)`` and bias ``(K,)`` of the linear layer; ``sides`` are
        height and width of the map, where they are known.
        """
        maps, calibration, (kernel, bias) = head.maps, head.calibration, layer
        biases = np.array(calibration.biases, np.float32) if calibration.biases else 0
        weights = [
            self.constant(f"{maps}/kernel", (kernel / calibration.temperature).T[:, :, None, None]),
            self.constant(f"{maps}/bias", (bias + biases) / calibration.temperature),
        ]
        self.add("Conv", [last_map, *weights], maps, kernel_shape=[1, 1])
        self.declare(maps, ["N", len(bias), *sides])


def read_model(path: Path) -> tuple[onnx.ModelProto, ModelMetadata]:
    """Return a model file's graph and metadata; raise ModelError when it is not one of ours."""
    model = onnx.load(path)
    entries = {entry.key: entry.value for entry in model.metadata_props}
    return model, ModelMetadata.from_entries(entries, source=path.name)


def model_bytes(model: onnx.ModelProto, metadata: ModelMetadata) -> bytes:
    """Return the content of a model file, sealed; the graph's own metadata are replaced."""
    helper.set_model_props(model, metadata.to_entries())
    return seal_model(model.SerializeToString(deterministic=True))


def open_content(content: bytes) -> ModelSession:
    """Open what ``model_bytes`` returned as users open the file, or raise ModelError."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(content)
        return open_session(path)


def set_top_label_map(model: onnx.ModelProto, output: str, top_label: TopLabelMap | None) -> None:
    """Put a map of confidences before the softmax of one head, in place of one that is there.

    The head is named by its output; None takes a map out.

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
    mapped = (node for node in nodes if node.output[0].startswith(prefix))
    logits = next(mapped, softmax).input[0]
    remove_named(model.graph, prefix)
    nodes.remove(softmax)
    if top_label is not None:
        _add_steps(Graph(model.graph), top_label, logits, prefix)
    softmax.input[0] = logits if top_label is None else f"{prefix}mapped"
    nodes.append(softmax)
    onnx.checker.check_model(model, full_check=True)


def remove_named(graph: onnx.GraphProto, prefix: str) -> None:
    """Remove nodes, outputs and constants by the beginning of their names, those of one head.

    A constant that another head shares stays, under another name.
    """
    for node in [one for one in graph.node if one.output[0].startswith(prefix)]:
        graph.node.remove(node)
    for output in [one for one in graph.output if one.name.startswith(prefix)]:
        graph.output.remove(output)
    for constant in [one for one in graph.initializer if one.name.startswith(prefix)]:
        users = [node for node in graph.node if constant.name in node.input]
        if not users:
            graph.initializer.remove(constant)
            continue
        name, constant.name = constant.name, f"shared/{constant.name}"
        for node in users:
            node.input[:] = [constant.name if given == name else given for given in node.input]


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
