"""Walk the wire format of protocol buffers, in which ONNX files are written, without a parser.

See https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

Field = tuple[int, int, memoryview]
"""Field number, wire type (0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes), content."""

_MAX_FIELDS: Final = 500_000
"""Fields of a file that are looked at: a node has some eighty, a large network 5,000 nodes."""


class WireError(ValueError):
    """The bytes are not protocol buffers, or are made to take long."""


class WireReader:
    """Reads the fields of messages, and stops where one file has more than any network."""

    def __init__(self) -> None:
        self._n_left = _MAX_FIELDS

    def fields(self, view: memoryview) -> Iterator[Field]:
        """Yield the fields of one message.

        Raises:
            WireError: The bytes are no such message, or the file has too many fields.
        """
        position, end = 0, len(view)
        while position < end:
            self._n_left -= 1
            if self._n_left < 0:
                raise WireError(f"more than {_MAX_FIELDS:,} fields")
            key, position = _varint(view, position)
            number, wire = key >> 3, key & 7
            if wire == 0:
                start = position
                _, position = _varint(view, position)
            elif wire == 2:
                length, start = _varint(view, position)
                position = start + length
            elif wire in (1, 5):
                start, position = position, position + (8 if wire == 1 else 4)
            else:
                raise WireError(f"wire type {wire} at byte {position}")
            if number == 0 or position > end:
                raise WireError(f"field {number} ends at byte {position} of {end}")
            yield number, wire, view[start:position]

    def children(self, view: memoryview, numbers: tuple[int, ...]) -> list[memoryview]:
        """Return the messages, texts and packed numbers in some fields of a message."""
        return [
            content
            for number, wire, content in self.fields(view)
            if wire == 2 and number in numbers
        ]

    def varints(self, view: memoryview) -> list[int]:
        """Return packed numbers, signed.

        Raises:
            WireError: The last one does not end, or the file has too many.
        """
        values: list[int] = []
        position = 0
        while position < len(view):
            self._n_left -= 1
            if self._n_left < 0:
                raise WireError(f"more than {_MAX_FIELDS:,} numbers")
            value, position = _varint(view, position)
            values.append(value - 2**64 if value >= 2**63 else value)
        return values

    def text(self, view: memoryview, number: int) -> bytes:
        """Return the text in a field, the last one as all readers do; empty where there is none."""
        return bytes((self.children(view, (number,)) or [memoryview(b"")])[-1])


def _varint(view: memoryview, position: int) -> tuple[int, int]:
    """Return the number at a place, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(view):
            break
        byte = view[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise WireError(f"unfinished number at byte {position}")


def written(number: int, content: bytes | memoryview | int) -> bytes:
    """Return a field of a message: a whole number, or a message or text."""
    if isinstance(content, int):
        return _as_varint(number << 3) + _as_varint(content % 2**64)
    return b"".join([_as_varint(number << 3 | 2), _as_varint(len(content)), content])


def _as_varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _as_varint(rest) if rest else bytes([low])
