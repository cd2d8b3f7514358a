"""Sizes from a graph's bytes: as ONNX Runtime finds them, and refused before it sees them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from facial_expressions.errors import ModelError
from facial_expressions.inference.model_store import ReleasedModel, list_models
from facial_expressions.inference.operator_shapes import KNOWN_OPERATORS, Node, Tensor, run
from facial_expressions.inference.tensor_sizes import check_tensor_sizes
from tests.growing_models import GROWING, Grow, grown
from tests.tiny_model import mapped_graph, tiny_graph


def check(model: onnx.ModelProto) -> int:
    return check_tensor_sizes(model.SerializeToString(), source="grown.onnx")


def test_no_operator_is_let_in_whose_result_may_have_any_size() -> None:
    open_ended = {
        "ConstantOfShape",
        "Expand",
        "If",
        "Loop",
        "RandomNormal",
        "Range",
        "Scan",
        "Tile",
    }
    assert not open_ended & KNOWN_OPERATORS


@pytest.mark.parametrize("model", list_models(), ids=lambda model: str(model.name))
def test_the_shipped_models_pass(model: ReleasedModel) -> None:
    assert check_tensor_sizes(model.path.read_bytes(), source=model.name) == 256


def test_tiny_models_pass() -> None:
    assert check(tiny_graph()) == 256
    assert check(mapped_graph()) == 256


@pytest.mark.parametrize(
    ("way", "steps", "most"),
    [
        ("concat", 12, 16),  # a crop doubled 12 times and its half: 57 MB, 17 times in a gigabyte
        ("concat", 10, 64),  # 14 MB, 70 times
        ("concat", 8, 256),
        ("outer sum", 1, 4),  # 21 MB for one crop, the square of their number for several
    ],
)
def test_a_run_takes_as_many_crops_as_need_a_gigabyte(way: str, steps: int, most: int) -> None:
    assert check(grown(GROWING[way], steps, start="crops")) == most


@pytest.mark.parametrize("start", ["seed", "crops"])
@pytest.mark.parametrize("grow", GROWING.values(), ids=GROWING)
def test_a_model_that_grows_is_refused_from_its_bytes(grow: Grow, start: str) -> None:
    if grow is GROWING["many at one time"] and start == "crops":
        pytest.skip("it grows from a small constant")
    model = grown(grow, 30, start=start)
    with pytest.raises(ModelError, match=": not opened: "):
        check(model)
    assert len(model.SerializeToString()) < 100_000


@pytest.mark.parametrize("steps", [0, 2])
def test_a_model_that_grows_a_little_passes(steps: int) -> None:
    check(grown(GROWING["concat"], steps))


def test_the_message_says_how_much_is_allowed() -> None:
    with pytest.raises(ModelError) as refused:
        check(grown(GROWING["concat"], 26))
    assert "MB beside the weights, allowed are 64" in str(refused.value)


def test_a_tensor_written_in_two_parts_is_read_as_one() -> None:
    """Protocol buffers join what is given twice: lengths of 3,000 and 3,000 are nine millions."""
    model = tiny_graph()
    model.graph.node.append(
        helper.make_node(
            "Constant", [], ["twice"], value=numpy_helper.from_array(np.zeros(3, np.float32))
        )
    )
    (attribute,) = model.graph.node[-1].attribute
    whole = attribute.SerializeToString()
    more = whole + b"\x2a\x03\x08\xb8\x17"  # its tensor again, with the length 3,000
    model.graph.node[-1].attribute[0].ParseFromString(more)
    assert list(model.graph.node[-1].attribute[0].t.dims) == [3, 3_000]
    with pytest.raises(ModelError, match="claims 9,000 values"):
        check(model)


def test_work_without_end_is_refused_though_it_needs_little_memory() -> None:
    model = tiny_graph()
    matrix = numpy_helper.from_array(np.ones((2_000, 2_000), np.float16), "square")
    model.graph.initializer.append(matrix)
    names = ["square", *(f"p{i}" for i in range(50))]
    for old, new in pairwise(names):
        model.graph.node.append(helper.make_node("MatMul", [old, "square"], [new]))
    with pytest.raises(ModelError, match=r"multiplications|MB"):
        check(model)


def test_a_tensor_that_is_nowhere_is_refused() -> None:
    model = tiny_graph()
    model.graph.node.append(helper.make_node("Relu", ["nowhere"], ["unused"]))
    with pytest.raises(ModelError, match="no tensor 'nowhere'"):
        check(model)


X: Final = np.arange(2 * 4 * 6 * 5, dtype=np.float32).reshape(2, 4, 6, 5) / 100
KERNEL: Final = np.ones((3, 4, 3, 3), np.float32)


def floats(*shape: int) -> NDArray[Any]:
    return np.zeros(shape, np.float32)


def ints(*values: int) -> NDArray[Any]:
    return np.array(values, np.int64)


CASES: Final[dict[str, tuple[list[NDArray[Any]], dict[str, Any]]]] = {
    "Relu": ([X], {}),
    "Add": ([X, floats(6, 1)], {}),
    "Where": ([np.ones((5,), bool), X, floats(3, 1, 1, 1, 1)], {}),
    "ReduceMean": ([X], {"axes": [1, -1], "keepdims": 0}),
    "ReduceSum": ([X, ints(2)], {}),
    "ArgMax": ([X], {"axis": -1}),
    "MatMul": ([X, floats(4, 5, 7)], {}),
    "Gemm": ([floats(4, 2), floats(3, 4)], {"transA": 1, "transB": 1}),
    "Conv": ([X, KERNEL], {"strides": [2, 1], "pads": [1, 0, 2, 3]}),
    "Conv-same": ([X, KERNEL], {"auto_pad": "SAME_UPPER", "strides": [4, 2]}),
    "Conv-dilated": ([X, KERNEL], {"dilations": [2, 1]}),
    "ConvTranspose": (
        [X, floats(4, 2, 3, 3)],
        {"strides": [2, 3], "group": 2, "pads": [0, 1, 1, 0], "output_padding": [1, 0]},
    ),
    "MaxPool": ([X], {"kernel_shape": [2, 3], "strides": [2, 2], "ceil_mode": 1}),
    "AveragePool": ([X], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
    "GlobalAveragePool": ([X], {}),
    "Concat": ([X, X[:, :1]], {"axis": 1}),
    "Flatten": ([X], {"axis": 2}),
    "Reshape": ([X, ints(0, -1, 10)], {}),
    "Transpose": ([X], {"perm": [0, 2, 3, 1]}),
    "Squeeze": ([X[:, :1], ints(1)], {}),
    "Unsqueeze": ([X, ints(0, -1)], {}),
    "Slice": ([X, ints(1, -1), ints(9, -5), ints(1, 2), ints(2, -2)], {}),
    "Gather": ([X, np.array([[0, 1, 1]], np.int64)], {"axis": 2}),
    "GatherElements": ([X, np.zeros((2, 1, 1, 9), np.int64)], {"axis": 3}),
    "Pad": ([X, ints(0, 1, 0, 2, 0, 0, 3, 0)], {}),
    "Resize": ([X, floats(0), np.array([1, 1, 1.7, 2], np.float32)], {}),
    "Resize-sizes": ([X, floats(0), floats(0), ints(2, 4, 9, 1)], {}),
    "DepthToSpace": ([X], {"blocksize": 2}),
    "SpaceToDepth": ([X[..., :4]], {"blocksize": 2}),
    "TopK": ([X, ints(3)], {"axis": 2}),
    "Split": ([X, ints(1, 3)], {"axis": 1}),
    "Split-equal": ([X], {"axis": 2, "num_outputs": 4}),
    "Shape": ([X], {}),
    "Softmax": ([X], {}),
}
INTEGERS: Final = dict.fromkeys(
    [("ArgMax", "y0"), ("Shape", "y0"), ("TopK", "y1")], TensorProto.INT64
)
TWO: Final = {"TopK": 2, "Split": 2, "Split-equal": 4}


@pytest.mark.parametrize("name", CASES)
def test_shapes_are_those_of_the_runtime(name: str) -> None:
    arrays, attributes = CASES[name]
    op_type, outputs = name.partition("-")[0], [f"y{i}" for i in range(TWO.get(name, 1))]
    names = [f"x{i}" for i in range(len(arrays))]
    node = helper.make_node(op_type, names, outputs, **attributes)
    tensors = [numpy_helper.from_array(a, n) for a, n in zip(arrays, names, strict=True)]
    infos = [
        helper.make_tensor_value_info(one, INTEGERS.get((name, one), TensorProto.FLOAT), None)
        for one in outputs
    ]
    opset = 18 if op_type != "ReduceMean" else 17
    model = helper.make_model(
        helper.make_graph([node], "one", [], infos, tensors),
        opset_imports=[helper.make_opsetid("", opset)], ir_version=9,
    )  # fmt: skip
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    expected = [answer.shape for answer in session.run(None, {})]
    inputs = [
        Tensor(a.shape, tuple(a.tolist()) if a.ndim == 1 else None, is_constant=True)
        for a in arrays
    ]
    ints = {
        n: tuple(np.atleast_1d(v).tolist()) for n, v in attributes.items() if not isinstance(v, str)
    }
    texts = {n: v.encode() for n, v in attributes.items() if isinstance(v, str)}
    made, _ = run(Node(op_type, inputs, len(outputs), ints, {}, texts))
    assert [one.shape for one in made] == expected


def test_lengths_that_a_graph_computes_are_followed() -> None:
    """As PyTorch flattens: the first length of a shape, joined with -1."""
    whole = Tensor((2, 3, 4))
    (shape,), _ = run(Node("Shape", [whole]))
    (first,), _ = run(Node("Gather", [shape, Tensor((1,), (0,))]))
    (wanted,), _ = run(Node("Concat", [first, Tensor((1,), (-1,))], ints={"axis": (0,)}))
    (flat,), _ = run(Node("Reshape", [whole, wanted]))
    assert flat.shape == (2, 12)
