"""Sessions: opened from checked bytes, picklable, with clear errors."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest

from facial_expressions.errors import ModelError
from facial_expressions.inference import runtime
from facial_expressions.inference.runtime import TensorSpec, file_sha256, open_session
from tests.tiny_model import METADATA, tiny_graph, weights

CROPS = np.random.default_rng(1).random((3, 48, 48, 1), np.float32)


def test_a_session_runs_the_graph(tiny_model: Path) -> None:
    """The same by NumPy: softmax of a matrix product."""
    session = open_session(tiny_model, threads=1)
    (rows,) = session.run({"crops": CROPS}, outputs=["probabilities"])
    exponentials = np.exp(CROPS.reshape(3, -1) @ weights())
    assert np.allclose(rows, exponentials / exponentials.sum(1, keepdims=True), atol=1e-6)


def test_a_session_says_what_the_file_holds(tiny_model: Path) -> None:
    session = open_session(tiny_model)
    assert session.inputs == (TensorSpec("crops", "tensor(float)", (None, 48, 48, 1)),)
    assert session.outputs == (TensorSpec("probabilities", "tensor(float)", (None, 7)),)
    assert METADATA.to_entries().items() <= session.metadata.items()
    assert session.providers == ("CPUExecutionProvider",)


def test_a_session_pickles_as_its_path(tiny_model: Path) -> None:
    session = open_session(tiny_model, threads=1)
    pickled = pickle.dumps(session)
    assert len(pickled) < 1000
    (again,) = pickle.loads(pickled).run({"crops": CROPS}, outputs=["probabilities"])
    assert np.array_equal(again, session.run({"crops": CROPS}, outputs=["probabilities"])[0])


def test_the_digest_is_checked_before_anything_is_parsed(tiny_model: Path, tmp_path: Path) -> None:
    digest = hashlib.sha256(tiny_model.read_bytes()).hexdigest()
    assert file_sha256(tiny_model) == digest
    open_session(tiny_model, sha256=digest)
    (tmp_path / "other.onnx").write_bytes(b"not even a model")
    with pytest.raises(ModelError, match=f"not the file that was published.*expected {digest}"):
        open_session(tmp_path / "other.onnx", sha256=digest)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model file"):
        open_session(tmp_path / "gone.onnx")


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="a model is a file"):
        open_session(tmp_path)


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").touch()
    with pytest.raises(ModelError, match="received 0 bytes"):
        open_session(tmp_path / "empty.onnx")


def test_oversized_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "MAX_MODEL_BYTES", 10)
    (tmp_path / "big.onnx").write_bytes(b"x" * 11)
    with pytest.raises(ModelError, match="received 11 bytes"):
        open_session(tmp_path / "big.onnx")


def test_a_graph_that_makes_no_sense(tmp_path: Path) -> None:
    model = tiny_graph()
    model.graph.node[1].input[1] = "no such tensor"
    path = tmp_path / "odd.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="cannot be opened by ONNX Runtime"):
        open_session(path)


def test_an_opset_of_the_future(tmp_path: Path) -> None:
    model = tiny_graph()
    model.opset_import[0].version = 9999
    path = tmp_path / "future.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="update onnxruntime"):
        open_session(path)


def test_a_run_with_another_shape(tiny_model: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot be run.*\(1, 7, 7, 1\)"):
        open_session(tiny_model).run(
            {"crops": np.zeros((1, 7, 7, 1), np.float32)}, outputs=["probabilities"]
        )


def test_unknown_provider(tiny_model: Path) -> None:
    with pytest.raises(ModelError, match=r"choose from.*CPUExecutionProvider"):
        open_session(tiny_model, providers=["AbacusExecutionProvider"])


def test_threads_out_of_range(tiny_model: Path) -> None:
    with pytest.raises(ValueError, match="received 0"):
        open_session(tiny_model, threads=0)
