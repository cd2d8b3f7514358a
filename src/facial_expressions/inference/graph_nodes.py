"""What is known of a graph's tensors and nodes before it runs: shapes, lengths, attributes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

__all__ = ["MAX_KNOWN", "Node", "Shape", "SizeUnknownError", "Tensor", "Values"]

Shape = tuple[int, ...] | int
"""Lengths of the axes; or, where they are not known, the largest number of values."""

Values = tuple[float, ...]
"""Values of a small tensor."""

MAX_KNOWN: Final = 64
"""Tensors of at most so many values may be lengths, and are followed by value."""


class SizeUnknownError(ValueError):
    """The size of a tensor follows from values that are known only when the graph runs."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """What is known of a tensor before the graph runs.

    Attributes:
        shape: Its shape, or the largest number of its values.
        values: Its values, where they are few and known.
        is_constant: Whether it follows from constants alone.
    """

    shape: Shape
    values: Values | None = None
    is_constant: bool = False

    @property
    def dims(self) -> tuple[int, ...] | None:
        """Lengths of the axes, where they are known."""
        return None if isinstance(self.shape, int) else self.shape

    @property
    def count(self) -> int:
        """Most values that it may have."""
        return self.shape if isinstance(self.shape, int) else math.prod(self.shape)


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

    def at(self, position: int) -> Tensor:
        """Return an input that has to be there."""
        found = self.inputs[position] if position < len(self.inputs) else None
        if found is None:
            raise SizeUnknownError(f"an input of a node {self.op_type} is missing")
        return found

    def number(self, name: str, default: int) -> int:
        """Return an attribute that is one whole number."""
        return self.ints.get(name, (default,))[0]

    def given(self, name: str, position: int | None = None) -> tuple[int, ...] | None:
        """Return whole numbers that are an attribute in one version and an input in another."""
        if name in self.ints:
            return self.ints[name]
        if position is None or position >= len(self.inputs) or self.inputs[position] is None:
            return None
        values = self.at(position).values
        return None if values is None else tuple(int(value) for value in values)

    def has(self, position: int) -> bool:
        """Whether an optional input is there."""
        return position < len(self.inputs) and self.inputs[position] is not None
