"""The largest shape that each operator may return, by the shapes of what it gets.

Rules are those of https://onnx.ai/onnx/operators, of every version that ONNX Runtime reads. A shape
is exact; where only the number of values is bounded, it is that number. Lengths that a graph
computes (``Shape``, ``Gather``, ``Concat``) are followed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from facial_expressions.inference.graph_nodes import (
    MAX_KNOWN,
    Node,
    Shape,
    SizeUnknownError,
    Tensor,
    Values,
)

__all__ = ["KNOWN_OPERATORS", "run"]

_INT64: Final = 7
_MAX_RANK: Final = 8


def run(node: Node) -> tuple[list[Tensor], int]:
    """Return the largest tensors that a node may return, and its multiplications.

    Args:
        node: A node of an operator in ``KNOWN_OPERATORS``.

    Raises:
        SizeUnknownError: The size cannot be told.
        ValueError: The shapes do not fit one another; so do other errors of arithmetic.

    Examples:
        >>> run(Node("Concat", [Tensor((2, 3)), Tensor((4, 3))], ints={"axis": (0,)}))[0][0].shape
        (6, 3)
    """
    rule = _RULES.get(node.op_type)
    if rule is None:
        raise SizeUnknownError(f"nothing is known of an operator {node.op_type}")
    constant = all(one.is_constant for one in node.inputs if one is not None)
    shapes = _parts(node) if node.op_type == "Split" else [rule(node)] * node.n_outputs
    made = [Tensor(shape, _values_of(node), constant) for shape in shapes]
    if any(min(one.dims or (), default=0) < 0 for one in made):
        raise ValueError("a length is negative")
    return made, _work_of(node, made[0]) if made else 0


def _constant(node: Node) -> Shape:
    if node.constant is not None:
        return node.constant.shape
    numbers = [*node.ints.values(), *node.floats.values()]
    if len(numbers) != 1:
        raise SizeUnknownError("a constant is not a plain tensor")
    return (len(numbers[0]),)


def _broadcast(node: Node) -> Shape:
    tensors = [one for one in node.inputs if one is not None]
    shapes = [one.dims for one in tensors]
    known = [shape for shape in shapes if shape is not None]
    if len(known) < len(shapes):
        return math.prod(one.count for one in tensors)
    rank = max(map(len, known))
    padded = [(1,) * (rank - len(shape)) + shape for shape in known]
    return tuple(0 if 0 in sides else max(sides) for sides in zip(*padded, strict=True))


def _reduce(node: Node) -> Shape:
    dims, keeps = node.at(0).dims, node.number("keepdims", 1)
    axes = node.given("axes", 1)
    if node.op_type.startswith("Arg"):
        axes = (node.number("axis", 0),)
    if dims is None or (axes is None and node.has(1)):
        return node.at(0).count
    if not axes:
        if node.number("noop_with_empty_axes", 0):
            return dims
        axes = tuple(range(len(dims)))
    reduced = {axis % len(dims) for axis in axes} if dims else set()
    kept = [1 if axis in reduced else side for axis, side in enumerate(dims)]
    return tuple(side for axis, side in enumerate(kept) if keeps or axis not in reduced)


def _matmul(node: Node, second: int = 1) -> Shape:
    left, right = node.at(0), node.at(second)
    if left.dims is None or right.dims is None or min(len(left.dims), len(right.dims)) < 2:
        return left.count * right.count
    outer = _broadcast(Node("Add", [Tensor(left.dims[:-2]), Tensor(right.dims[:-2])]))
    assert not isinstance(outer, int)
    return (*outer, left.dims[-2], right.dims[-1])


def _gemm(node: Node) -> Shape:
    left, right = node.at(0), node.at(1)
    if left.dims is None or right.dims is None:
        return left.count * right.count
    rows = left.dims[-1 if node.number("transA", 0) else 0]
    return (rows, right.dims[0 if node.number("transB", 0) else -1])


def _conv(node: Node, second: int = 1) -> Shape:
    weights = node.at(second)
    kernel = weights.dims[2:] if weights.dims else ()
    return _windows(node, kernel, weights.dims[0] if weights.dims else weights.count)


def _pool(node: Node) -> Shape:
    dims = node.at(0).dims
    return _windows(node, node.given("kernel_shape") or (), dims[1] if dims else 1)


def _windows(node: Node, kernel: Sequence[int], channels: int) -> Shape:
    """Return one value per place of a window that moves over an image."""
    image, pads = node.at(0), node.given("pads") or ()
    if image.dims is None or not kernel or len(image.dims) != len(kernel) + 2:
        grows = math.prod(1 + abs(pad) for pad in pads)
        return image.count * channels * grows
    n, ones = len(kernel), (1,) * len(kernel)
    strides, steps = node.given("strides") or ones, node.given("dilations") or ones
    pads = pads or (0,) * (2 * n)
    sides = []
    for i, side in enumerate(image.dims[2:]):
        if node.texts.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
            sides.append(-(-side // strides[i]))
            continue
        free = side + pads[i] + pads[n + i] - steps[i] * (kernel[i] - 1) - 1
        places = free // strides[i] + 1
        if node.number("ceil_mode", 0) and places * strides[i] < min(
            side + pads[i], free + strides[i]
        ):
            places += 1
        sides.append(max(0, places))
    return (image.dims[0], channels, *sides)


def _transposed_conv(node: Node) -> Shape:
    image, weights = node.at(0), node.at(1)
    if image.dims is None or weights.dims is None:
        raise SizeUnknownError("a node ConvTranspose gets an image of unknown shape")
    channels = weights.dims[1] * node.number("group", 1)
    kernel, ones = weights.dims[2:], (1,) * len(weights.dims[2:])
    given = node.given("output_shape")
    if given is not None:
        return (image.dims[0], channels, *given[-len(kernel) :])
    strides, steps = node.given("strides") or ones, node.given("dilations") or ones
    n = len(kernel)
    more, pads = node.given("output_padding") or (0,) * n, node.given("pads") or (0,) * (2 * n)
    if node.texts.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        return (image.dims[0], channels, *map(math.prod, zip(image.dims[2:], strides, strict=True)))
    sides = [
        strides[i] * (side - 1) + more[i] + steps[i] * (kernel[i] - 1) + 1 - pads[i] - pads[n + i]
        for i, side in enumerate(image.dims[2:])
    ]
    return (image.dims[0], channels, *sides)


def _global(node: Node) -> Shape:
    dims = node.at(0).dims
    return node.at(0).count if dims is None else (*dims[:2], *(1,) * (len(dims) - 2))


def _concat(node: Node) -> Shape:
    tensors = [one for one in node.inputs if one is not None]
    shapes = [one.dims for one in tensors if one.dims]
    if len(shapes) < len(tensors) or not shapes:
        return sum(one.count for one in tensors)
    axis = node.number("axis", 0) % len(shapes[0])
    return tuple(
        sum(sides) if place == axis else max(sides)
        for place, sides in enumerate(zip(*shapes, strict=True))
    )


def _parts(node: Node) -> list[Shape]:
    """Return the shapes of what a tensor is split into."""
    dims, parts = node.at(0).dims, node.given("split", 1)
    if not dims or (parts is None and node.has(1)):
        return [node.at(0).count] * node.n_outputs
    axis = node.number("axis", 0) % len(dims)
    if parts is None:
        each = -(-dims[axis] // max(1, node.n_outputs))
        parts = (each,) * (node.n_outputs - 1) + (dims[axis] - each * (node.n_outputs - 1),)
    return [(*dims[:axis], part, *dims[axis + 1 :]) for part in parts]


def _slice(node: Node) -> Shape:
    dims = node.at(0).dims
    starts, ends = node.given("starts", 1), node.given("ends", 2)
    axes, steps = node.given("axes", 3), node.given("steps", 4)
    is_open = (axes is None and node.has(3)) or (steps is None and node.has(4))
    if dims is None or starts is None or ends is None or is_open:
        return node.at(0).count
    sides = list(dims)
    for i, axis in enumerate(axes or range(len(starts))):
        cut = slice(starts[i], ends[i], steps[i] if steps else 1)
        sides[axis] = len(range(*cut.indices(dims[axis])))
    return tuple(sides)


def _reshape(node: Node) -> Shape:
    whole, wanted = node.at(0), node.given("shape", 1)
    if wanted is None or (whole.dims is None and min(wanted, default=1) < 1):
        return whole.count
    sides = [whole.dims[i] if side == 0 and whole.dims else side for i, side in enumerate(wanted)]
    rest = math.prod(side for side in sides if side > 0)
    return tuple(whole.count // max(1, rest) if side < 0 else side for side in sides)


def _flatten(node: Node) -> Shape:
    dims = node.at(0).dims
    if dims is None:
        return node.at(0).count
    axis = node.number("axis", 1)
    axis = axis + len(dims) if axis < 0 else axis
    return (math.prod(dims[:axis]), math.prod(dims[axis:]))


def _squeeze(node: Node) -> Shape:
    dims, axes = node.at(0).dims, node.given("axes", 1)
    if dims is None or (axes is None and node.has(1)):
        return node.at(0).count
    if axes is None:
        axes = tuple(axis for axis, side in enumerate(dims) if side == 1)
    gone = {axis % len(dims) for axis in axes}
    return tuple(side for axis, side in enumerate(dims) if axis not in gone)


def _unsqueeze(node: Node) -> Shape:
    dims, axes = node.at(0).dims, node.given("axes", 1)
    if dims is None or axes is None:
        return node.at(0).count
    rank = len(dims) + len(axes)
    new, old = {axis % rank for axis in axes}, iter(dims)
    return tuple(1 if axis in new else next(old) for axis in range(rank))


def _transpose(node: Node) -> Shape:
    dims = node.at(0).dims
    if dims is None:
        return node.at(0).count
    return tuple(dims[axis] for axis in node.given("perm") or range(len(dims))[::-1])


def _gather(node: Node) -> Shape:
    data, places = node.at(0), node.at(1)
    if not data.dims or places.dims is None:
        return data.count * places.count
    axis = node.number("axis", 0) % len(data.dims)
    return (*data.dims[:axis], *places.dims, *data.dims[axis + 1 :])


def _pad(node: Node) -> Shape:
    dims, pads = node.at(0).dims, node.given("pads", 1)
    if dims is None or pads is None:
        raise SizeUnknownError("a node Pad adds borders of unknown width")
    axes = node.given("axes", 3) or tuple(range(len(dims)))
    sides = list(dims)
    for i, axis in enumerate(axes):
        sides[axis] += max(0, pads[i]) + max(0, pads[len(axes) + i])
    return tuple(sides)


def _resize(node: Node) -> Shape:
    dims = node.at(0).dims
    if dims is None or "axes" in node.ints:
        raise SizeUnknownError(f"a node {node.op_type} scales an image of unknown shape")
    sizes = node.given("sizes", 3)
    place = 1 if len(node.inputs) == 2 else 2
    scales = node.floats.get("scales") or (node.at(place).values if node.has(place) else None)
    if sizes:
        if "keep_aspect_ratio_policy" not in node.texts:
            return sizes
        most = max(new / max(1, old) for new, old in zip(sizes, dims, strict=True))
        return math.prod(math.ceil(side * most) for side in dims)  # by the side that grows most
    if not scales or len(scales) != len(dims):
        raise SizeUnknownError(f"a node {node.op_type} scales an image by unknown factors")
    return tuple(math.floor(side * scale) for side, scale in zip(dims, scales, strict=True))


def _blocks(node: Node) -> Shape:
    dims, block = node.at(0).dims, node.number("blocksize", 1)
    if dims is None or len(dims) != 4:
        return node.at(0).count
    n, channels, height, width = dims
    if block < 1 or (channels % block**2 if node.op_type == "DepthToSpace" else height % block):
        raise ValueError(f"blocks of {block} do not fit {dims}")
    if node.op_type == "DepthToSpace":
        return (n, channels // block**2, height * block, width * block)
    return (n, channels * block**2, height // block, width // block)


def _grid_sample(node: Node) -> Shape:
    image, grid = node.at(0), node.at(1)
    if image.dims is None or grid.dims is None:
        return image.count * grid.count
    return (*image.dims[:2], *grid.dims[1:-1])


def _roi_align(node: Node) -> Shape:
    image, regions = node.at(0), node.at(1)
    size = (node.number("output_height", 1), node.number("output_width", 1))
    if image.dims is None or regions.dims is None:
        return image.count * regions.count * abs(size[0] * size[1])
    return (regions.dims[0], image.dims[1], *size)


def _top_k(node: Node) -> Shape:
    dims, most = node.at(0).dims, node.given("k", 1)
    if not dims or not most:
        return node.at(0).count
    axis = node.number("axis", -1) % len(dims)
    return (*dims[:axis], most[0], *dims[axis + 1 :])


def _rank(node: Node) -> Shape:
    dims = node.at(0).dims
    if dims is None:
        raise SizeUnknownError("a node Shape gets a tensor of unknown shape")
    return (len(dims),)


def _values_of(node: Node) -> Values | None:
    """Return the values of a small tensor, as far as lengths are made of them."""
    if node.op_type == "Constant":
        numbers = [*node.ints.values(), *node.floats.values()]
        return node.constant.values if node.constant is not None else numbers[0]
    first = node.at(0)
    if node.op_type == "Shape":
        whole = first.dims or ()
        return whole[node.number("start", 0) : node.number("end", len(whole))]
    # A cast to other types than int64 could turn a value into a larger one.
    is_kept = node.op_type == "Cast" and node.number("to", 0) == _INT64
    if is_kept or node.op_type in ("Identity", "Squeeze", "Unsqueeze", "Reshape"):
        return first.values
    parts = [one.values for one in node.inputs if one is not None]
    known = [part for part in parts if part is not None]
    is_list = first.dims is not None and len(first.dims) == 1
    if not is_list or node.number("axis", 0) or len(known) < len(parts):
        return None
    if node.op_type == "Concat" and sum(map(len, known)) <= MAX_KNOWN:
        return tuple(value for part in known for value in part)
    return tuple(known[0][int(at)] for at in known[1]) if node.op_type == "Gather" else None


def _work_of(node: Node, made: Tensor) -> int:
    if node.op_type in ("ConvTranspose", "Conv", "ConvInteger", "QLinearConv"):
        weights = node.at(3 if node.op_type == "QLinearConv" else 1)
        each = weights.count // max(1, weights.dims[0]) if weights.dims else weights.count
        return each * (node.at(0) if node.op_type == "ConvTranspose" else made).count
    if node.op_type in ("Gemm", "MatMul", "MatMulInteger", "QLinearMatMul"):
        dims = node.at(0).dims
        return made.count * (max(dims[-2:], default=1) if dims else node.at(0).count)
    return made.count * math.prod(abs(one) for one in node.given("kernel_shape") or ())


_Rule = Callable[[Node], Shape]
_SAME: Final = (
    "Abs", "BatchNormalization", "Cast", "Ceil", "Celu", "Clip", "CumSum", "DequantizeLinear",
    "Dropout", "DynamicQuantizeLinear", "Elu", "Erf", "Exp", "Floor", "Gelu", "GroupNormalization",
    "HardSigmoid", "HardSwish", "Identity", "InstanceNormalization", "LRN", "LayerNormalization",
    "LeakyRelu", "Log", "LogSoftmax", "Mish", "Neg", "Not", "QuantizeLinear", "Reciprocal", "Relu",
    "Round", "ScatterElements", "ScatterND", "Selu", "Sigmoid", "Sign", "Softmax", "Softplus",
    "Softsign", "Sqrt", "Swish", "Tanh",
)  # fmt: skip
_BROADCAST: Final = (
    "Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean",
    "Min", "Mod", "Mul", "Or", "PRelu", "Pow", "Sub", "Sum", "Where", "Xor",
)  # fmt: skip
_REDUCE: Final = (
    "ArgMax", "ArgMin", "ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin",
    "ReduceProd", "ReduceSum", "ReduceSumSquare",
)  # fmt: skip
_RULES: Final[dict[str, _Rule]] = {
    **dict.fromkeys(_SAME, lambda node: node.at(0).shape), **dict.fromkeys(_BROADCAST, _broadcast),
    **dict.fromkeys(_REDUCE, _reduce),
    "AveragePool": _pool, "MaxPool": _pool, "GlobalAveragePool": _global, "GlobalMaxPool": _global,
    "Concat": _concat, "Constant": _constant, "Conv": _conv, "ConvInteger": _conv,
    "QLinearConv": lambda node: _conv(node, 3), "ConvTranspose": _transposed_conv,
    "DepthToSpace": _blocks, "SpaceToDepth": _blocks, "Flatten": _flatten, "Gather": _gather,
    "GatherElements": lambda node: node.at(1).shape, "Gemm": _gemm, "GridSample": _grid_sample,
    "GatherND": lambda node: node.at(0).count * node.at(1).count,
    "MatMul": _matmul, "MatMulInteger": _matmul, "QLinearMatMul": lambda node: _matmul(node, 3),
    "NonMaxSuppression": lambda node: 3 * node.at(1).count,
    "NonZero": lambda node: _MAX_RANK * node.at(0).count, "Pad": _pad, "Reshape": _reshape,
    "Resize": _resize, "Upsample": _resize, "RoiAlign": _roi_align, "Shape": _rank,
    "Size": lambda _: (), "Slice": _slice, "Split": lambda node: node.at(0).count,
    "Squeeze": _squeeze, "TopK": _top_k, "Transpose": _transpose, "Unsqueeze": _unsqueeze,
}  # fmt: skip
KNOWN_OPERATORS: Final = frozenset(_RULES)
"""What networks of layers and common detectors are made of, and whose largest result is known.

Missing on purpose: control flow, operators that make tensors of any size out of a few bytes
(ConstantOfShape, Expand, Range, Tile), chance, strings."""
