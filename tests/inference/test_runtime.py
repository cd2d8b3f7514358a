"""Sessions: opened from checked bytes, picklable, with clear errors."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from facial_expressions.errors import ModelError
from facial_expressions.inference import runtime
from facial_expressions.inference.classifier import load_classifier
from facial_expressions.inference.detectors import open_detector
from facial_expressions.inference.onnx_bytes import seal_model
from facial_expressions.inference.options import RecognizerOptions
from facial_expressions.inference.runtime import (
    DEVICES,
    TensorSpec,
    choose_providers,
    file_sha256,
    open_session,
)
from tests.tiny_model import METADATA, tiny_graph, weights

CROPS = np.random.default_rng(1).random((3, 48, 48, 1), np.float32)


def test_a_session_runs_the_graph(tiny_model: Path) -> None:
    """The same by NumPy: softmax of a matrix product."""
    session = open_session(tiny_model, threads=1)
    (rows,) = session.run({"crops": CROPS}, outputs=["fer2013_probabilities"])
    exponentials = np.exp(CROPS.reshape(3, -1) @ weights())
    assert np.allclose(rows, exponentials / exponentials.sum(1, keepdims=True), atol=1e-6)


def test_a_session_says_what_the_file_holds(tiny_model: Path) -> None:
    session = open_session(tiny_model)
    assert session.inputs == (TensorSpec("crops", "tensor(float)", (None, 48, 48, 1)),)
    assert session.outputs == (TensorSpec("fer2013_probabilities", "tensor(float)", (None, 7)),)
    assert METADATA.to_entries().items() <= session.metadata.items()
    assert session.providers == ("CPUExecutionProvider",)


def test_a_session_pickles_as_its_path(tiny_model: Path) -> None:
    session = open_session(tiny_model, threads=1)
    pickled = pickle.dumps(session)
    assert len(pickled) < 1000
    (again,) = pickle.loads(pickled).run({"crops": CROPS}, outputs=["fer2013_probabilities"])
    assert np.array_equal(
        again, session.run({"crops": CROPS}, outputs=["fer2013_probabilities"])[0]
    )


def test_the_digest_is_checked_before_anything_is_parsed(tiny_model: Path, tmp_path: Path) -> None:
    digest = hashlib.sha256(tiny_model.read_bytes()).hexdigest()
    assert file_sha256(tiny_model) == digest
    open_session(tiny_model, sha256=digest)
    (tmp_path / "other.onnx").write_bytes(b"not even a model")
    with pytest.raises(ModelError, match=f"not the file that was published.*not {digest}"):
        open_session(tmp_path / "other.onnx", sha256=digest)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="model file not found"):
        open_session(tmp_path / "gone.onnx")


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a model file"):
        open_session(tmp_path)


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").touch()
    with pytest.raises(ModelError, match="0 bytes"):
        open_session(tmp_path / "empty.onnx")


def test_oversized_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "MAX_MODEL_BYTES", 10)
    (tmp_path / "big.onnx").write_bytes(b"x" * 11)
    with pytest.raises(ModelError, match="11 bytes"):
        open_session(tmp_path / "big.onnx")


def test_a_graph_that_makes_no_sense(tmp_path: Path) -> None:
    model = tiny_graph()
    model.graph.node[2].op_type = "MaxPool"
    path = tmp_path / "odd.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(
        ModelError, match=r"cannot be opened: the network has errors, or .*[\d.]+ does not"
    ):
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
            {"crops": np.zeros((1, 7, 7, 1), np.float32)}, outputs=["fer2013_probabilities"]
        )


def test_threads_out_of_range(tiny_model: Path) -> None:
    with pytest.raises(ValueError, match="threads: must be 1 or more, not 0"):
        open_session(tiny_model, threads=0)


EVERYTHING = [provider for provider, _ in DEVICES.values()] + ["CPUExecutionProvider"]


@pytest.mark.parametrize(
    ("device", "offered", "chosen"),
    [
        ("cpu", EVERYTHING, ["CPUExecutionProvider"]),
        ("auto", EVERYTHING, ["CUDAExecutionProvider", "CPUExecutionProvider"]),
        ("auto", EVERYTHING[3:], ["OpenVINOExecutionProvider", "CPUExecutionProvider"]),
        ("auto", ["AzureExecutionProvider", "CPUExecutionProvider"], ["CPUExecutionProvider"]),
        ("cuda", EVERYTHING, ["CUDAExecutionProvider", "CPUExecutionProvider"]),
        ("directml", EVERYTHING, ["DmlExecutionProvider", "CPUExecutionProvider"]),
        ("coreml", EVERYTHING, ["CoreMLExecutionProvider", "CPUExecutionProvider"]),
        ("openvino", EVERYTHING, ["OpenVINOExecutionProvider", "CPUExecutionProvider"]),
    ],
)
def test_a_device_chooses_the_providers(device: str, offered: list[str], chosen: list[str]) -> None:
    assert list(choose_providers(device, offered)) == chosen


@pytest.mark.parametrize(
    ("device", "package"),
    [
        ("cuda", "onnxruntime-gpu"),
        ("directml", "onnxruntime-directml"),
        ("coreml", "onnxruntime on macOS"),
        ("openvino", "onnxruntime-openvino"),
    ],
)
def test_a_device_that_is_not_there_names_the_package_that_brings_it(
    device: str, package: str
) -> None:
    with pytest.raises(ModelError) as caught:
        choose_providers(device, ["CPUExecutionProvider"])
    assert str(caught.value).startswith(f"{device}: device not available: ")
    assert f"Install {package}" in str(caught.value)
    assert str(caught.value).endswith("or use --device cpu")


def test_an_unknown_device_names_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"openvina: no such device. Did you mean 'openvino'"):
        choose_providers("openvina", EVERYTHING)


def test_the_help_names_every_device() -> None:
    (device,) = [one for one in fields(RecognizerOptions) if one.name == "device"]
    assert all(name in device.metadata["help"] for name in ("cpu", "auto", *DEVICES))


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_a_session_on_the_devices_of_this_machine_runs(tiny_model: Path, device: str) -> None:
    session = open_session(tiny_model, threads=1, device=device)
    assert session.providers[-1] == "CPUExecutionProvider"
    for one in (session, pickle.loads(pickle.dumps(session))):
        (rows,) = one.run({"crops": CROPS}, outputs=["fer2013_probabilities"])
        assert np.allclose(rows.sum(1), 1, atol=1e-3)


class FakeRuntime:
    """An ONNX Runtime that offers CUDA; whether it starts and runs there is told beforehand."""

    __version__ = "1.99"

    def __init__(self, *, starts: bool = True) -> None:
        self.starts = starts
        self.SessionOptions = onnxruntime.SessionOptions
        self.GraphOptimizationLevel = onnxruntime.GraphOptimizationLevel

    def get_available_providers(self) -> list[str]:
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def InferenceSession(
        self, data: bytes, options: object, *, providers: list[str], enable_fallback: bool
    ) -> Any:  # noqa: ANN401 - ONNX Runtime has no types
        assert not enable_fallback
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        if self.starts:
            session.get_providers = lambda: providers
        session.run = self._fail
        return session

    def _fail(self, *_: object) -> None:
        raise RuntimeError("CUDA failure 999: unknown error ; GPU=0\n  at line 7")


def test_a_device_that_fails_on_its_first_run_says_so(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The classifier runs once when it is opened, and so does the detector."""
    monkeypatch.setattr(runtime, "_runtime", FakeRuntime)
    said = "fails on CUDAExecutionProvider: CUDA failure 999.*Use --device cpu$"
    with pytest.raises(ModelError, match=rf"^tiny\.onnx: {said}"):
        load_classifier(tiny_model, device="cuda")
    with pytest.raises(ModelError, match=rf"^centerface\.onnx: {said}"):
        open_detector(RecognizerOptions(device="cuda"))


def test_a_device_that_does_not_start_is_an_error_and_never_left_out_in_silence(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(runtime, "_runtime", lambda: FakeRuntime(starts=False))
    with pytest.raises(ModelError, match=r"^device cuda: ONNX Runtime has .* or use --device cpu$"):
        open_session(tiny_model, device="cuda")
    assert open_session(tiny_model, device="auto").providers == ("CPUExecutionProvider",)
    assert "device auto: ONNX Runtime has" in caplog.text
    assert "Running on the CPU" in caplog.text


def test_names_of_a_graph_do_not_reach_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """ONNX Runtime writes lines of its own past Python, and names the node that failed."""
    helper = pytest.importorskip("onnx").helper
    numbers = pytest.importorskip("onnx").numpy_helper.from_array(np.array([-1, 5]), "shape")
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["x", "shape"], ["y"], name="evil\x1b[31m\x07")],
        "graph",
        [helper.make_tensor_value_info("x", 1, ["N", 4])],
        [helper.make_tensor_value_info("y", 1, [None, 5])],
        [numbers],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "model.onnx"
    path.write_bytes(seal_model(model.SerializeToString()))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()  # so that shapes are not looked at
    session = open_session(path, threads=1, sha256=digest)
    with pytest.raises(ModelError, match="cannot be run"):
        session.run({"x": np.zeros((2, 4), np.float32)}, outputs=["y"])
    assert capfd.readouterr().err == ""
