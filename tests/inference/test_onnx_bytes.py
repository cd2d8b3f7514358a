"""An ONNX file's bytes: whole, sealed, self-contained, without loops."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import external_data_helper, helper, numpy_helper

from facial_expressions.errors import ModelError
from facial_expressions.inference.detectors.centerface import centerface_path
from facial_expressions.inference.onnx_bytes import check_onnx_bytes, seal_model
from tests.tiny_model import METADATA, tiny_graph

CONTENT = tiny_graph(matrix=np.ones((48 * 48, 7), np.float32)).SerializeToString()


def check(data: bytes) -> None:
    check_onnx_bytes(data, source="tiny.onnx")


def test_whole_files_pass() -> None:
    check(CONTENT)
    check(seal_model(CONTENT))
    check(centerface_path().read_bytes())


def test_a_seal_is_one_more_metadata_entry_to_others() -> None:
    model = onnx.load_from_string(seal_model(CONTENT))
    entries = {entry.key: entry.value for entry in model.metadata_props}
    assert set(entries) == {*METADATA.to_entries(), "content_sha256"}
    onnx.checker.check_model(model)


def test_one_changed_byte_in_a_sealed_file_is_refused_wherever_it_is() -> None:
    data, random = seal_model(CONTENT), np.random.default_rng(0)
    near_the_end = range(len(data) - 120, len(data))
    for position in (*random.integers(len(data), size=300), *near_the_end):
        changed = bytearray(data)
        changed[position] ^= 1 << random.integers(8)
        with pytest.raises(ModelError):
            check(bytes(changed))


def test_a_file_cut_short_is_refused() -> None:
    data = seal_model(CONTENT)
    for length in (0, 1, 10, 1000, len(data) // 2, len(data) - 100, len(data) - 1):
        with pytest.raises(ModelError):
            check(data[:length])


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    return stream.getvalue()


KINDS = {
    "pickle": (pickle.dumps({"a": 1}), "a Python pickle, which can run code"),
    "pickle 0": (pickle.dumps({"a": 1}, 0), "a Python pickle, which can run code"),
    "pickle 2": (pickle.dumps([1], 2), "a Python pickle, which can run code"),
    "pickled object": (pickle.dumps(Path("a"), 0), "a Python pickle, which can run code"),
    "pytorch": (zipped("archive/data.pkl"), "a PyTorch file"),
    "keras": (zipped("metadata.json", "config.json"), "a Keras archive"),
    "npz": (zipped("weights.npy"), "an archive of NumPy arrays"),
    "zip": (zipped("model.onnx"), "a ZIP archive"),
    "empty zip": (zipped(), "a ZIP archive"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file"),
    "safetensors": (struct.pack("<Q", 20) + b'{"a":{}}            ', "a safetensors file"),
    "tflite": (b"\x1c\0\0\0TFL3" + bytes(50), "a TensorFlow Lite file"),
    "gguf": (b"GGUF\x03" + bytes(20), "a GGUF file"),
    "gzip": (gzip.compress(b"x"), "a gzip archive"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid x", "a pointer of Git LFS"),
    "page": (b"<!DOCTYPE html><html>", "a web page"),
    "image": (b"\x89PNG\r\n\x1a\n", "an image"),
    "json": (b"{}", "a JSON file"),
}


@pytest.mark.parametrize(("data", "kind"), KINDS.values(), ids=KINDS)
def test_a_file_of_another_kind_is_told_what_it_is(data: bytes, kind: str) -> None:
    with pytest.raises(ModelError) as refused:
        check(data)
    assert str(refused.value).startswith(f"tiny.onnx: {kind}")
    assert "not an ONNX model" in str(refused.value)


@pytest.mark.parametrize("data", [b"\xff" * 100, b"\x08\x07", b"text", bytes(8)])
def test_what_is_nothing_known_is_no_whole_model(data: bytes) -> None:
    with pytest.raises(ModelError, match="not a whole ONNX model"):
        check(data)


def test_operators_of_its_own_are_refused() -> None:
    """One that is called as a plain operator would take its place."""
    model = tiny_graph()
    body = helper.make_node("Identity", ["x"], ["y"])
    opset = helper.make_opsetid("", 17)
    own = helper.make_function("ai.onnx", "Softmax", ["x"], ["y"], [body], [opset])
    model.functions.append(own)
    with pytest.raises(ModelError, match="operators of its own"):
        check(model.SerializeToString())


def test_a_file_of_millions_of_fields_is_refused_soon() -> None:
    """In a process of its own: other threads and the tracer of coverage cost time too."""
    program = (
        "import sys, time\n"
        "from facial_expressions.errors import ModelError\n"
        "from facial_expressions.inference.onnx_bytes import check_onnx_bytes\n"
        "start, content = time.process_time(), sys.stdin.buffer.read()\n"
        "try:\n"
        "    check_onnx_bytes(content, source='x.onnx')\n"
        "except ModelError as error:\n"
        "    print(time.process_time() - start, 'fields' in str(error))\n"
    )
    content = CONTENT + b"\x08\x01" * 1_000_000
    done = subprocess.run([sys.executable, "-c", program], input=content, stdout=-1, check=True)
    seconds, says_fields = done.stdout.split()
    assert says_fields == b"True"
    assert float(seconds) < 3


def test_tensors_in_other_files_are_refused(tmp_path: Path) -> None:
    model = tiny_graph()
    external_data_helper.convert_model_to_external_data(
        model, location="../secret", size_threshold=0
    )
    with pytest.raises(ModelError, match="another file"):
        check(model.SerializeToString())


def test_tensors_in_other_files_are_refused_in_attributes_too() -> None:
    hidden = numpy_helper.from_array(np.zeros(4, np.float32), "hidden")
    external_data_helper.set_external_data(hidden, location="/etc/passwd")
    model = tiny_graph()
    model.graph.node.append(helper.make_node("Constant", [], ["unused"], value=hidden))
    with pytest.raises(ModelError, match="another file"):
        check(model.SerializeToString())


def test_sparse_constants_are_refused() -> None:
    values = numpy_helper.from_array(np.ones(1, np.float32), "values")
    places = numpy_helper.from_array(np.zeros(1, np.int64), "places")
    sparse = helper.make_sparse_tensor(values, places, [1_000_000_000])
    model = tiny_graph()
    model.graph.node.append(helper.make_node("Constant", [], ["wide"], sparse_value=sparse))
    with pytest.raises(ModelError, match="sparse"):
        check(model.SerializeToString())


def test_a_graph_inside_a_node_is_refused_whatever_the_operator() -> None:
    model = tiny_graph()
    inner = helper.make_graph([], "inner", [], [])
    model.graph.node.append(helper.make_node("Relu", ["x"], ["y"], body=inner))
    with pytest.raises(ModelError, match=r"control flow.*Relu"):
        check(model.SerializeToString())


@pytest.mark.parametrize("operator", ["Loop", "If", "Scan"])
def test_control_flow_is_refused(operator: str) -> None:
    model = tiny_graph()
    model.graph.node.append(helper.make_node(operator, ["x"], ["y"]))
    with pytest.raises(ModelError, match=f"control flow.*{operator}"):
        check(model.SerializeToString())


@pytest.mark.parametrize("operator", ["Resize", "RoiAlign", "TopK", "ScatterND", "Floor"])
def test_operators_of_common_detectors_pass(operator: str) -> None:
    model = tiny_graph()
    model.graph.node.append(helper.make_node(operator, ["x"], ["y"]))
    check(model.SerializeToString())


@pytest.mark.parametrize("operator", ["ConstantOfShape", "Expand", "Range", "Tile", "RandomNormal"])
def test_operators_that_make_much_of_little_or_by_chance_are_refused(operator: str) -> None:
    model = tiny_graph()
    model.graph.node.append(helper.make_node(operator, ["x"], ["y"]))
    with pytest.raises(ModelError, match=f"has no use for: the operator '{operator}'"):
        check(model.SerializeToString())
