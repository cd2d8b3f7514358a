"""Read and write the wire format of protocol buffers, in which ONNX files are written.

See https://protobuf.dev/programming-guides/encoding. Messages inside another are read when they
are asked for, and contents are not copied.
"""

from __future__ import annotations

from typing import Final

_MAX_FIELDS: Final = 500_000
"""Fields of a file that are looked at: a node has some forty, a large network 5,000 nodes."""


class WireError(ValueError):
    """The bytes are not protocol buffers, or are made to take long."""


class Message:
    """The fields of one message.

    Args:
        parts: Its bytes; what is given in parts counts as one, as for all readers.
        within: A message of the same file: all of these have ``_MAX_FIELDS`` fields at most.

    Attributes:
        content: Its bytes.

    Raises:
        WireError: The bytes are no such message, or the file has too many fields.
    """

    def __init__(self, *parts: memoryview, within: Message | None = None) -> None:
        self.content = parts[0] if len(parts) == 1 else memoryview(b"".join(parts))
        self._left: list[int] = within._left if within else [_MAX_FIELDS]
        self._fields: dict[int, list[int | memoryview]] = {}
        position, end = 0, len(self.content)
        while position < end:
            self._count()
            key, start = _varint(self.content, position)
            number, wire = key >> 3, key & 7
            if wire == 0:
                value, position = _varint(self.content, start)
                self._fields.setdefault(number, []).append(value)
            elif wire == 2:
                length, start = _varint(self.content, start)
                position = start + length
                self._fields.setdefault(number, []).append(self.content[start:position])
            elif wire in (1, 5):
                position = start + (8 if wire == 1 else 4)
            else:
                raise WireError(f"wire type {wire} at byte {start}")
            if number == 0 or position > end:
                raise WireError(f"field {number} ends at byte {position} of {end}")

    def __contains__(self, number: int) -> bool:
        return number in self._fields

    def parts(self, number: int) -> list[memoryview]:
        """Return the contents of a field, each time that it is there."""
        return [one for one in self._fields.get(number, ()) if isinstance(one, memoryview)]

    def all(self, number: int) -> list[Message]:
        """Return the messages in a field."""
        return [Message(part, within=self) for part in self.parts(number)]

    def one(self, number: int) -> Message:
        """Return the message in a field that may be there once."""
        return Message(*self.parts(number), within=self)

    def text(self, number: int) -> bytes:
        """Return the text in a field, the last one as all readers do; empty where there is none."""
        return bytes((self.parts(number) or [memoryview(b"")])[-1])

    def numbers(self, number: int) -> list[int]:
        """Return the whole numbers in a field, signed, packed or one by one."""
        found: list[int] = []
        for one in self._fields.get(number, ()):
            if isinstance(one, int):
                found.append(one)
                continue
            position = 0
            while position < len(one):
                self._count()
                value, position = _varint(one, position)
                found.append(value)
        return [value - 2**64 if value >= 2**63 else value for value in found]

    def _count(self) -> None:
        self._left[0] -= 1
        if self._left[0] < 0:
            raise WireError(f"more than {_MAX_FIELDS:,} fields")


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
