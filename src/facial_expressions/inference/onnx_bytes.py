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
from collections.abc import Iterator
from typing import Final

from facial_expressions.errors import ModelError

__all__ = ["check_onnx_bytes", "seal_model"]

Field = tuple[int, int, memoryview]
"""Field number, wire type (0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes), content."""

_MODEL_GRAPH: Final = 7
_MODEL_FUNCTIONS: Final = 25
_GRAPH_NODE: Final = 1
_GRAPH_INITIALIZER: Final = 5
_GRAPH_SPARSE_INITIALIZER: Final = 15
_FUNCTION_NODE: Final = 7
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
_OPERATORS: Final = frozenset(
    b"Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast Ceil Celu Clip Concat Constant "
    b"Conv ConvInteger ConvTranspose CumSum DepthToSpace DequantizeLinear Div Dropout "
    b"DynamicQuantizeLinear Elu Equal Erf Exp Flatten Floor Gather GatherElements GatherND Gelu "
    b"Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization "
    b"HardSigmoid HardSwish Identity InstanceNormalization LRN LayerNormalization LeakyRelu Less "
    b"LessOrEqual Log LogSoftmax MatMul MatMulInteger Max MaxPool Mean Min Mish Mod Mul Neg "
    b"NonMaxSuppression NonZero Not Or PRelu Pad Pow QLinearConv QLinearMatMul QuantizeLinear "
    b"Reciprocal ReduceL1 ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum "
    b"ReduceSumSquare Relu Reshape Resize RoiAlign Round ScatterElements ScatterND Selu Shape "
    b"Sigmoid Sign Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum "
    b"Swish Tanh TopK Transpose Unsqueeze Upsample Where Xor".split()
)
"""What networks of layers and common detectors are made of. Missing on purpose: control flow,
operators that make tensors of any size out of a few bytes (ConstantOfShape, Expand, Range, Tile),
chance, strings, and every operator of another domain (vendors' compiled contexts, libraries of
one's own)."""


def check_onnx_bytes(data: bytes, *, source: str) -> None:
    """Refuse bytes that are no whole ONNX file, keep tensors elsewhere, or hold loops.

    Args:
        data: Content of the file.
        source: Name of the file, for messages.

    Raises:
        ModelError: The bytes are malformed or cut short, they differ from those that were sealed,
            there is no graph, a tensor lies in another file, or the graph has control flow or
            another operator that is not let in.
    """
    try:
        top = list(_fields(memoryview(data)))
        _check_seal(data, source)
        graphs = [content for number, wire, content in top if (number, wire) == (_MODEL_GRAPH, 2)]
        if len(graphs) != 1:
            raise _malformed(source, f"{len(graphs)} graphs in {len(data)} bytes")
        _check_graph(graphs[0], source, 0)
        for number, wire, content in top:
            if (number, wire) == (_MODEL_FUNCTIONS, 2):
                _check_nodes(_children(content, (_FUNCTION_NODE,)), source, 0)
    except _WireError as error:
        raise _malformed(source, f"{len(data)} bytes; {error}") from error


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
            f"{source} was changed after it was written; received content with SHA-256 "
            f"{found.decode()}, expected {written.decode(errors='replace')}; "
            "copy the file again, or export the model again"
        )


class _WireError(ValueError):
    """The bytes are not protocol buffers."""


def _malformed(source: str, received: str) -> ModelError:
    return ModelError(
        f"{source} is not a whole ONNX model; received {received}; "
        "copy the file again, or export the model again"
    )


def _fields(view: memoryview) -> Iterator[Field]:
    """Yield the fields of one message."""
    position, end = 0, len(view)
    while position < end:
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
            raise _WireError(f"wire type {wire} at byte {position}")
        if number == 0 or position > end:
            raise _WireError(f"field {number} ends at byte {position} of {end}")
        yield number, wire, view[start:position]


def _varint(view: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(view):
            break
        byte = view[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise _WireError(f"unfinished number at byte {position}")


def _children(view: memoryview, numbers: tuple[int, ...]) -> list[memoryview]:
    return [content for number, wire, content in _fields(view) if wire == 2 and number in numbers]


def _check_graph(graph: memoryview, source: str, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise _WireError(f"graphs nested more than {_MAX_DEPTH} deep")
    _check_tensors(_children(graph, (_GRAPH_INITIALIZER,)), source)
    _check_sparse(_children(graph, (_GRAPH_SPARSE_INITIALIZER,)), source)
    _check_nodes(_children(graph, (_GRAPH_NODE,)), source, depth)


def _check_nodes(nodes: list[memoryview], source: str, depth: int) -> None:
    for node in nodes:
        _check_operator(node, source)
        for attribute in _children(node, (_NODE_ATTRIBUTE,)):
            _check_tensors(_children(attribute, _ATTRIBUTE_TENSORS), source)
            _check_sparse(_children(attribute, _ATTRIBUTE_SPARSE_TENSORS), source)
            for graph in _children(attribute, _ATTRIBUTE_GRAPHS):
                _check_graph(graph, source, depth + 1)


def _check_operator(node: memoryview, source: str) -> None:
    domain = b"".join(_children(node, (_NODE_DOMAIN,)))
    op_type = b"".join(_children(node, (_NODE_OP_TYPE,)))
    if domain in _DOMAINS and op_type in _OPERATORS:
        return
    what = "control flow" if op_type in _CONTROL_FLOW else "an operator"
    name = b".".join(part for part in (domain, op_type) if part)[:80].decode(errors="replace")
    raise ModelError(
        f"{source} holds {what} that a network has no use for; received the operator {name!r}; "
        "export the model without it"
    )


def _check_sparse(tensors: list[memoryview], source: str) -> None:
    for tensor in tensors:
        _check_tensors(_children(tensor, (1, 2)), source)


def _check_tensors(tensors: list[memoryview], source: str) -> None:
    for tensor in tensors:
        for number, _, content in _fields(tensor):
            moved = number == _TENSOR_DATA_LOCATION and bytes(content) != b"\x00"
            if moved or number == _TENSOR_EXTERNAL_DATA:
                raise ModelError(
                    f"{source} keeps a tensor in another file, which is refused; received a tensor "
                    "with external data; save the model as one file"
                )
