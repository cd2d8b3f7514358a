"""An ONNX file's bytes: whole, sealed, self-contained, without loops."""

from __future__ import annotations

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


@pytest.mark.parametrize(
    "data",
    [b"\x80\x04\x95pickle", b"PK\x03\x04 a zip", b"\x89HDF\r\n\x1a\n", b"{}", b"\xff" * 100],
    ids=["pickle", "keras", "h5", "json", "ones"],
)
def test_other_kinds_of_file_are_refused(data: bytes) -> None:
    with pytest.raises(ModelError, match="is not a whole ONNX model"):
        check(data)


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


@pytest.mark.parametrize("operator", ["Loop", "If", "Scan"])
def test_control_flow_is_refused(operator: str) -> None:
    model = tiny_graph()
    model.graph.node.append(helper.make_node(operator, ["x"], ["y"]))
    with pytest.raises(ModelError, match=f"control flow.*{operator}"):
        check(model.SerializeToString())


@pytest.mark.parametrize("operator", ["Resize", "NonMaxSuppression", "TopK", "ScatterND", "Floor"])
def test_operators_of_common_detectors_pass(operator: str) -> None:
    model = tiny_graph()
    model.graph.node.append(helper.make_node(operator, ["x"], ["y"]))
    check(model.SerializeToString())


@pytest.mark.parametrize("operator", ["ConstantOfShape", "Expand", "Range", "Tile", "RandomNormal"])
def test_operators_that_make_much_of_little_or_by_chance_are_refused(operator: str) -> None:
    model = tiny_graph()
    model.graph.node.append(helper.make_node(operator, ["x"], ["y"]))
    with pytest.raises(ModelError, match=f"has no use for; received the operator '{operator}'"):
        check(model.SerializeToString())
