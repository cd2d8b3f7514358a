"""How much memory a graph can take, from its bytes alone: an upper bound of every tensor's size.

A file of a kilobyte can ask for gigabytes: a constant that is joined with itself thirty times, or
two long vectors multiplied crosswise. ONNX Runtime computes constants while it opens the file, so
the sizes are followed here first, node by node, for one crop; then for as many as are run together.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from itertools import chain
from typing import Final

from facial_expressions.errors import ModelError
from facial_expressions.inference.onnx_bytes import graph_of
from facial_expressions.inference.operator_shapes import (
    MAX_KNOWN,
    Node,
    Tensor,
    UnboundedError,
    run,
)
from facial_expressions.inference.wire_format import WireError, WireReader

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

_MAX_NODES: Final = 20_000
_MAX_WORK: Final = 20_000_000_000
"""Multiplications for one crop; a large network of photos (VGG) needs 15,000 million."""

_OPEN_SIDE: Final = 1024
"""What an open width and height of an input are taken for."""

_NUMBERS: Final = {1: ("f", 4), 6: ("i", 4), 7: ("q", 8)}
"""Types whose values may be lengths and factors, by ``struct``: float, int32, int64."""


def check_tensor_sizes(data: bytes, *, source: str) -> int:
    """Refuse a model, whose bytes were checked, that needs too much memory or work for one crop.

    Returns:
        How many crops may be in one run, 1 to ``MAX_CROPS``: so many need no more than a gigabyte.

    Raises:
        ModelError: What is there at one time, or what follows from constants, is too large; the
            work is too much; or a size cannot be told.
    """
    if not (reason := _problem(data, n_crops=1, most_mb=MAX_GRAPH_MB)):
        return next((n for n in _FEWER_CROPS if not _problem(data, n, _MAX_RUN_MB)), 1)
    raise ModelError(f"{source}: not opened: {reason}. Export a smaller network")


def _problem(data: bytes, n_crops: int, most_mb: int) -> str:
    """Return why so many crops cannot be run at one time; an empty text where they can."""
    try:
        most = most_mb * 1_000_000 // 4 + _VALUES_PER_BYTE * len(data)
        _Walk(graph_of(data), n_crops, most).run()
    except UnboundedError as error:
        return str(error)
    except (WireError, ValueError, ArithmeticError, LookupError, struct.error):
        return "the shapes of its tensors do not fit one another"
    return ""


class _Walk:
    """Follows the sizes through a graph, in the order in which it runs."""

    def __init__(self, graph: memoryview, n_crops: int, most_values: int) -> None:
        self._most_values, self._most_work = most_values, n_crops * _MAX_WORK
        self._reader = reader = _GraphReader(n_crops)
        self._nodes = reader.children(graph, (1,))
        if len(self._nodes) > _MAX_NODES:
            raise UnboundedError(f"it has {len(self._nodes):,} nodes, allowed are {_MAX_NODES:,}")
        self._known: dict[bytes, Tensor] = {b"": Tensor(())}
        for one in reader.children(graph, (11,)):
            self._known[reader.text(one, 1)] = reader.input(one)
        for one in reader.children(graph, (5,)):
            self._known[reader.text(one, 8)] = reader.tensor(one)
        self._given = frozenset(self._known)
        self._names = [reader.names(node) for node in self._nodes]
        outputs = [reader.text(one, 1) for one in reader.children(graph, (12,))]
        self._uses = Counter(chain(outputs, *(inputs for inputs, _ in self._names)))
        self._n_live = self._n_constant = self._work = 0

    def run(self) -> None:
        for node, (inputs, outputs) in zip(self._nodes, self._names, strict=True):
            if missing := [name for name in inputs if name not in self._known]:
                raise UnboundedError(
                    f"there is no tensor {missing[0][:40].decode(errors='replace')!r}"
                )
            found = [self._known[name] if name else None for name in inputs]
            made, work = run(self._reader.node(node, found, len(outputs)))
            self._work += work
            self._keep(made, outputs)
            self._uses.subtract(inputs)
            for name in {*inputs, *outputs}:
                if self._uses[name] <= 0 and name not in self._given:
                    self._n_live -= self._known[name].count

    def _keep(self, made: list[Tensor], names: list[bytes]) -> None:
        for tensor, name in zip(made, names, strict=True):
            if name in self._known and name:
                raise UnboundedError("two tensors have one name")
            if name:
                self._known[name] = tensor
                self._n_live += tensor.count
                self._n_constant += tensor.count * tensor.is_constant
        most = max(self._n_live, self._n_constant)
        if most > self._most_values:
            raise UnboundedError(
                f"one crop needs over {min(most * 4 // 10**6, 10**9):,} MB beside the weights, "
                f"allowed are {MAX_GRAPH_MB}"
            )
        if self._work > self._most_work:
            raise UnboundedError(
                f"one crop needs over {_MAX_WORK // 10**9} thousand million multiplications"
            )


class _GraphReader(WireReader):
    """Reads tensors, inputs and nodes as far as sizes follow from them."""

    def __init__(self, n_crops: int) -> None:
        super().__init__()
        self._n_crops = n_crops

    def names(self, node: memoryview) -> tuple[list[bytes], list[bytes]]:
        """Return the names of a node's inputs and outputs."""
        inputs, outputs = (self.children(node, (number,)) for number in (1, 2))
        return list(map(bytes, inputs)), list(map(bytes, outputs))

    def input(self, view: memoryview) -> Tensor:
        """Return an input of the graph, open lengths replaced."""
        for number in (2, 1, 2):  # its type, the type of a tensor, its shape
            view = memoryview(b"".join(self.children(view, (number,))))
        sides = []
        for place, dim in enumerate(self.children(view, (1,))):
            length = self._ints(dim, 1)
            sides.append(length[-1] if length else _OPEN_SIDE if place else self._n_crops)
        return Tensor(tuple(sides))

    def tensor(self, view: memoryview) -> Tensor:
        """Return a constant; its values where they are few."""
        dims = tuple(self._ints(view, 1))
        count = math.prod(dims)
        if not 0 <= count <= 2 * len(view) or min(dims, default=0) < 0:
            raise UnboundedError(f"a constant claims {count:,} values in {len(view)} bytes")
        values = self._values(view, count) if count <= MAX_KNOWN else None
        return Tensor(dims, values, is_constant=True)

    def node(self, view: memoryview, inputs: list[Tensor | None], n_outputs: int) -> Node:
        """Return a node."""
        ints: dict[str, tuple[int, ...]] = {}
        floats: dict[str, tuple[float, ...]] = {}
        texts: dict[str, bytes] = {}
        constant = None
        for one in self.children(view, (5,)):
            name = self.text(one, 1).decode(errors="replace")
            if whole := self._ints(one, 3) or self._ints(one, 8):
                ints[name] = tuple(whole)
            if parts := self._floats(one, 2) or self._floats(one, 7):
                floats[name] = tuple(parts)
            if text := self.text(one, 4):
                texts[name] = text
            if tensor := b"".join(self.children(one, (5,))):
                constant = self.tensor(memoryview(tensor))
        op_type = self.text(view, 4).decode(errors="replace")
        return Node(op_type, inputs, n_outputs, ints, floats, texts, constant)

    def _values(self, view: memoryview, count: int) -> tuple[float, ...] | None:
        kind = (self._ints(view, 2) or [0])[-1]
        if kind not in _NUMBERS:
            return None
        letter, size = _NUMBERS[kind]
        if raw := self.text(view, 9):
            return struct.unpack(f"<{count}{letter}", raw[: count * size])
        numbers = self._floats(view, 4) or self._ints(view, 5) or self._ints(view, 7)
        return tuple(numbers[:count])

    def _ints(self, view: memoryview, number: int) -> list[int]:
        """Return whole numbers, packed or one by one."""
        found: list[int] = []
        for field, wire, content in self.fields(view):
            if field == number and wire in (0, 2):
                found += self.varints(content)
        return found

    def _floats(self, view: memoryview, number: int) -> list[float]:
        found: list[float] = []
        for field, wire, content in self.fields(view):
            if field == number and wire in (2, 5):
                usable = content[: len(content) // 4 * 4][: 4 * MAX_KNOWN]
                found += struct.unpack(f"<{len(usable) // 4}f", usable)
        return found
