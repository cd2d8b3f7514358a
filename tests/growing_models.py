"""Models that are legal and grow: a kilobyte that asks for gigabytes, in ways of many operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Final, cast

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from tests.tiny_model import tiny_graph

__all__ = ["GROWING", "Grow", "grown"]

Grow = Callable[[str, int], tuple[list[NodeProto], list[TensorProto], str]]
"""Makes nodes and constants that grow from a tensor, so many times; the last is the end's name."""


def grown(grow: Grow, steps: int, *, start: str = "seed", is_used: bool = False) -> ModelProto:
    """Return a tiny model of ours that also grows.

    Args:
        grow: The way in which it does.
        steps: How often.
        start: ``seed`` for a constant, ``fer2013_probabilities`` or ``crops`` for what is computed.
        is_used: Whether what has grown goes into the answer.
    """
    model = tiny_graph()
    seed = numpy_helper.from_array(np.ones((1, 4, 4, 4), np.float32), "seed")
    nodes, constants, end = grow(start, steps)
    model.graph.initializer.extend([seed, *constants])
    model.graph.node.extend(nodes)
    if is_used:
        model.graph.node.append(helper.make_node("ReduceMax", [end], ["most"], keepdims=0))
        model.graph.node.append(helper.make_node("Abs", ["fer2013_probabilities"], ["before"]))
        model.graph.node.append(helper.make_node("Mul", ["before", "most"], ["answer"]))
        for node in model.graph.node[2:3]:
            node.output[0] = "fer2013_probabilities"
    return model


def _chain(
    op_type: str, constants: Sequence[TensorProto] = (), *, n_inputs: int = 1, **attributes: object
) -> Grow:
    """Grow by one operator, whose result is its next input."""

    def grow(start: str, steps: int) -> tuple[list[NodeProto], list[TensorProto], str]:
        names = [start, *(f"grown{i}" for i in range(steps))]
        extra = [constant.name for constant in constants]
        nodes = [
            helper.make_node(
                op_type, [old] * n_inputs + extra, [new], **cast("dict[str, Any]", attributes)
            )
            for old, new in pairwise(names)
        ]
        return nodes, list(constants), names[-1]

    return grow


def _outer(op_type: str) -> Grow:
    """Multiply a vector with itself crosswise, as often: the square of its values each time."""

    def grow(start: str, steps: int) -> tuple[list[NodeProto], list[TensorProto], str]:
        nodes, old = [], start
        column, row = (numpy_helper.from_array(np.array(shape, np.int64), f"shape{shape[0]}")
                       for shape in ([-1, 1], [1, -1]))  # fmt: skip
        for i in range(min(steps, 5)):
            nodes += [
                helper.make_node("Reshape", [old, column.name], [f"column{i}"]),
                helper.make_node("Reshape", [old, row.name], [f"row{i}"]),
                helper.make_node(op_type, [f"column{i}", f"row{i}"], [f"grown{i}"]),
            ]
            old = f"grown{i}"
        return nodes, [column, row], old

    return grow


def _many(start: str, steps: int) -> tuple[list[NodeProto], list[TensorProto], str]:
    """Keep many tensors of a moderate size until the end."""
    nodes, _, middle = _chain("Concat", n_inputs=2, axis=3)(start, 14)
    names = [f"copy{i}" for i in range(10 * steps)]
    nodes += [helper.make_node("Neg", [middle], [name]) for name in names]
    nodes.append(helper.make_node("Sum", names, ["all"]))
    return nodes, [], "all"


def _ints(name: str, *values: int) -> TensorProto:
    return numpy_helper.from_array(np.array(values, np.int64), name)


def _rows(n: int) -> TensorProto:
    """Return a list of places in a row of its own: what they name is there so often each time."""
    return numpy_helper.from_array(np.zeros((1, n), np.int64), "places")


def _floats(name: str, *values: float) -> TensorProto:
    return numpy_helper.from_array(np.array(values, np.float32), name)


def _weights(*shape: int) -> TensorProto:
    return numpy_helper.from_array(np.ones(shape, np.float32), "kernel")


GROWING: Final[dict[str, Grow]] = {
    "concat": _chain("Concat", n_inputs=2, axis=1),
    "concat of many": _chain("Concat", n_inputs=16, axis=2),
    "concat last axis": _chain("Concat", n_inputs=3, axis=-1),
    "pad": _chain("Pad", [_ints("pads", 0, 0, 900, 900, 0, 0, 900, 900)]),
    "resize scales": _chain("Resize", [_floats("roi"), _floats("scales", 1, 1, 4, 4)]),
    "resize sizes": _chain(
        "Resize", [_floats("roi"), _floats("no"), _ints("sizes", 1, 4, 40_000, 40_000)]
    ),
    "convtranspose": _chain("ConvTranspose", [_weights(4, 4, 3, 3)], strides=[9, 9]),
    "conv pads": _chain("Conv", [_weights(4, 4, 3, 3)], pads=[999, 999, 999, 999]),
    "pool pads": _chain("MaxPool", kernel_shape=[2000, 2000], pads=[1999, 1999, 1999, 1999]),
    "gather": _chain("Gather", [_rows(500)], axis=2),
    "gather first axis": _chain("Gather", [_rows(60)], axis=0),
    "outer sum": _outer("Add"),
    "outer greater": _outer("Greater"),
    "outer where": _outer("Mul"),
    "outer product": _outer("MatMul"),
    "gemm": _outer("Gemm"),
    "many at one time": _many,
    "space to depth and back": _chain("DepthToSpace", blocksize=200),
}
"""Ways to grow, by name. The last one is refused because its shapes fit nothing."""
