"""Look at an ONNX file's bytes before any parser runs: whether it is whole, and what it holds.

An ONNX file is a protocol-buffers message. This module walks its wire format, so that a file can be
refused (tensors kept in other files, endless loops, operators that no network needs, cut short)
before ONNX Runtime sees it.
Field numbers are those of ``onnx.proto``
(https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from facial_expressions.errors import ModelError
from facial_expressions.inference.file_kinds import kind_of
from facial_expressions.inference.operator_shapes import KNOWN_OPERATORS
from facial_expressions.inference.wire_format import WireError, WireReader

__all__ = ["check_onnx_bytes", "graph_of", "metadata_entries", "seal_model"]

_MODEL_GRAPH: Final = 7
_MODEL_METADATA: Final = 14
_MODEL_FUNCTIONS: Final = 25
_GRAPH_NODE: Final = 1
_GRAPH_INITIALIZER: Final = 5
_GRAPH_SPARSE_INITIALIZER: Final = 15
_NODE_OP_TYPE: Final = 4
_NODE_ATTRIBUTE: Final = 5
_NODE_DOMAIN: Final = 7
_ATTRIBUTE_TENSORS: Final = (5, 10)
_ATTRIBUTE_GRAPHS: Final = (6, 11)
_ATTRIBUTE_SPARSE_TENSORS: Final = (22, 23)
_TENSOR_EXTERNAL_DATA: Final = 13
_TENSOR_DATA_LOCATION: Final = 14
_MAX_DEPTH: Final = 8
_SEAL: Final = b"\x72\x52\x0a\x0econtent_sha256\x12\x40"
"""What stands before the digest at the end of a sealed file: field 14 of the model (metadata, 82
bytes), in it field 1 (key, 14 bytes) and field 2 (value, 64 bytes)."""

_DIGEST_BYTES: Final = 64
_HEX_DIGEST: Final = re.compile(rb"[0-9a-f]{64}")

_CONTROL_FLOW: Final = frozenset({b"Loop", b"Scan", b"If"})

_DOMAINS: Final = frozenset({b"", b"ai.onnx"})


def check_onnx_bytes(data: bytes, *, source: str) -> None:
    """Refuse bytes that are not a whole ONNX file, keep tensors elsewhere, or hold loops.

    Args:
        data: Content of the file.
        source: Name of the file, for messages.

    Raises:
        ModelError: The bytes are malformed or cut short, they differ from those that were sealed,
            there is no graph, a tensor lies in another file, or the graph has control flow,
            operators of its own, or another operator that is not allowed.
    """
    try:
        reader = WireReader()
        top = list(reader.fields(memoryview(data)))
        _check_seal(data, source)
        graphs = [content for number, wire, content in top if (number, wire) == (_MODEL_GRAPH, 2)]
        if len(graphs) != 1:
            raise _malformed(data, source, f"{len(graphs)} graphs in {len(data)} bytes")
        if any(number == _MODEL_FUNCTIONS for number, _, _ in top):
            raise ModelError(
                f"{source}: defines operators of its own, which is not allowed. Export the model "
                "without them"
            )
        _Check(reader, source).graph(graphs[0], 0)
    except WireError as error:
        raise _malformed(data, source, f"{error}, of {len(data)} bytes") from error


def metadata_entries(data: bytes) -> dict[str, str]:
    """Return what a whole model file says of itself, without opening it.

    Args:
        data: Content that ``check_onnx_bytes`` let pass.
    """
    wire = WireReader()
    pairs = wire.children(memoryview(data), (_MODEL_METADATA,))
    texts = [[wire.text(pair, n).decode("utf-8", "replace") for n in (1, 2)] for pair in pairs]
    return {key: value for key, value in texts}  # noqa: C416 - of lists, which dict() takes as Any


def graph_of(data: bytes) -> memoryview:
    """Return the bytes of the graph in a whole model file.

    Args:
        data: Content that ``check_onnx_bytes`` let pass.
    """
    return WireReader().children(memoryview(data), (_MODEL_GRAPH,))[0]


def seal_model(data: bytes) -> bytes:
    """Return the model with a metadata entry added that holds the SHA-256 of all that precedes it.

    A sealed file of which a byte changes is refused by ``check_onnx_bytes``, also where nobody
    knows the file's own digest.

    Args:
        data: Content of a whole ONNX file, not sealed before.
    """
    return data + _SEAL + hashlib.sha256(data).hexdigest().encode()


def _check_seal(data: bytes, source: str) -> None:
    """Compare a sealed file with its seal; a file that ends in no digest is not sealed."""
    before = len(data) - len(_SEAL) - _DIGEST_BYTES
    is_sealed = data[before:-_DIGEST_BYTES] == _SEAL
    written = data[-_DIGEST_BYTES:]
    if not is_sealed and not _HEX_DIGEST.fullmatch(written):
        return
    found = hashlib.sha256(memoryview(data)[: max(before, 0)]).hexdigest().encode()
    if not is_sealed or found != written:
        raise ModelError(
            f"{source}: changed after it was written: its SHA-256 is {found.decode()}, not "
            f"{written.decode(errors='replace')}. Copy the file again, or export the model again"
        )


def _malformed(data: bytes, source: str, why: str) -> ModelError:
    if kind := kind_of(data):
        return ModelError(
            f"{source}: {kind}, not an ONNX model. Export the network to ONNX with "
            "'facial-expressions export'"
        )
    return ModelError(
        f"{source}: not a whole ONNX model: {why}. Copy the file again, or export the model again"
    )


class _Check:
    """Refuses what a graph may not hold, wherever in it that is."""

    def __init__(self, wire: WireReader, source: str) -> None:
        self._wire = wire
        self._source = source

    def graph(self, graph: memoryview, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise WireError(f"graphs nested more than {_MAX_DEPTH} deep")
        children = self._wire.children
        self._tensors(children(graph, (_GRAPH_INITIALIZER,)))
        self._sparse(children(graph, (_GRAPH_SPARSE_INITIALIZER,)))
        for node in children(graph, (_GRAPH_NODE,)):
            self._operator(node)
            for attribute in children(node, (_NODE_ATTRIBUTE,)):
                self._tensors(children(attribute, _ATTRIBUTE_TENSORS))
                self._sparse(children(attribute, _ATTRIBUTE_SPARSE_TENSORS))
                for inner in children(attribute, _ATTRIBUTE_GRAPHS):
                    self.graph(inner, depth + 1)

    def _operator(self, node: memoryview) -> None:
        domain = self._wire.text(node, _NODE_DOMAIN)
        op_type = self._wire.text(node, _NODE_OP_TYPE)
        if domain in _DOMAINS and op_type.decode(errors="replace") in KNOWN_OPERATORS:
            return
        what = "control flow" if op_type in _CONTROL_FLOW else "an operator"
        name = b".".join(part for part in (domain, op_type) if part)[:80].decode(errors="replace")
        raise ModelError(
            f"{self._source}: holds {what} that a network has no use for: the operator {name!r}. "
            "Export the model without it"
        )

    def _sparse(self, tensors: list[memoryview]) -> None:
        for tensor in tensors:
            self._tensors(self._wire.children(tensor, (1, 2)))

    def _tensors(self, tensors: list[memoryview]) -> None:
        for tensor in tensors:
            for number, _, content in self._wire.fields(tensor):
                moved = number == _TENSOR_DATA_LOCATION and bytes(content) != b"\x00"
                if moved or number == _TENSOR_EXTERNAL_DATA:
                    raise ModelError(
                        f"{self._source}: keeps a tensor in another file, which is not allowed. "
                        "Save the model as one file"
                    )
