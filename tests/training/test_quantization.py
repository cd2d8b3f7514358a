"""Int8 model files: what quantization keeps, what it refuses."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from facial_expressions.cli.main import main
from facial_expressions.data.dataset import Dataset
from facial_expressions.errors import ExportError
from facial_expressions.inference.classifier import ExpressionClassifier, load_classifier
from facial_expressions.inference.onnx_bytes import seal_model
from facial_expressions.labels import FER2013
from facial_expressions.training import quantization
from facial_expressions.training.quantization import (
    Verdict,
    merge_pools,
    quantize,
    quantize_file,
)
from tests.builders import draw_face, jpeg, write_folder
from tests.tiny_model import METADATA, tiny_graph, write_mapped_model


@pytest.fixture
def original(tmp_path: Path) -> ExpressionClassifier:
    """A network with one convolution: softmax of the mean map of each of seven filters."""
    kernels = np.random.default_rng(1).normal(size=(7, 1, 5, 5)).astype(np.float32)
    nodes = [
        helper.make_node("Transpose", ["crops"], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["first", "kernels"], ["map"]),
        helper.make_node("Relu", ["map"], ["lit"]),
        helper.make_node("GlobalAveragePool", ["lit"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["fer2013_probabilities"], axis=1),
    ]
    crops = helper.make_tensor_value_info("crops", TensorProto.FLOAT, ["N", 48, 48, 1])
    rows = helper.make_tensor_value_info("fer2013_probabilities", TensorProto.FLOAT, ["N", 7])
    tensors = [numpy_helper.from_array(kernels, "kernels")]
    graph = helper.make_graph(nodes, "one-convolution", [crops], [rows], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, METADATA.to_entries())
    path = tmp_path / "one.onnx"
    path.write_bytes(seal_model(model.SerializeToString()))
    return load_classifier(path)


@pytest.fixture(autouse=True)
def _every_convolution_in_8_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The networks of these tests have one."""
    monkeypatch.setattr(quantization, "KEPT_CONVOLUTIONS", 0)


@pytest.fixture
def crops() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (40, 48, 48), np.uint8)


def test_an_int8_file_says_the_same_of_itself_and_nearly_the_same_of_faces(
    original: ExpressionClassifier, crops: NDArray[np.uint8], tmp_path: Path
) -> None:
    path = tmp_path / "int8.onnx"
    path.write_bytes(quantize(original, crops, tmp_path))
    int8 = load_classifier(path)
    assert int8.metadata == replace(original.metadata, name="tiny-int8")
    answers, expected = int8.predict_proba(crops), original.predict_proba(crops)
    assert answers == pytest.approx(expected, abs=0.05)
    assert (answers != expected).any()


def test_its_convolutions_have_seven_bit_weights(
    original: ExpressionClassifier, crops: NDArray[np.uint8], tmp_path: Path
) -> None:
    graph = onnx.load_from_string(quantize(original, crops, tmp_path)).graph
    kernels = [numpy_helper.to_array(one) for one in graph.initializer if len(one.dims) == 4]
    assert [one.dtype for one in kernels] == [np.int8]
    assert 60 < np.abs(kernels[0].astype(int)).max() <= 64


def test_one_odd_image_does_not_coarsen_the_ranges_of_all(
    original: ExpressionClassifier, crops: NDArray[np.uint8], tmp_path: Path
) -> None:
    """Nearly grey images; one of full contrast sets the range of its own batch only."""
    grey = np.tile(crops // 16 + 120, (13, 1, 1))
    odd = np.concatenate([grey, crops[:1]])
    steps = [_step_of_activations(quantize(original, images, tmp_path)) for images in (grey, odd)]
    assert steps[0] < steps[1] < 2 * steps[0]
    assert _step_of_activations(quantize(original, crops, tmp_path)) > 8 * steps[0]


def _step_of_activations(content: bytes) -> float:
    """Return the largest step between two values of 8 bits without sign."""
    graph = onnx.load_from_string(content).graph
    tensors = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    return max(
        float(tensors[node.input[1]])
        for node in graph.node
        if node.op_type == "QuantizeLinear" and tensors[node.input[2]].dtype == np.uint8
    )


def test_the_first_convolutions_stay_as_they_are(
    original: ExpressionClassifier,
    crops: NDArray[np.uint8],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "kept.onnx"
    monkeypatch.setattr(quantization, "KEPT_CONVOLUTIONS", 1)
    path.write_bytes(quantize(original, crops, tmp_path))
    kept = load_classifier(path)
    np.testing.assert_allclose(kept.predict_proba(crops), original.predict_proba(crops), atol=1e-6)


def test_a_network_without_maps_has_its_matrix_products_in_8_bits(
    crops: NDArray[np.uint8], tmp_path: Path
) -> None:
    """The tiny network ends in one matrix product and a softmax; a second product comes before."""
    graph = tiny_graph()
    (product,) = [node for node in graph.graph.node if node.op_type == "MatMul"]
    turn = np.eye(48 * 48, dtype=np.float32)
    graph.graph.initializer.append(numpy_helper.from_array(turn, "turn"))
    before = helper.make_node("MatMul", [product.input[0], "turn"], ["turned"])
    product.input[0] = "turned"
    graph.graph.node.insert(1, before)
    path = tmp_path / "two.onnx"
    path.write_bytes(seal_model(graph.SerializeToString()))
    original = load_classifier(path)
    made = onnx.load_from_string(quantize(original, crops, tmp_path))
    whole = {one.name for one in made.graph.initializer if one.data_type == TensorProto.INT8}
    assert any(name.startswith("turn") for name in whole)


@pytest.mark.parametrize(
    ("stride", "kernel", "ceil", "expected"),
    [(2, 1, 0, ["Conv"]), (1, 1, 0, ["AveragePool", "Conv"]), (2, 3, 0, ["AveragePool", "Conv"]),
     (2, 1, 1, ["AveragePool", "Conv"])],
)  # fmt: skip
def test_a_pool_becomes_part_of_the_convolution_of_one_pixel_after_it(
    stride: int, kernel: int, ceil: int, expected: list[str]
) -> None:
    """The mean over 2x2, then three channels of two; others stay two nodes."""
    rng = np.random.default_rng(3)
    weights = rng.normal(size=(3, 2, kernel, kernel)).astype(np.float32)
    nodes = [
        helper.make_node(
            "AveragePool",
            ["x"],
            ["pooled"],
            kernel_shape=[2, 2],
            strides=[stride, stride],
            ceil_mode=ceil,
        ),
        helper.make_node("Conv", ["pooled", "weights"], ["y"], kernel_shape=[kernel, kernel]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 8, 8])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(
        nodes, "pool", [x], [y], [numpy_helper.from_array(weights, "weights")]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    values = rng.normal(size=(1, 2, 8, 8)).astype(np.float32)
    before = _run(model, values)
    merged = merge_pools(model)
    assert [node.op_type for node in merged.graph.node] == expected
    np.testing.assert_allclose(_run(merged, values), before, atol=1e-6)


def _run(model: onnx.ModelProto, values: NDArray[np.float32]) -> NDArray[np.float32]:
    (y,) = ReferenceEvaluator(model).run(None, {"x": values})
    return np.asarray(y, np.float32)


def test_maps_are_computed_as_before(crops: NDArray[np.uint8], tmp_path: Path) -> None:
    original = load_classifier(write_mapped_model(tmp_path / "mapped.onnx"))
    path = tmp_path / "int8.onnx"
    path.write_bytes(quantize(original, crops, tmp_path))
    int8 = load_classifier(path)
    assert int8.explain(crops) == pytest.approx(original.explain(crops), abs=1e-5)


def test_a_file_that_is_worth_it_is_written_with_its_own_accuracy(
    original: ExpressionClassifier,
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(quantization, "_times_as_fast", lambda *_: 1.5)
    path = tmp_path / "new" / "int8.onnx"
    verdict = quantize_file(original.path, path, dataset)
    int8 = load_classifier(path)
    answers = int8.predict_proba(dataset.validation.images).argmax(axis=1)
    accuracy = float((answers == dataset.validation.labels).mean())
    assert verdict.int8_accuracy == accuracy
    assert int8.head.figures["validation_accuracy"] == accuracy
    assert int8.metadata.name == "tiny-int8"


def test_a_file_that_is_slower_is_not_written(
    original: ExpressionClassifier,
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(quantization, "_times_as_fast", lambda *_: 0.9)
    with pytest.raises(ExportError, match=r"not written.*speed times 0\.90 on 1 crops"):
        quantize_file(original.path, tmp_path / "int8.onnx", dataset)
    assert not (tmp_path / "int8.onnx").exists()


def test_the_verb_makes_an_int8_file_of_a_model_file(
    original: ExpressionClassifier,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(quantization, "_times_as_fast", lambda *_: 1.5)
    faces = {f"{name}/1.jpg": jpeg(draw_face(name, 1)) for name in FER2013}
    halves = {f"{part}/{name}": face for part in ("train", "val") for name, face in faces.items()}
    data, out = write_folder(tmp_path / "faces", halves), tmp_path / "int8.onnx"
    words = ["export", str(original.path), "--int8", "--out", str(out)]
    assert main(words) == 2
    assert "--int8 and --people need --data" in " ".join(capsys.readouterr().err.split())
    only_tests = str(write_folder(tmp_path / "tests", faces))
    assert main([*words, "--data", only_tests]) == 1
    assert "0 train and 0 validation images" in capsys.readouterr().err
    assert main([*words, "--data", str(data)]) == 0
    assert "speed times 1.50 on 1 crops and 1.50 on 256 crops" in capsys.readouterr().out
    assert load_classifier(out).metadata.name == "tiny-int8"


def test_speed_is_that_of_the_first_over_that_of_the_second() -> None:
    """One that waits a millisecond, one that waits five."""

    class Slow:
        def __init__(self, seconds: float) -> None:
            self.predict_proba = lambda _: time.sleep(seconds)

    images = np.zeros((100, 48, 48), np.uint8)
    ratio = quantization._times_as_fast(Slow(0.001), Slow(0.005), images)  # type: ignore[arg-type]
    assert 2 < ratio < 6


@pytest.mark.parametrize(
    ("int8_accuracy", "one", "many", "expected"),
    [(0.66, 1.8, 1.5, True), (0.658, 1.8, 1.5, True), (0.656, 1.8, 1.5, False),
     (0.66, 0.9, 1.5, False), (0.66, 1.8, 1.0, False)],
)  # fmt: skip
def test_a_file_is_worth_it_when_it_loses_little_and_is_faster_on_one_and_many(
    int8_accuracy: float, one: float, many: float, expected: bool
) -> None:
    verdict = Verdict(0.66, int8_accuracy, 0.98, 0.001, {1: one, 256: many})
    assert verdict.is_worth_it is expected
