"""The catalogue's models, M01 to M20: exit code 3, nothing opened unnamed, nothing run."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, external_data_helper, helper, numpy_helper

from facial_expressions.cli.main import main
from facial_expressions.inference.onnx_bytes import seal_model
from facial_expressions.inference.recognizer import load_recognizer
from tests.growing_models import GROWING, grown
from tests.tiny_model import METADATA, tiny_graph, write_tiny_model

pytest.importorskip("fastapi", reason="the extra serve is not installed")
from tests.server.client import png, run_server

Change = Callable[[ModelProto], object]


def external(location: str) -> Change:
    """Move the matrix into another file."""
    return lambda model: external_data_helper.set_external_data(
        model.graph.initializer[0], location=location
    )


def add_node(op_type: str, *, domain: str | None = None) -> Change:
    return lambda model: model.graph.node.append(
        helper.make_node(op_type, ["crops"], ["unused"], domain=domain)
    )


def set_weights(value: float) -> Change:
    return lambda model: model.graph.initializer[0].CopyFrom(
        numpy_helper.from_array(np.full((48 * 48, 7), value, np.float32), "matrix")
    )


def huge_constant(model: ModelProto) -> None:
    shape = numpy_helper.from_array(np.array([1_000_000_000], np.int64), "shape")
    model.graph.initializer.append(shape)
    model.graph.node.append(helper.make_node("ConstantOfShape", ["shape"], ["huge"]))


def claim_huge_weights(model: ModelProto) -> None:
    model.graph.initializer[0].dims[0] = 1_000_000_000


def set_input_side(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 64


def set_input_type(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE


def set_entry(key: str, value: str) -> Change:
    def change(model: ModelProto) -> None:
        for entry in model.metadata_props:
            if entry.key == key:
                entry.value = value

    return change


def set_heads(*changes: dict[str, object]) -> Change:
    """Say that the file has a head for each of these changes to the one it has."""
    head = json.loads(METADATA.to_entries()["heads"])[0]
    return set_entry("heads", json.dumps([head | change for change in changes]))


def drop_metadata(model: ModelProto) -> None:
    del model.metadata_props[:]


def set_opset(model: ModelProto) -> None:
    model.opset_import[0].version = 9_999


def set_ir(model: ModelProto) -> None:
    model.ir_version = 9_999


CHANGED: Final[dict[str, tuple[Change, str]]] = {
    "M04-input-side": (set_input_side, "cannot be opened"),
    "M04-input-type": (set_input_type, "cannot be opened"),
    "M04-six-classes": (
        set_heads({"labels": {"name": "fer2013", "names": ["a", "b", "c", "d", "e", "f"]}}),
        "does not fit its own description",
    ),
    "M04-label-twice": (
        set_heads({"labels": {"name": "x", "names": ["a", "a", "c", "d", "e", "f", "g"]}}),
        "label set",
    ),
    "M04-head-twice": (set_heads({}, {}), "different names"),
    "M04-head-without-output": (set_heads({}, {"name": "people"}), "people_probabilities"),
    "M04-format-1": (set_entry("format", "facial-expressions-model/1"), "convert_model.py OLD NEW"),
    "M04-format-3": (set_entry("format", "facial-expressions-model/3"), "Update"),
    "M04-no-metadata": (drop_metadata, "not a facial-expressions model"),
    "M22-heads-nested": (set_entry("heads", "[" * 100_000), "nested too deeply"),
    "M22-scaling-nested": (set_entry("preprocessing", '{"a":' * 100_000), "nested too deeply"),
    "M22-long-number": (set_entry("preprocessing", "9" * 5_000), "too many digits"),
    "M22-label-is-a-number": (
        set_heads({"labels": {"name": "x", "names": [1, "b", "c", "d", "e", "f", "g"]}}),
        "label set",
    ),
    "M22-label-is-a-list": (
        set_heads({"labels": {"name": "x", "names": [["a"], "b", "c", "d", "e", "f", "g"]}}),
        "damaged metadata",
    ),
    "M05-nan": (set_weights(float("nan")), "no probabilities"),
    "M05-infinity": (set_weights(float("inf")), "no probabilities"),
    "M06-parent-path": (external("../secret"), "another file"),
    "M06-absolute-path": (external("/etc/hostname"), "another file"),
    "M06-beside": (external("canary"), "another file"),
    "M07-own-domain": (add_node("Run", domain="evil.example"), "evil.example.Run"),
    "M07-context": (add_node("EPContext", domain="com.microsoft"), "com.microsoft.EPContext"),
    "M08-opset": (set_opset, "cannot be opened"),
    "M08-ir": (set_ir, "cannot be opened"),
    "M09-loop": (add_node("Loop"), "control flow"),
    "M09-huge-constant": (huge_constant, "ConstantOfShape"),
    "M09-claims-huge-weights": (claim_huge_weights, "not opened: a constant claims"),
}  # fmt: skip


class Canary:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return (os.mkdir, (str(self.path),))


def zipped(*members: tuple[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


LAMBDA = json.dumps({"module": "os", "class_name": "system", "config": ["touch canary"]}).encode()
OTHER_KINDS: Final[dict[str, bytes]] = {
    "M10-keras-with-lambda": zipped(("config.json", LAMBDA), ("metadata.json", b"{}")),
    "M10-legacy-h5": b"\x89HDF\r\n\x1a\n" + bytes(2_000) + LAMBDA,
    "M11-keras-bomb": zipped(("model.weights.h5", bytes(20_000_000))),
    "M11-keras-traversal": zipped(("../../canary", b"x")),
    "M12-weights-h5-with-link": b"\x89HDF\r\n\x1a\n" + b"/etc/hostname\0" * 100,
    "M13-safetensors-header": struct.pack("<Q", 200 * 2**20) + b'{"a":{}}' + bytes(100),
    "M13-safetensors-overlap": struct.pack("<Q", 60)
    + b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[-4,32]}}    ' + bytes(40),
    "M14-torchscript": zipped(("archive/data.pkl", b"\x80\x02cos\nsystem\n"), ("code/x.py", b"")),
    "M14-saved-model": b"\x08\x01\x12\x99\x01\n\x04junk" + bytes(50),
}  # fmt: skip


def predict(model: Path, image: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, float]:
    """Run ``predict`` with a model; return code, error and seconds of processor time."""
    start = time.process_time()
    code = main(["predict", str(image), "--model", str(model), "--threads", "1"])
    took_s = time.process_time() - start
    captured = capsys.readouterr()
    assert captured.out == "" or code == 0
    return code, captured.err, took_s


@pytest.mark.parametrize(("change", "said"), CHANGED.values(), ids=CHANGED.keys())
def test_a_model_that_is_none_of_ours_is_exit_code_3(
    change: Change, said: str, tmp_path: Path, astronaut: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is sealed all the same: the seal tells damage, not intent."""
    (tmp_path / "canary").write_bytes(bytes(48 * 48 * 7 * 4))
    model = tiny_graph()
    change(model)
    path = tmp_path / "changed.onnx"
    path.write_bytes(seal_model(model.SerializeToString()))
    code, error, took_s = predict(path, astronaut, capsys)
    assert code == 3
    assert said in error
    assert took_s < 2
    assert "Traceback" not in error


@pytest.mark.parametrize("data", OTHER_KINDS.values(), ids=OTHER_KINDS.keys())
@pytest.mark.parametrize("name", ["model.onnx", "model.keras"])
def test_other_kinds_of_model_are_never_opened(
    data: bytes, name: str, tmp_path: Path, astronaut: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    path.write_bytes(data)
    code, error, took_s = predict(path, astronaut, capsys)
    assert (code, [one.name for one in tmp_path.iterdir()]) == (3, [name])
    assert "not an ONNX model" in error or "not a whole ONNX model" in error
    assert took_s < 2


def test_m14_a_pickle_is_never_unpickled(
    tmp_path: Path, astronaut: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    canary = tmp_path / "canary"
    path = tmp_path / "model.onnx"
    path.write_bytes(pickle.dumps(Canary(canary)))
    assert predict(path, astronaut, capsys)[0] == 3
    assert not canary.exists()
    pickle.loads(path.read_bytes())
    assert canary.exists(), "the canary sings when it is unpickled"


def test_m06_a_link_beside_the_model_is_not_followed(
    tmp_path: Path, astronaut: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "target").write_bytes(bytes(48 * 48 * 7 * 4))
    (tmp_path / "weights").symlink_to(tmp_path / "target")
    model = tiny_graph()
    external("weights")(model)
    path = tmp_path / "linked.onnx"
    path.write_bytes(model.SerializeToString())
    code, error, _ = predict(path, astronaut, capsys)
    assert (code, "another file" in error) == (3, True)


def test_m02_every_cut_of_a_model_is_exit_code_3(
    tiny_model: Path, tmp_path: Path, astronaut: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, path = tiny_model.read_bytes(), tmp_path / "cut.onnx"
    for length in (0, 1, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        assert predict(path, astronaut, capsys)[0] == 3


@pytest.mark.parametrize("kind", ["folder", "device", "no permission"])
def test_m18_what_is_no_readable_file_is_exit_code_3(
    kind: str, tmp_path: Path, astronaut: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.onnx"
    if kind == "folder":
        path.mkdir()
    elif kind == "device":
        path = Path(os.devnull)
    else:
        if os.name != "posix" or os.geteuid() == 0:
            pytest.skip("this user may read everything")
        path.write_bytes(b"x")
        path.chmod(0)
    assert predict(path, astronaut, capsys)[0] == 3


def test_m19_a_server_goes_on_when_its_model_is_replaced(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "model.onnx")
    with run_server(load_recognizer(path, threads=1)) as server:
        path.write_bytes(b"something else")
        assert server.post(png()).status == 200
        path.unlink()
        assert server.post(png()).status == 200


WATCHED: Final = """
import re, sys, time
from facial_expressions.cli.main import main
main(["models", "verify", sys.argv[1]])  # the libraries are loaded
before = time.process_time()
code = main(["predict", sys.argv[3], "--model", sys.argv[2], "--threads", "1"])
peak_kb = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]
print(f"{code} {time.process_time() - before:.2f} {int(peak_kb) // 1024}")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in kilobytes on Linux")
@pytest.mark.parametrize("start", ["seed", "crops"])
@pytest.mark.parametrize("way", ["concat", "outer sum", "pad", "resize scales", "gather"])
def test_m20_a_model_that_grows_is_refused_soon_and_in_little_memory(
    way: str, start: str, tiny_model: Path, tmp_path: Path, astronaut: Path
) -> None:
    path = tmp_path / "grown.onnx"
    path.write_bytes(seal_model(grown(GROWING[way], 26, start=start).SerializeToString()))
    words = [sys.executable, "-c", WATCHED, str(tiny_model), str(path), str(astronaut)]
    done = subprocess.run(words, capture_output=True, encoding="utf-8", check=True)
    code, took_s, peak_mb = done.stdout.splitlines()[-1].split()
    assert code == "3"
    assert re.search("(not|cannot be) opened", done.stderr)
    assert float(took_s) < 3
    assert float(peak_mb) < 300


AT_ONCE: Final = """
import re, sys
import numpy as np
from facial_expressions.inference.classifier import load_classifier
classifier = load_classifier(sys.argv[1], threads=1)
rows = classifier.predict_proba(np.zeros((40, 48, 48), np.uint8))
assert rows.shape == (40, 7)
peak_kb = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]
print(int(peak_kb) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in kilobytes on Linux")
@pytest.mark.parametrize(
    ("way", "steps"),
    [("concat", 12), ("concat of many", 3), ("gather", 2), ("resize scales", 3), ("outer sum", 1)],
)
def test_m21_what_one_crop_may_take_is_not_taken_for_many_at_one_time(
    way: str, steps: int, tmp_path: Path
) -> None:
    """Each of these passes with up to 64 MB a crop; 40 at one time took 2 gigabytes and more."""
    path = tmp_path / "grown.onnx"
    model = grown(GROWING[way], steps, start="crops", is_used=True)
    path.write_bytes(seal_model(model.SerializeToString()))
    words = [sys.executable, "-c", AT_ONCE, str(path)]
    done = subprocess.run(words, capture_output=True, encoding="utf-8", check=True)
    assert int(done.stdout) < 1500
