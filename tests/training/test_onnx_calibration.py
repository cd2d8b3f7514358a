"""The map of confidences inside a model file against the same map in NumPy."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import scipy.special
from onnx import TensorProto, helper

from facial_expressions.calibration import LEAD, TopLabelMap
from facial_expressions.errors import ExportError
from facial_expressions.inference.onnx_bytes import check_onnx_bytes
from facial_expressions.training.model_files import set_top_label_map

MAP = TopLabelMap((0.6, 1.0, 1.4), (-0.2, 0.0, 0.3))


def softmax_graph(kind: str = "Softmax") -> onnx.ModelProto:
    """A graph that is one softmax."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node(kind, ["logits"], ["answer"])],
        "tiny",
        [value("logits", TensorProto.FLOAT, ["N", 3])],
        [value("answer", TensorProto.FLOAT, ["N", 3])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(model: onnx.ModelProto, logits: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return np.asarray(session.run(None, {"logits": logits.astype(np.float32)})[0])


def test_the_file_maps_as_numpy_does() -> None:
    logits = np.random.default_rng(1).normal(0, 3, (500, 3)).astype(np.float32)
    model = softmax_graph()
    set_top_label_map(model, "answer", MAP)
    expected = scipy.special.softmax(MAP.apply(logits), axis=1)
    np.testing.assert_allclose(run(model, logits), expected, atol=2e-6)


def test_very_sure_answers_stay_finite() -> None:
    model = softmax_graph()
    set_top_label_map(model, "answer", MAP)
    logits = np.array([[90.0, 0.0, -90.0], [-80.0, -80.0, 80.0], [3e4, 0.0, 0.0]])
    answers = run(model, logits)
    np.testing.assert_allclose(answers, scipy.special.softmax(MAP.apply(logits), axis=1), atol=1e-6)
    assert (answers.max(axis=1) > 0.999).all()


def test_the_answer_keeps_its_lead() -> None:
    model = softmax_graph()
    set_top_label_map(model, "answer", TopLabelMap((1.0,) * 3, (-9.0,) * 3))
    (row,) = run(model, np.array([[0.5, 0.0, -1.0]]))
    assert np.log(row[0] / row[1]) == pytest.approx(LEAD, abs=1e-5)


def test_numbers_that_are_none_stay_so() -> None:
    """The classifier refuses an answer that is not finite; the map must not hide it."""
    model = softmax_graph()
    set_top_label_map(model, "answer", MAP)
    assert np.isnan(run(model, np.array([[np.nan, 1.0, 2.0]]))).any()


def test_a_second_map_takes_the_place_of_the_first_and_none_takes_it_out() -> None:
    plain = softmax_graph()
    model = softmax_graph()
    set_top_label_map(model, "answer", MAP)
    set_top_label_map(model, "answer", TopLabelMap((2.0,) * 3, (0.0,) * 3))
    logits = np.array([[1.0, 0.0, -9.0]])
    expected = scipy.special.softmax(TopLabelMap((2.0,) * 3, (0.0,) * 3).apply(logits), axis=1)
    np.testing.assert_allclose(run(model, logits), expected, atol=1e-6)
    set_top_label_map(model, "answer", None)
    assert len(model.graph.node) == 1
    assert not model.graph.initializer
    np.testing.assert_array_equal(run(model, logits), run(plain, logits))


def test_a_constant_that_another_head_shares_stays_with_that_head() -> None:
    """Optimizers keep equal constants once; then one head's map is changed, and taken out."""
    model = softmax_graph()
    model.graph.node.append(helper.make_node("Softmax", ["logits"], ["other"]))
    model.graph.output.insert(0, onnx.ValueInfoProto())
    model.graph.output[0].CopyFrom(model.graph.output[1])
    model.graph.output[0].name = "other"
    set_top_label_map(model, "answer", MAP)
    set_top_label_map(model, "other", MAP)
    for node in model.graph.node:
        for k, name in enumerate(node.input):
            if name == "other/confidence/minus_slopes":
                node.input[k] = "answer/confidence/minus_slopes"
    logits = np.random.default_rng(1).normal(0, 3, (20, 3))
    before = run(model, logits)
    set_top_label_map(model, "answer", TopLabelMap((0.2,) * 3, (0.1,) * 3))
    np.testing.assert_array_equal(run(model, logits), before)
    set_top_label_map(model, "answer", None)
    np.testing.assert_array_equal(run(model, logits), before)


def test_the_operators_are_among_those_that_a_model_file_may_have() -> None:
    model = softmax_graph()
    set_top_label_map(model, "answer", MAP)
    check_onnx_bytes(model.SerializeToString(), source="made here")


@pytest.mark.parametrize(
    ("kind", "output", "received"), [("Softmax", "other", "nothing"), ("Relu", "answer", "Relu")]
)
def test_a_head_without_softmax_is_refused(kind: str, output: str, received: str) -> None:
    with pytest.raises(ExportError, match=f"does not come from a softmax.* but from {received}"):
        set_top_label_map(softmax_graph(kind), output, MAP)
