"""Rows: one result says the same in every output, and a column is added by one line."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

import facial_expressions
from facial_expressions.distributed.output_folder import OutputFolder
from facial_expressions.media.frames import Frame
from facial_expressions.media.sinks import open_sink
from facial_expressions.results import Box, Face, FrameResult, ImageResult, Prediction, TrackedFace
from facial_expressions.rows import IMAGE, csv_header, rounded, to_csv, to_json

LABELS: Final = ("happy", "sad")
PREDICTION: Final = Prediction(LABELS, (0.7512345678, 0.2487654322), uncertain_below=0.80000004)
BOX: Final = Box(10.126, 20.004, 70, 80.5)
FACE: Final = Face(BOX, 0.98765432109, ((30.111, 40.999),), PREDICTION)
IMAGE_RESULT: Final = ImageResult("a.jpg", "ok", 640, 480, (FACE,))
FACE_VALUES: Final = {
    "left": 10.13, "top": 20.0, "right": 70.0, "bottom": 80.5, "detection_score": 0.987654,
    "expression": "happy", "confidence": 0.751235, "uncertain": True, "happy": 0.751235,
    "sad": 0.248765,
}  # fmt: skip
"""The face, rounded by hand: six decimals, pixels two."""

TOY: Final = (
    '    Column("toy", "float32", "toy", DECIMALS, read=lambda face: face.box.width / 64),\n'
)
USE: Final = """
import json, sys
from pathlib import Path
from pyarrow import parquet
from facial_expressions.distributed.output_folder import OutputFolder
from facial_expressions.media.sinks import open_sink
from facial_expressions.results import Box, FrameResult, ImageResult, Prediction, TrackedFace
from facial_expressions.rows import IMAGE, csv_header, to_csv, to_json
from facial_expressions.server.answers import ImageAnswer

labels = ("happy",)
face = TrackedFace(Box(0, 0, 32, 32), 0.5, (), Prediction(labels, (1.0,)), 1)
image = ImageResult("a", "ok", 64, 64, (face,))
line = to_json(IMAGE, image.to_dict())
folder = OutputFolder(Path(), "parquet")
with folder.open_shard(0, labels) as write_row:
    write_row(image.to_dict())
for name in ("v.jsonl", "v.csv", "v.parquet"):
    with open_sink(name, source="v", labels=labels) as sink:
        sink.write(None, FrameResult(0, 0.0, 64, 64, (face,)))
cells = to_csv(IMAGE, image.to_dict(), labels).split(",")
header, row = Path("v.csv").read_text().split()
ImageAnswer.model_validate_json(line)
print(json.dumps([
    json.loads(line)["faces"][0]["toy"],
    json.loads(Path("v.jsonl").read_text())["faces"][0]["toy"],
    float(cells[csv_header(IMAGE, labels).split(",").index("toy")]),
    float(row.split(",")[header.split(",").index("toy")]),
    parquet.read_table(folder.shard_path(0)).to_pylist()[0]["faces"][0]["toy"],
    parquet.read_table("v.parquet").to_pylist()[0]["toy"],
    ImageAnswer.model_json_schema()["$defs"]["FaceAnswer"]["properties"]["toy"],
]))
"""


def flat(face: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a face in JSON as a table has them."""
    left, top, right, bottom = face["box"]
    box = {"left": left, "top": top, "right": right, "bottom": bottom}
    named = {name: face[name] for name in FACE_VALUES if name in face}
    return {**box, **named, **face["probabilities"]}


def of_csv(cells: Mapping[str, str]) -> dict[str, Any]:
    """The values of a face in CSV, read back."""
    texts = {name: cells[name] for name in FACE_VALUES}
    words = {"expression": texts.pop("expression"), "uncertain": texts.pop("uncertain") == "true"}
    return {**{name: float(text) for name, text in texts.items()}, **words}


def test_an_image_says_the_same_as_json_csv_parquet_and_answer(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    line = to_json(IMAGE, IMAGE_RESULT.to_dict())
    lines = [csv_header(IMAGE, LABELS), to_csv(IMAGE, IMAGE_RESULT.to_dict(), LABELS)]
    folder = OutputFolder(tmp_path, "parquet")
    with folder.open_shard(0, LABELS) as write_row:
        write_row(IMAGE_RESULT.to_dict())
    (row,) = parquet.read_table(folder.shard_path(0)).to_pylist()
    (cells,) = csv.DictReader(lines)
    assert flat(json.loads(line)["faces"][0]) == FACE_VALUES
    assert flat(rounded(IMAGE, IMAGE_RESULT.to_dict())["faces"][0]) == FACE_VALUES
    assert of_csv(cells) == FACE_VALUES
    assert flat(row["faces"][0]) == pytest.approx(FACE_VALUES)  # of 32 bits
    assert row["faces"][0]["landmarks"] == [pytest.approx([30.11, 41.0])]
    assert [(cells["source"], cells["width"], cells["face"])] == [("a.jpg", "640", "1")]
    assert (row["source"], row["width"], row["error"]) == ("a.jpg", 640, None)


def test_a_frame_says_the_same_as_json_csv_and_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    face = TrackedFace(BOX, FACE.detection_score, FACE.landmarks, PREDICTION, track_id=3)
    result = FrameResult(7, 0.12345678, 640, 480, (face,))
    frame = Frame(7, result.time_s, np.zeros((480, 640, 3), np.uint8))
    for name in ("r.jsonl", "r.csv", "r.parquet"):
        with open_sink(tmp_path / name, source="clip.mp4", labels=LABELS) as sink:
            sink.write(frame, result)
    line = json.loads((tmp_path / "r.jsonl").read_text())
    (cells,) = csv.DictReader((tmp_path / "r.csv").read_text().splitlines())
    (row,) = parquet.read_table(tmp_path / "r.parquet").to_pylist()
    assert list(line)[:4] == ["schema", "source", "frame", "time_s"]
    assert flat(line["faces"][0]) == of_csv(cells) == FACE_VALUES
    assert {name: row[name] for name in FACE_VALUES} == pytest.approx(FACE_VALUES)
    assert (line["frame"], line["time_s"], line["faces"][0]["track_id"]) == (7, 0.123457, 3)
    assert (cells["frame"], cells["time_s"], cells["track_id"]) == ("7", "0.123457", "3")
    assert (row["frame"], row["time_s"], row["track_id"]) == (7, 0.123457, 3)


def test_an_image_that_was_not_read_has_no_values_but_its_error() -> None:
    row = ImageResult("a.txt", "rejected", error="no image").to_dict()
    (cells,) = csv.DictReader([csv_header(IMAGE, LABELS), to_csv(IMAGE, row, LABELS)])
    assert {name: text for name, text in cells.items() if text} == {
        "source": "a.txt", "status": "rejected", "error": "no image",
    }  # fmt: skip


def test_a_column_is_added_by_one_line(tmp_path: Path) -> None:
    """The line goes into a copy of the package; what is not asked about is left out of it."""
    pytest.importorskip("pyarrow.parquet")
    pytest.importorskip("fastapi")
    (source,) = facial_expressions.__path__
    copy = tmp_path / "facial_expressions"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("models", "static", "__pycache__"))
    before, first, after = (copy / "rows.py").read_text("utf-8").partition("    *_PREDICTION,\n")
    (copy / "rows.py").write_text(before + TOY + first + after, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", USE], cwd=tmp_path, check=True, capture_output=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    *values, described = json.loads(done.stdout)
    assert values == [0.5] * 6
    assert (described["type"], described["description"]) == ("number", "toy")
