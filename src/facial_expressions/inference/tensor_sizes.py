"""How much memory and work a graph takes, before it runs: an upper bound from every tensor's size.

A file of a kilobyte can ask for gigabytes: a constant that is joined with itself thirty times, or
two long vectors multiplied crosswise. ONNX Runtime computes constants while it opens the file. So
it is asked for the sizes alone first, of a copy of the graph without weights in which every tensor
is an output; then they are followed node by node, for one crop and for as many as run together.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.errors import ModelError
from facial_expressions.inference.wire_format import Message, written

MAX_GRAPH_MB: Final = 64
"""Most that a graph may hold at one time for one crop beside its weights, in values of four bytes;
and most of what follows from its constants alone, which is kept when the file is opened."""

MAX_CROPS: Final = 256
"""Most crops in one run of any network."""

_MAX_RUN_MB: Final = 1000
"""Most that a graph may hold at one time for all crops of one run."""

_FEWER_CROPS: Final = (MAX_CROPS, 64, 16, 4)
_VALUES_PER_BYTE: Final = 2
"""Weights of half a byte each are the smallest; they may be made into whole numbers first."""

_MAX_NODES: Final = 6000
_MAX_READ: Final = 12_000
"""Most nodes that are looked at, again and again, to follow lengths that the graph computes."""

_MAX_WORK: Final = 20_000_000_000
"""Multiplications for one crop; a large network of photos (VGG) needs 15,000 million."""

_OPEN_SIDE: Final = 1024
"""What an open width and height of an input are taken for."""

_FEW_VALUES: Final = 64
"""Constants of at most so many values may be lengths, and are kept in the copy of the graph."""

_LENGTHS: Final[dict[bytes, Callable[..., NDArray[np.int64]]]] = {
    b"Cast": lambda whole: whole,
    b"Concat": lambda *parts: np.concatenate(parts),
    b"Gather": lambda whole, places: np.asarray(whole[places]),
    b"Mul": lambda one, other: np.asarray(one * other),
    b"Unsqueeze": lambda whole, axes=(0,): np.expand_dims(whole, tuple(axes)),
}
"""How exporters compute lengths of others: flattened is what is left beside the first."""

_INT64: Final = 7
_PLAIN: Final = {b"axis": [0], b"axes": [0], b"to": [_INT64]}
"""The attributes with which that is so."""

_FORMAT: Final = 8
"""Version of ONNX's format in which constants are no inputs."""

Shape = tuple[int, ...]
InferShapes = Callable[[bytes], Sequence[tuple[int | None, ...]]]
"""Returns the shapes of a model's outputs, in order; ModelError says why it cannot be opened."""


def check_tensor_sizes(data: bytes, infer: InferShapes, *, source: str) -> int:
    """Refuse a model, whose bytes were checked, that needs too much memory or work for one crop.

    Returns:
        How many crops may be in one run, 1 to ``MAX_CROPS``: so many need no more than a gigabyte.

    Raises:
        ModelError: What is there at one time, or what follows from constants, is too large; the
            work is too much; or a size cannot be told.
    """
    if not (reason := _problem(data, infer, n_crops=1, most_mb=MAX_GRAPH_MB)):
        return next((n for n in _FEWER_CROPS if not _problem(data, infer, n, _MAX_RUN_MB)), 1)
    raise ModelError(f"{source}: {reason}")


def _problem(data: bytes, infer: InferShapes, n_crops: int, most_mb: int) -> str:
    """Return why so many crops cannot be run at one time; an empty text where they can."""
    try:
        most = most_mb * 1_000_000 // 4 + _VALUES_PER_BYTE * len(data)
        _Walk(data, n_crops, infer).run(most, n_crops * _MAX_WORK)
    except ModelError as error:
        return str(error)
    except (ValueError, LookupError):
        return str(_refusal("its nodes and tensors do not fit one another"))
    return ""


def _refusal(why: str) -> ModelError:
    return ModelError(f"not opened: {why}. Export a smaller network")


class _Walk:
    """Follows the sizes through a graph, in the order in which it runs."""

    def __init__(self, data: bytes, n_crops: int, infer: InferShapes) -> None:
        model = Message(memoryview(data))
        graph = model.one(7)
        self._nodes = graph.all(1)
        if len(self._nodes) > _MAX_NODES:
            raise _refusal(f"it has {len(self._nodes):,} nodes, allowed are {_MAX_NODES:,}")
        self._inputs, self._outputs = (
            [list(map(bytes, node.parts(number))) for node in self._nodes] for number in (1, 2)
        )
        self._shapes: dict[bytes, Shape] = {b"": ()}
        self._constants = {b""}
        self._lengths: dict[bytes, NDArray[np.int64]] = {}
        opsets = [written(8, one) for one in model.parts(8)]
        self._head = b"".join([written(1, _FORMAT), *opsets])
        self._entries = [*self._weights(graph), *self._crops(graph, n_crops)]
        self._given = frozenset(self._shapes)
        n_left = _MAX_READ
        while (unknown := self._unknown_after(infer)) and n_left > 0 and self._follow_lengths():
            n_left -= len(self._nodes)
        if unknown:
            name = unknown[:40].decode(errors="replace")
            raise _refusal(f"the size of {name!r} is known only when it runs")
        outputs = [one.text(1) for one in graph.all(12)]
        self._uses = Counter(chain(outputs, *self._inputs))

    def run(self, most_values: int, most_work: int) -> None:
        """Raise when more values are there at one time, or the work is more."""
        n_live = n_constant = work = 0
        for node, inputs, outputs in self._steps():
            is_constant = self._constants.issuperset(inputs)
            self._constants.update(outputs if is_constant else ())
            n_made = sum(map(self._count, outputs))
            n_live, n_constant = n_live + n_made, n_constant + n_made * is_constant
            work += self._work_of(node, inputs, outputs)
            if (most := max(n_live, n_constant)) > most_values:
                raise _refusal(
                    f"one crop needs over {min(most * 4 // 10**6, 10**9):,} MB beside the weights, "
                    f"allowed are {MAX_GRAPH_MB}"
                )
            if work > most_work:
                raise _refusal(
                    f"one crop needs over {_MAX_WORK // 10**9} thousand million multiplications"
                )
            self._uses.subtract(inputs)
            names = {*inputs, *outputs} - self._given
            n_live -= sum(self._count(name) for name in names if self._uses[name] <= 0)

    def _steps(self) -> Iterator[tuple[Message, list[bytes], list[bytes]]]:
        return zip(self._nodes, self._inputs, self._outputs, strict=True)

    def _count(self, name: bytes) -> int:
        return math.prod(self._shapes[name])

    def _work_of(self, node: Message, inputs: Sequence[bytes], outputs: Sequence[bytes]) -> int:
        op_type, made = node.text(4), self._count(outputs[0]) if outputs else 0
        if op_type in (b"ConvTranspose", b"Conv", b"ConvInteger", b"QLinearConv"):
            weights = self._shapes[inputs[3 if op_type == b"QLinearConv" else 1]]
            moved = self._count(inputs[0]) if op_type == b"ConvTranspose" else made
            return moved * math.prod(weights[1:])
        if op_type in (b"Gemm", b"MatMul", b"MatMulInteger", b"QLinearMatMul"):
            return made * max(self._shapes[inputs[0]][-2:], default=1)
        return made * abs(math.prod(_numbers_of(node).get(b"kernel_shape", ())))

    def _unknown_after(self, infer: InferShapes) -> bytes:
        """Note all sizes that can be told; return the first name whose cannot, or none."""
        made: list[bytes] = []
        entries = [written(2, b"sizes"), *self._entries]
        for node, _, outputs in self._steps():
            if outputs and outputs[0] in self._lengths:
                entries.append(_constant(outputs[0], self._lengths[outputs[0]]))
            else:
                entries.append(written(1, node.content))
                made += filter(None, outputs)
        entries += chain.from_iterable(_as_outputs(name, i) for i, name in enumerate(made))
        shapes = infer(self._head + written(7, b"".join(entries)))
        for name, shape, rank in zip(made, shapes[::2], shapes[1::2], strict=True):
            known = tuple(side for side in shape if side is not None and side >= 0)
            if rank == (len(known),):  # where not even the rank is known, the shape is empty too
                self._shapes[name] = known
        return next((name for name in made if name not in self._shapes), b"")

    def _follow_lengths(self) -> bool:
        """Compute lengths that follow from others, as far as that is simple; say if any is new."""
        n_before = len(self._lengths)
        for node, inputs, outputs in self._steps():
            op_type, numbers = node.text(4), _numbers_of(node)
            found: NDArray[np.int64] | None = None
            if op_type == b"Shape" and not numbers and inputs[0] in self._shapes:
                found = np.array(self._shapes[inputs[0]], np.int64)
            elif op_type == b"Constant":
                found = _lengths_in(_tensor_in(node))
            elif self._lengths.keys() >= {*inputs} and numbers.items() <= _PLAIN.items():
                parts = [self._lengths[name] for name in inputs]
                if op_type in _LENGTHS and max(part.ndim for part in parts) < 2:
                    found = _LENGTHS[op_type](*parts)
            if found is not None and found.size <= _FEW_VALUES:
                self._lengths[outputs[0]], self._shapes[outputs[0]] = found, found.shape
        return len(self._lengths) > n_before

    def _weights(self, graph: Message) -> Iterator[bytes]:
        """Note the shapes of constants; yield the small ones, and the others as inputs."""
        for node in self._nodes:
            _dims(_tensor_in(node))
        for tensor in graph.all(5):
            name, shape = tensor.text(8), _dims(tensor)
            self._shapes[name] = shape
            self._constants.add(name)
            if math.prod(shape) > _FEW_VALUES:
                yield _input(name, tensor.numbers(2), shape)
                continue
            yield written(5, tensor.content)
            if (lengths := _lengths_in(tensor)) is not None:
                self._lengths[name] = lengths

    def _crops(self, graph: Message, n_crops: int) -> Iterator[bytes]:
        """Note the shapes of inputs, open lengths replaced, and yield the inputs."""
        for one in graph.all(11):
            name, tensor = one.text(1), one.one(2).one(1)
            if name in self._shapes:
                continue
            sides = []
            for place, dim in enumerate(tensor.one(2).all(1)):
                length = max(dim.numbers(1), default=0)
                sides.append(length if length > 0 else _OPEN_SIDE if place else n_crops)
            self._shapes[name] = tuple(sides)
            yield _input(name, tensor.numbers(1), sides)


def _tensor_in(node: Message) -> Message:
    """Return the tensors in a node's attributes as one, as other readers join them."""
    return Message(*(part for one in node.all(5) for part in one.parts(5)), within=node)


def _numbers_of(node: Message) -> dict[bytes, list[int]]:
    """Return a node's attributes, each with its whole numbers."""
    return {one.text(1): one.numbers(3) + one.numbers(8) for one in node.all(5)}


def _dims(tensor: Message) -> Shape:
    dims = tuple(tensor.numbers(1))
    count, n_bytes = math.prod(dims), len(tensor.content)
    if not 0 <= count <= 2 * max(n_bytes, 1) or min(dims, default=0) < 0:
        raise _refusal(f"a constant claims {count:,} values in {n_bytes} bytes")
    return dims


def _lengths_in(tensor: Message) -> NDArray[np.int64] | None:
    """Return the values of a small constant of whole numbers."""
    shape = _dims(tensor)
    if tensor.numbers(2)[-1:] != [_INT64] or math.prod(shape) > _FEW_VALUES:
        return None
    raw = tensor.text(9)
    values = np.frombuffer(raw, "<i8") if raw else np.array(tensor.numbers(7), np.int64)
    return values.reshape(shape)


def _input(name: bytes, kind: Sequence[int], shape: Sequence[int]) -> bytes:
    """Return an input of a graph, of a type by its number in ONNX."""
    dims = b"".join(written(1, written(1, side)) for side in shape)
    tensor = written(1, kind[-1]) + written(2, dims)
    return written(11, written(1, name) + written(2, written(1, tensor)))


def _constant(name: bytes, lengths: NDArray[np.int64]) -> bytes:
    """Return a constant of a graph."""
    dims = b"".join(written(1, side) for side in lengths.shape)
    content = written(8, name) + written(9, lengths.astype("<i8").tobytes())
    return written(5, dims + written(2, _INT64) + content)


def _as_outputs(name: bytes, number: int) -> tuple[bytes, bytes, bytes]:
    """Return a node that gives a tensor's shape, and both as outputs of a graph."""
    shape = b"shape of %d" % number
    node = written(1, name) + written(2, shape) + written(4, b"Shape")
    return written(1, node), written(12, written(1, name)), written(12, written(1, shape))
