"""The largest shape that each operator may return, by the shapes of what it gets.

Rules are those of https://onnx.ai/onnx/operators, of every version that ONNX Runtime reads. Lengths
that a graph computes (``Shape``, ``Gather``, ``Concat``) are followed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]

MAX_KNOWN: Final = 64
"""Tensors of at most so many values may be lengths, and are followed by value."""

_INT64: Final = 7


class UnboundedError(ValueError):
    """A graph needs too much, or how much is known only when it runs."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """What is known of a tensor before the graph runs.

    Attributes:
        shape: The largest shape that it may have.
        values: Its values, where they are few and known.
        is_constant: Whether it follows from constants alone.
    """

    shape: Shape
    values: tuple[float, ...] | None = None
    is_constant: bool = False

    @property
    def count(self) -> int:
        """Most values that it may have."""
        return math.prod(self.shape)

    @property
    def mock(self) -> NDArray[np.int8]:
        """An array of this shape that takes no memory."""
        return np.broadcast_to(np.int8(0), self.shape)


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a graph.

    Attributes:
        op_type: Name of its operator.
        inputs: What it gets; None where an optional input is left out.
        n_outputs: How many tensors it returns.
        ints: Its attributes that are whole numbers.
        floats: Its attributes that are other numbers.
        texts: Its attributes that are words.
        constant: The tensor in an attribute.
    """

    op_type: str
    inputs: Sequence[Tensor | None]
    n_outputs: int = 1
    ints: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    floats: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    texts: Mapping[str, bytes] = field(default_factory=dict)
    constant: Tensor | None = None

    @property
    def there(self) -> list[Tensor]:
        """Its inputs that are there."""
        return [one for one in self.inputs if one is not None]

    @property
    def fills_in(self) -> bool:
        """Whether the borders of images are widened so that all their places count."""
        return self.texts.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID")

    def optional(self, position: int) -> Tensor | None:
        """Return an input that may be left out."""
        return self.inputs[position] if position < len(self.inputs) else None

    def at(self, position: int) -> Tensor:
        """Return an input that has to be there."""
        if (found := self.optional(position)) is None:
            raise UnboundedError(f"an input of a node {self.op_type} is missing")
        return found

    def number(self, name: str, default: int) -> int:
        """Return an attribute that is one whole number."""
        return self.ints.get(name, (default,))[0]

    def given(self, name: str, position: int | None = None) -> tuple[int, ...] | None:
        """Return whole numbers that are an attribute in one version and an input in another.

        Raises:
            UnboundedError: They are an input, and known only when the graph runs.
        """
        found = None if position is None else self.optional(position)
        if name in self.ints or found is None:
            return self.ints.get(name)
        if found.values is None:
            raise UnboundedError(f"a node {self.op_type} computes its {name} from an image")
        return tuple(int(value) for value in found.values)


def run(node: Node) -> tuple[list[Tensor], int]:
    """Return the largest tensors that a node may return, and its multiplications.

    Raises:
        UnboundedError: The size cannot be told.
        ValueError: The shapes do not fit one another; so do other errors of arithmetic.

    Examples:
        >>> run(Node("Concat", [Tensor((2, 3)), Tensor((4, 3))], ints={"axis": (0,)}))[0][0].shape
        (6, 3)
    """
    if node.op_type not in _RULES:
        raise UnboundedError(f"nothing is known of an operator {node.op_type}")
    is_split, rule = node.op_type == "Split", _RULES[node.op_type]
    shapes = _parts(node) if is_split else [rule(node)] * node.n_outputs
    constant = all(one.is_constant for one in node.there)
    made = [Tensor(shape, _values_of(node), constant) for shape in shapes]
    if any(min(one.shape, default=0) < 0 for one in made):
        raise ValueError("a length is negative")
    return made, _work_of(node, made[0]) if made else 0


def _constant(node: Node) -> Tensor:
    numbers = next(iter([*node.ints.values(), *node.floats.values(), ()]))
    return node.constant or Tensor((len(numbers),), numbers)


def _broadcast(node: Node) -> Shape:
    return np.broadcast_shapes(*(one.shape for one in node.there))


def _reduce(node: Node) -> Shape:
    dims, keeps = node.at(0).shape, node.number("keepdims", 1)
    is_place = node.op_type.startswith("Arg")
    axes = (node.number("axis", 0),) if is_place else node.given("axes", 1)
    if not axes:
        if node.number("noop_with_empty_axes", 0):
            return dims
        axes = tuple(range(len(dims)))
    reduced = {axis % len(dims) for axis in axes} if dims else set()
    kept = [axis for axis in range(len(dims)) if keeps or axis not in reduced]
    return tuple(1 if axis in reduced else dims[axis] for axis in kept)


def _matmul(node: Node, second: int = 1) -> Shape:
    left, right = node.at(0).shape, node.at(second).shape
    outer = np.broadcast_shapes(left[:-2], right[:-2])
    return (*outer, *left[-2:-1], *(right[-1:] if len(right) > 1 else ()))


def _gemm(node: Node) -> Shape:
    rows = node.at(0).shape[-1 if node.number("transA", 0) else 0]
    return (rows, node.at(1).shape[0 if node.number("transB", 0) else -1])


def _conv(node: Node, second: int = 1) -> Shape:
    channels, _, *kernel = node.at(second).shape
    return _windows(node, kernel, channels)


def _pool(node: Node) -> Shape:
    return _windows(node, node.given("kernel_shape") or (), node.at(0).shape[1])


def _windows(node: Node, kernel: Sequence[int], channels: int) -> Shape:
    """Return one value per place of a window that moves over an image."""
    n_images, _, *image = node.at(0).shape
    n, ones = len(kernel), (1,) * len(kernel)
    strides, steps = node.given("strides") or ones, node.given("dilations") or ones
    pads = node.given("pads") or (0,) * (2 * n)
    if len(image) != n:
        raise ValueError("a window has other axes than its image")
    if node.fills_in:
        return (n_images, channels, *(-(-side // strides[i]) for i, side in enumerate(image)))
    sides = []
    for i, side in enumerate(image):
        free = side + pads[i] + pads[n + i] - steps[i] * (kernel[i] - 1) - 1
        places = free // strides[i] + 1
        if node.number("ceil_mode", 0) and places * strides[i] < min(
            side + pads[i], free + strides[i]
        ):
            places += 1
        sides.append(max(0, places))
    return (n_images, channels, *sides)


def _transposed_conv(node: Node) -> Shape:
    n_images, _, *image = node.at(0).shape
    _, channels, *kernel = node.at(1).shape
    channels *= node.number("group", 1)
    n, ones = len(kernel), (1,) * len(kernel)
    if given := node.given("output_shape"):
        return (n_images, channels, *given[-n:])
    strides, steps = node.given("strides") or ones, node.given("dilations") or ones
    more, pads = node.given("output_padding") or (0,) * n, node.given("pads") or (0,) * (2 * n)
    if node.fills_in:
        return (n_images, channels, *map(math.prod, zip(image, strides, strict=True)))
    sides = [
        strides[i] * (side - 1) + more[i] + steps[i] * (kernel[i] - 1) + 1 - pads[i] - pads[n + i]
        for i, side in enumerate(image)
    ]
    return (n_images, channels, *sides)


def _global(node: Node) -> Shape:
    n_images, channels, *image = node.at(0).shape
    return (n_images, channels, *(1 for _ in image))


def _concat(node: Node) -> Shape:
    shapes = [one.shape for one in node.there]
    axis = node.number("axis", 0) % len(shapes[0])
    return tuple(
        sum(sides) if place == axis else max(sides)
        for place, sides in enumerate(zip(*shapes, strict=True))
    )


def _parts(node: Node) -> list[Shape]:
    """Return the shapes of what a tensor is split into."""
    dims, parts = node.at(0).shape, node.given("split", 1)
    axis = node.number("axis", 0) % len(dims)
    if parts is None:
        each = -(-dims[axis] // max(1, node.n_outputs))
        parts = (each,) * (node.n_outputs - 1) + (dims[axis] - each * (node.n_outputs - 1),)
    return [(*dims[:axis], part, *dims[axis + 1 :]) for part in parts]


def _slice(node: Node) -> Shape:
    dims = node.at(0).shape
    starts, ends = node.given("starts", 1) or (), node.given("ends", 2) or ()
    axes, steps = node.given("axes", 3), node.given("steps", 4)
    sides = list(dims)
    for i, axis in enumerate(axes or range(len(starts))):
        cut = slice(starts[i], ends[i], steps[i] if steps else 1)
        sides[axis] = len(range(*cut.indices(dims[axis])))
    return tuple(sides)


def _reshape(node: Node) -> Shape:
    whole, wanted = node.at(0), node.given("shape", 1) or ()
    sides = [whole.shape[i] if side == 0 else side for i, side in enumerate(wanted)]
    rest = math.prod(side for side in sides if side > 0)
    return tuple(whole.count // max(1, rest) if side < 0 else side for side in sides)


def _flatten(node: Node) -> Shape:
    dims, axis = node.at(0).shape, node.number("axis", 1)
    axis = axis + len(dims) if axis < 0 else axis
    return (math.prod(dims[:axis]), math.prod(dims[axis:]))


def _squeeze(node: Node) -> Shape:
    return np.squeeze(node.at(0).mock, node.given("axes", 1)).shape


def _unsqueeze(node: Node) -> Shape:
    return np.expand_dims(node.at(0).mock, node.given("axes", 1) or ()).shape


def _transpose(node: Node) -> Shape:
    return np.transpose(node.at(0).mock, node.given("perm")).shape


def _gather(node: Node) -> Shape:
    dims, places = node.at(0).shape, node.at(1).shape
    axis = node.number("axis", 0) % len(dims)
    return (*dims[:axis], *places, *dims[axis + 1 :])


def _gather_parts(node: Node) -> Shape:
    *places, n_axes = node.at(1).shape
    return (*places, *node.at(0).shape[node.number("batch_dims", 0) + n_axes :])


def _pad(node: Node) -> Shape:
    sides, pads = list(node.at(0).shape), node.given("pads", 1) or ()
    axes = node.given("axes", 3) or tuple(range(len(sides)))
    for i, axis in enumerate(axes):
        sides[axis] += max(0, pads[i]) + max(0, pads[len(axes) + i])
    return tuple(sides)


def _resize(node: Node) -> Shape:
    dims, sizes = node.at(0).shape, node.given("sizes", 3)
    if "axes" in node.ints:
        raise UnboundedError(f"a node {node.op_type} scales some axes only")
    if sizes:
        if "keep_aspect_ratio_policy" not in node.texts:
            return sizes
        most = max(new / max(1, old) for new, old in zip(sizes, dims, strict=True))
        return tuple(math.ceil(side * most) for side in dims)  # by the side that grows most
    factors = node.optional(1 if len(node.inputs) == 2 else 2)
    scales = node.floats.get("scales") or (factors.values if factors else None)
    if not scales:
        raise UnboundedError(f"a node {node.op_type} scales an image by unknown factors")
    return tuple(math.floor(side * scale) for side, scale in zip(dims, scales, strict=True))


def _blocks(node: Node) -> Shape:
    n_images, channels, height, width = node.at(0).shape
    block = node.number("blocksize", 1)
    if block < 1 or (channels % block**2 if node.op_type == "DepthToSpace" else height % block):
        raise ValueError(f"blocks of {block} do not fit {height} rows of {channels} channels")
    if node.op_type == "DepthToSpace":
        return (n_images, channels // block**2, height * block, width * block)
    return (n_images, channels * block**2, height // block, width // block)


def _top_k(node: Node) -> Shape:
    dims, most = node.at(0).shape, node.given("k", 1) or ()
    axis = node.number("axis", -1) % len(dims)
    return (*dims[:axis], most[0], *dims[axis + 1 :])


def _values_of(node: Node) -> tuple[float, ...] | None:
    """Return the values of a small tensor, as far as lengths are made of them."""
    if node.op_type == "Constant":
        return _constant(node).values
    first = node.at(0)
    if node.op_type == "Shape":
        return first.shape[node.number("start", 0) : node.number("end", len(first.shape))]
    # A cast to other types than int64 could turn a value into a larger one.
    is_kept = node.op_type == "Cast" and node.number("to", 0) == _INT64
    if is_kept or node.op_type in ("Identity", "Squeeze", "Unsqueeze", "Reshape"):
        return first.values
    known = [one.values for one in node.there if one.values is not None]
    if len(first.shape) != 1 or node.number("axis", 0) or len(known) < len(node.there):
        return None
    if node.op_type == "Concat" and sum(map(len, known)) <= MAX_KNOWN:
        return tuple(value for part in known for value in part)
    return tuple(known[0][int(at)] for at in known[1]) if node.op_type == "Gather" else None


def _work_of(node: Node, made: Tensor) -> int:
    if node.op_type in ("ConvTranspose", "Conv", "ConvInteger", "QLinearConv"):
        weights = node.at(3 if node.op_type == "QLinearConv" else 1)
        each = weights.count // max(1, weights.shape[0])
        return each * (node.at(0) if node.op_type == "ConvTranspose" else made).count
    if node.op_type in ("Gemm", "MatMul", "MatMulInteger", "QLinearMatMul"):
        return made.count * max(node.at(0).shape[-2:], default=1)
    return made.count * math.prod(abs(one) for one in node.given("kernel_shape") or ())


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
_RULES: Final[dict[str, Callable[[Node], Shape]]] = {
    **dict.fromkeys(_SAME, lambda node: node.at(0).shape), **dict.fromkeys(_BROADCAST, _broadcast),
    **dict.fromkeys(_REDUCE, _reduce),
    "AveragePool": _pool, "MaxPool": _pool, "GlobalAveragePool": _global, "GlobalMaxPool": _global,
    "Concat": _concat, "Constant": lambda node: _constant(node).shape,
    "Conv": _conv, "ConvInteger": _conv,
    "QLinearConv": lambda node: _conv(node, 3), "ConvTranspose": _transposed_conv,
    "DepthToSpace": _blocks, "SpaceToDepth": _blocks, "Flatten": _flatten, "Gather": _gather,
    "GatherElements": lambda node: node.at(1).shape, "Gemm": _gemm,
    "GatherND": _gather_parts, "MatMul": _matmul, "MatMulInteger": _matmul,
    "QLinearMatMul": lambda node: _matmul(node, 3),
    "NonMaxSuppression": lambda node: (node.at(1).count, 3),
    "NonZero": lambda node: (len(node.at(0).shape), node.at(0).count), "Pad": _pad,
    "Reshape": _reshape, "Resize": _resize, "Upsample": _resize,
    "Shape": lambda node: (len(node.at(0).shape),),
    "Size": lambda _: (), "Slice": _slice, "Split": lambda node: node.at(0).shape,
    "Squeeze": _squeeze, "TopK": _top_k, "Transpose": _transpose, "Unsqueeze": _unsqueeze,
}  # fmt: skip
KNOWN_OPERATORS: Final = frozenset(_RULES)
"""What networks of layers and common detectors are made of, and whose largest result is known.

Missing on purpose: control flow, operators that make tensors of any size out of a few bytes
(ConstantOfShape, Expand, Range, Tile), chance, strings."""
