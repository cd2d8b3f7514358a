"""What benchmarks make of their measurements, worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from benchmarks.detection import cut_head, overlap, paste
from benchmarks.footprint import base_install, needed
from benchmarks.images import face_crops, photo, write_photos
from benchmarks.peak import count_operations
from benchmarks.record import astronaut, compare
from benchmarks.same_labels import compare as compare_answers
from benchmarks.scale import batch, crowd
from facial_expressions.inference.recognizer import load_recognizer
from facial_expressions.results import Box


def side(*rounds: list[float]) -> Callable[[], list[float]]:
    waiting = iter(rounds)
    return lambda: next(waiting)


def test_a_ratio_is_that_of_the_medians_and_the_first_round_is_left_out() -> None:
    ours = side([99.0], [0.010, 0.020], [0.030, 0.500, 0.020])
    theirs = side([0.0001], [0.080], [0.060])
    assert compare(ours, theirs, rounds=2, per=2) == {
        "ours_ms": 10.0, "theirs_ms": 35.0, "ratio": 3.5, "rounds": 2,
    }  # fmt: skip


def test_a_crowd_has_the_faces_that_were_asked_for() -> None:
    image = crowd(6, (640, 360), shift=4)
    assert image.shape == (360, 640, 3)
    assert len(load_recognizer(threads=1).detect(image)) == 6
    assert len(np.unique(crowd(0, (64, 36)).reshape(-1, 3), axis=0)) == 1


def test_two_operations_are_counted_for_each_product_that_is_summed(tmp_path: Path) -> None:
    """8x8 map, 4 filters of 3x3 over 2 channels in one group: 8*8*4*18; dense 256 to 7."""
    tensors = {"w": (4, 2, 3, 3), "d": (256, 7), "b": (7,)}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Flatten", ["c"], ["f"]),
        helper.make_node("Gemm", ["f", "d", "b"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 7])],
        [onnx.numpy_helper.from_array(np.zeros(s, np.float32), n) for n, s in tensors.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph), tmp_path / "m.onnx")
    assert count_operations(tmp_path / "m.onnx", 3) == 3 * 2 * (8 * 8 * 4 * 18 + 256 * 7)


def test_the_base_install_has_what_it_asks_for_and_no_extra() -> None:
    sizes = base_install("facial-expressions")
    assert {"facial-expressions", "numpy", "onnxruntime", "pillow", "typer"} <= {*sizes}
    assert not {"keras", "tensorflow-cpu", "pytest", "pyarrow"} & {*sizes}
    assert sizes["facial-expressions"] > 5  # the models are in it
    assert list(sizes.values()) == sorted(sizes.values(), reverse=True)


def test_what_another_platform_or_an_extra_needs_is_not_needed() -> None:
    asked = ["a>=1", "b; extra == 'x'", "c; python_version < '3'", "d[e]; python_version >= '3'"]
    assert needed(asked) == ["a", "d"]


def test_labels_are_compared_face_by_face() -> None:
    expected = [[("happy", 0.75), ("sad", 0.5)], [], [("fear", 0.25)]]
    answers = [[("happy", 0.5), ("sad", 0.5)], [], [("sad", 0.25)]]
    assert compare_answers(answers, expected) == {
        "faces": 3, "same": 2, "largest_difference": 0.25,
    }  # fmt: skip
    assert compare_answers([[("happy", 0.75)], [], []], expected) == {"faces": 3, "same": 0}


def test_made_images_have_faces_and_are_always_the_same(tmp_path: Path) -> None:
    recognizer = load_recognizer(threads=1)
    assert len(recognizer.recognize(photo(1280, 720))) == 1
    for name in ("a", "b"):
        write_photos(tmp_path / name, 2)
    first, second = (sorted((tmp_path / name).iterdir()) for name in ("a", "b"))
    assert [one.read_bytes() for one in first] == [one.read_bytes() for one in second]
    assert all(recognizer.recognize(path) for path in first)
    assert face_crops(3).shape == (3, 48, 48)


def test_overlap_is_what_two_boxes_share_of_what_they_cover() -> None:
    one = Box(0, 0, 4, 2)
    assert overlap(one, one) == 1.0
    assert overlap(one, Box(2, 0, 6, 2)) == 4 / 12
    assert overlap(one, Box(4, 0, 6, 2)) == 0.0


def test_a_pasted_face_is_as_wide_as_asked_and_found_where_it_was_put() -> None:
    image, truth = paste(cut_head(astronaut()), 96, (640, 480), seed=3)
    assert image.shape == (480, 640, 3)
    assert abs(truth.width - 96) < 1.5
    boxes = [face.box for face in load_recognizer().recognize(image)]
    assert any(overlap(box, truth) > 0.6 for box in boxes)


def test_a_batch_of_many_inputs_does_them_all_and_says_what_it_held(tmp_path: Path) -> None:
    """Two workers and their command, each with NumPy and ONNX Runtime."""
    found = batch(60, tmp_path / "inputs")
    assert found["ok"] == 60
    assert found["memory_mb"] > 100
    assert found["ms_per_input"] == pytest.approx(1000 * found["seconds"] / 60, rel=0.01)
