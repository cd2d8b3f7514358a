"""Shards: whole or not there, JSON Lines as given, Parquet with a row per input."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from facial_expressions.distributed.output_folder import OutputFolder, ShardFormat
from facial_expressions.quality import Quality
from facial_expressions.results import Box, Face, ImageResult, Prediction
from facial_expressions.rows import IMAGE, to_json

LABELS = ("happy", "sad")
FACE = Face(
    Box(1.25, 2, 30, 40),
    0.5,
    ((4.0, 5.0), (6.0, 7.0)),
    Prediction(LABELS, (0.75, 0.25)),
    quality=Quality(29, 0.25, 200, yaw=0.5, pitch=0.5, roll_degrees=45),
)
RESULTS = (
    ImageResult("a.jpg", "ok", 64, 48, (FACE, FACE)),
    ImageResult("b.jpg", "ok", 8, 9),
    ImageResult("c.jpg", "rejected", error="no image"),
    ImageResult(os.fsdecode(b"\xff.jpg"), "failed", error="x"),
)
ROWS = [result.to_dict() for result in RESULTS]


def write(root: Path, file_format: ShardFormat) -> Path:
    folder = OutputFolder(root, file_format)
    with folder.open_shard(0, LABELS) as write_row:
        for row in ROWS:
            write_row(row)
    return folder.shard_path(0)


def test_json_lines_are_the_rows_and_odd_names_round_trip(tmp_path: Path) -> None:
    path = write(tmp_path, "jsonl")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[:3] == [to_json(IMAGE, row) for row in ROWS[:3]]
    assert os.fsencode(json.loads(lines[3])["source"]) == b"\xff.jpg"
    assert path.read_bytes().endswith(b"}\n")


def test_parquet_has_the_same_fields(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = write(tmp_path, "parquet")
    rows = parquet.read_table(path).to_pylist()
    assert [row["source"] for row in rows] == ["a.jpg", "b.jpg", "c.jpg", "\\udcff.jpg"]
    assert [row["status"] for row in rows] == ["ok", "ok", "rejected", "failed"]
    assert [len(row["faces"]) for row in rows] == [2, 0, 0, 0]
    assert [row["width"] for row in rows] == [64, 8, None, None]
    assert [row["error"] for row in rows] == [None, None, "no image", "x"]
    face = rows[0]["faces"][0]
    assert face == ROWS[0]["faces"][0]


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_an_unfinished_shard_leaves_nothing(tmp_path: Path, file_format: ShardFormat) -> None:
    def write_half() -> None:
        folder = OutputFolder(tmp_path, file_format)
        with folder.open_shard(0, LABELS) as write_row:
            write_row(ROWS[0])
            assert not folder.shard_path(0).exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_an_output_that_cannot_be_written_is_said_with_its_name(
    tmp_path: Path, file_format: ShardFormat
) -> None:
    folder = OutputFolder(tmp_path / "gone", file_format)
    path = folder.shard_path(0)
    with (
        pytest.raises(OSError, match=f"{path}: cannot be written: the folder does not exist"),
        folder.open_shard(0, LABELS),
    ):
        pass
