"""Look at an ONNX file's bytes before any parser runs: whether it is whole, and what it holds.

It is a protocol-buffers message, whose wire format is walked; field numbers are those of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from facial_expressions.errors import ModelError
from facial_expressions.inference.wire_format import Message, WireError

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
_SEAL: Final = b"\x72\x52\x0a\x0econtent_sha256\x12\x40"
"""What stands before the digest at the end of a sealed file: field 14 of the model (metadata, 82
bytes), in it field 1 (key, 14 bytes) and field 2 (value, 64 bytes)."""

_DIGEST_BYTES: Final = 64
_HEX_DIGEST: Final = re.compile(rb"[0-9a-f]{64}")

_CONTROL_FLOW: Final = frozenset({b"Loop", b"Scan", b"If"})

_DOMAINS: Final = frozenset({b"", b"ai.onnx"})

KNOWN_OPERATORS: Final = frozenset(
    (
        "Abs", "Add", "And", "ArgMax", "ArgMin", "AveragePool", "BatchNormalization", "Cast",
        "Ceil", "Celu", "Clip", "Concat", "Constant", "Conv", "ConvInteger", "ConvTranspose",
        "CumSum", "DepthToSpace", "DequantizeLinear", "Div", "Dropout", "DynamicQuantizeLinear",
        "Elu", "Equal", "Erf", "Exp", "Flatten", "Floor", "Gather", "GatherElements", "GatherND",
        "Gelu", "Gemm", "GlobalAveragePool", "GlobalMaxPool", "Greater", "GreaterOrEqual",
        "GridSample", "GroupNormalization", "HardSigmoid", "HardSwish", "Identity",
        "InstanceNormalization", "LRN", "LayerNormalization", "LeakyRelu", "Less", "LessOrEqual",
        "Log", "LogSoftmax", "MatMul", "MatMulInteger", "Max", "MaxPool", "Mean", "Min", "Mish",
        "Mod", "Mul", "Neg", "Not", "Or", "PRelu", "Pad", "Pow", "QLinearConv", "QLinearMatMul",
        "QuantizeLinear", "Reciprocal", "ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean",
        "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", "Relu", "Reshape", "Resize",
        "RoiAlign", "Round", "ScatterElements", "ScatterND", "Selu", "Shape", "Sigmoid", "Sign",
        "Size", "Slice", "Softmax", "Softplus", "Softsign", "SpaceToDepth", "Split", "Sqrt",
        "Squeeze", "Sub", "Sum", "Swish", "Tanh", "TopK", "Transpose", "Unsqueeze", "Upsample",
        "Where", "Xor",
    )
)  # fmt: skip
"""What networks of layers and common detectors are made of.

Missing on purpose: control flow, operators that make tensors of any size out of a few bytes
(ConstantOfShape, Expand, Range, Tile) or as large as their values say, chance, strings."""

_STARTS: Final = (
    (rb"\x80[\x02-\x05]", "a Python pickle, which can run code"),
    (rb"\(?[cdl](?:[a-z_.]+\n|p0\n)|\([dl]p0\n", "a Python pickle, which can run code"),
    (rb".{5}\0{3}\{", "a safetensors file"),
    (rb".{4}TFL3", "a TensorFlow Lite file"),
    (rb".{257}ustar", "a tar archive"),
    (rb".{0,4085}saved_model", "a TensorFlow SavedModel"),
    (rb"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes (.h5)"),
    (rb"GGUF", "a GGUF file"),
    (rb"\x93NUMPY", "a NumPy array"),
    (rb"\x1f\x8b", "a gzip archive"),
    (rb"Rar!", "a RAR archive"),
    (rb"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (rb"version https://git-lfs", "a pointer of Git LFS to the file, not the file (git lfs pull)"),
    (rb"\x89PNG|\xff\xd8\xff", "an image"),
    (rb"%PDF", "a PDF"),
    (rb"\x7fELF|MZ", "a program"),
    (rb"#!", "a script"),
    (rb"<", "a web page or other XML"),
    (rb"\{", "a JSON file"),
)
"""How files of other kinds begin."""

_IN_ZIP: Final = (
    (b"data.pkl", "a PyTorch file, a pickle in a ZIP archive, which can run code"),
    (b"model.weights.h5", "a Keras archive (.keras), which can run code"),
    (b"config.json", "a Keras archive (.keras), which can run code"),
    (b".npy", "an archive of NumPy arrays"),
)
_ZIP_STARTS: Final = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")


def check_onnx_bytes(data: bytes, *, source: str) -> None:
    """Refuse bytes that are not a whole ONNX file, keep tensors elsewhere, or hold loops.

    Raises:
        ModelError: The bytes are malformed or cut short, they differ from those that were sealed,
            there is no graph, a tensor lies in another file or is sparse, or the graph has control
            flow, operators of its own, or another operator that is not allowed.
    """
    try:
        model = Message(memoryview(data))
        _check_seal(data, source)
        graphs = model.all(_MODEL_GRAPH)
        if len(graphs) != 1:
            raise _malformed(data, source, f"{len(graphs)} graphs in {len(data)} bytes")
        fault = "defines operators of its own, which is not allowed. Export the model without them"
        if _MODEL_FUNCTIONS not in model:
            fault = _fault_of(graphs[0])
    except WireError as error:
        raise _malformed(data, source, f"{error}, of {len(data)} bytes") from error
    if fault:
        raise ModelError(f"{source}: {fault}")


def metadata_entries(data: bytes) -> dict[str, str]:
    """Return what a model file that was checked says of itself, without opening it."""
    return {
        pair.text(1).decode(errors="replace"): pair.text(2).decode(errors="replace")
        for pair in Message(memoryview(data)).all(_MODEL_METADATA)
    }


def seal_model(data: bytes) -> bytes:
    """Return the model with a metadata entry added that holds the SHA-256 of all that precedes it.

    A sealed file of which a byte changes is refused by ``check_onnx_bytes``, also where nobody
    knows the file's own digest.
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
    if kind := _kind_of(data):
        return ModelError(
            f"{source}: {kind}, not an ONNX model. Export the network to ONNX with "
            "'facial-expressions export'"
        )
    return ModelError(
        f"{source}: not a whole ONNX model: {why}. Copy the file again, or export the model again"
    )


def _fault_of(graph: Message) -> str:
    """Return what a graph holds and may not, and what to do; an empty text where it is fine."""
    tensors = graph.all(_GRAPH_INITIALIZER)
    is_sparse = _GRAPH_SPARSE_INITIALIZER in graph
    for node in graph.all(_GRAPH_NODE):
        attributes = node.all(_NODE_ATTRIBUTE)
        has_graphs = any(number in one for one in attributes for number in _ATTRIBUTE_GRAPHS)
        domain, op_type = node.text(_NODE_DOMAIN), node.text(_NODE_OP_TYPE)
        is_known = domain in _DOMAINS and op_type.decode(errors="replace") in KNOWN_OPERATORS
        if has_graphs or not is_known:
            what = "control flow" if has_graphs or op_type in _CONTROL_FLOW else "an operator"
            name = b".".join(part for part in (domain, op_type) if part)[:80]
            return (
                f"holds {what} that a network has no use for: the operator "
                f"{name.decode(errors='replace')!r}. Export the model without it"
            )
        for one in attributes:
            tensors += [tensor for number in _ATTRIBUTE_TENSORS for tensor in one.all(number)]
            is_sparse |= any(number in one for number in _ATTRIBUTE_SPARSE_TENSORS)
    if is_sparse:
        return "holds sparse tensors, which are not read. Export the model without them"
    for tensor in tensors:
        if _TENSOR_EXTERNAL_DATA in tensor or any(tensor.numbers(_TENSOR_DATA_LOCATION)):
            return (
                "keeps a tensor in another file, which is not allowed. Save the model as one file"
            )
    return ""


def _kind_of(data: bytes) -> str:
    """Return what a file is, by its first bytes; an empty text when it may be a model."""
    if data.startswith(_ZIP_STARTS):
        return next((kind for name, kind in _IN_ZIP if name in data), "a ZIP archive")
    return next((kind for start, kind in _STARTS if re.match(start, data, re.DOTALL)), "")
