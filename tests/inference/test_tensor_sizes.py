"""Sizes from a graph's bytes: as ONNX Runtime finds them, and refused before it sees them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from facial_expressions.errors import ModelError
from facial_expressions.inference.model_store import ReleasedModel, list_models
from facial_expressions.inference.onnx_bytes import KNOWN_OPERATORS
from facial_expressions.inference.runtime import infer_shapes
from facial_expressions.inference.tensor_sizes import check_tensor_sizes
from tests.growing_models import GROWING, Grow, grown
from tests.tiny_model import mapped_graph, tiny_graph


def check(model: onnx.ModelProto) -> int:
    return check_tensor_sizes(model.SerializeToString(), infer_shapes, source="grown.onnx")


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
    content = model.path.read_bytes()
    assert check_tensor_sizes(content, infer_shapes, source=model.name) == 256


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
    with pytest.raises(ModelError, match=r": (not|cannot be) opened: "):
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
    with pytest.raises(ModelError, match="cannot be opened: the network has errors"):
        check(model)


def test_lengths_that_a_graph_computes_are_followed() -> None:
    """As PyTorch flattens: the first length of a shape, joined with -1."""
    model = tiny_graph()
    places = [
        numpy_helper.from_array(np.array([n], np.int64), name)
        for n, name in ((0, "first"), (-1, "rest"))
    ]
    model.graph.initializer.extend(places)
    model.graph.node.extend(
        [
            helper.make_node("Shape", ["crops"], ["lengths"]),
            helper.make_node("Gather", ["lengths", "first"], ["crop"]),
            helper.make_node("Concat", ["crop", "rest"], ["wanted"], axis=0),
            helper.make_node("Reshape", ["crops", "wanted"], ["long"]),
            helper.make_node("MatMul", ["long", "square"], ["answer"]),
        ]
    )
    square = numpy_helper.from_array(np.ones((48 * 48, 9), np.float32), "square")
    model.graph.initializer.append(square)
    assert check(model) == 256


def test_a_size_that_follows_from_an_image_is_refused() -> None:
    model = tiny_graph()
    model.graph.node.extend(
        [
            helper.make_node("Cast", ["crops"], ["places"], to=TensorProto.INT64),
            helper.make_node("Reshape", ["places", "row"], ["lengths"]),
            helper.make_node("Reshape", ["crops", "lengths"], ["any"]),
        ]
    )
    model.graph.initializer.append(numpy_helper.from_array(np.array([-1], np.int64), "row"))
    with pytest.raises(ModelError, match="the size of 'any' is known only when it runs"):
        check(model)


@pytest.mark.parametrize("claim", [(1, 1), (1, 48)])
def test_what_a_file_claims_of_sizes_does_not_count(claim: tuple[int, int]) -> None:
    model = grown(GROWING["concat"], 26)
    name = model.graph.node[-1].output[0]
    model.graph.value_info.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, claim))
    with pytest.raises(ModelError, match="MB beside the weights"):
        check(model)
