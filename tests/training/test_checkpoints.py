"""Checkpoints: whole or absent, the newest whole one used, another run's refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from facial_expressions.errors import CheckpointError
from facial_expressions.training import checkpoints
from facial_expressions.training.checkpoints import Checkpoint, load_latest, save, write_atomically


def _checkpoint(epochs: int, identity: str = "run") -> Checkpoint:
    return Checkpoint(epochs, identity, {"weights/0": np.full((3, 4), epochs, np.float32)})


def test_the_newest_checkpoint_comes_back_number_for_number(tmp_path: Path) -> None:
    save(tmp_path, _checkpoint(1))
    save(tmp_path, _checkpoint(2))
    loaded = load_latest(tmp_path, "run")
    assert loaded is not None
    assert loaded.epochs == 2
    np.testing.assert_array_equal(loaded.arrays["weights/0"], np.full((3, 4), 2, np.float32))


def test_without_a_checkpoint_there_is_none(tmp_path: Path) -> None:
    assert load_latest(tmp_path / "absent", "run") is None


def test_only_the_last_ones_are_kept(tmp_path: Path) -> None:
    for epoch in range(1, 6):
        save(tmp_path, _checkpoint(epoch))
    kept = sorted(path.name for path in tmp_path.glob("epoch-*.npz"))
    assert kept == [f"epoch-{epoch:05d}.npz" for epoch in range(6 - checkpoints.KEPT, 6)]
    assert not list(tmp_path.glob(".*")), "no temporary file is left"


@pytest.mark.parametrize("damage", ["cut", "one byte", "manifest", "gone"])
def test_a_damaged_newest_checkpoint_is_passed_over_and_kept(tmp_path: Path, damage: str) -> None:
    save(tmp_path, _checkpoint(1))
    newest = save(tmp_path, _checkpoint(2))
    content = bytearray(newest.read_bytes())
    if damage == "cut":
        newest.write_bytes(content[: len(content) // 2])
    elif damage == "one byte":
        content[len(content) // 2] ^= 1
        newest.write_bytes(content)
    elif damage == "manifest":
        newest.with_suffix(".json").write_text("{")
    else:
        newest.unlink()
    loaded = load_latest(tmp_path, "run")
    assert loaded is not None
    assert loaded.epochs == 1
    assert newest.exists() == (damage != "gone"), "nothing is deleted"


def test_when_all_are_damaged_it_says_so(tmp_path: Path) -> None:
    save(tmp_path, _checkpoint(1)).write_bytes(b"")
    with pytest.raises(CheckpointError, match="is whole; received 1 damaged"):
        load_latest(tmp_path, "run")


def test_another_runs_checkpoint_is_refused(tmp_path: Path) -> None:
    save(tmp_path, _checkpoint(1, json.dumps({"recipe": "a"})))
    with pytest.raises(CheckpointError, match="belongs to another recipe or other data"):
        load_latest(tmp_path, json.dumps({"recipe": "b"}))


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half of the new")
        raise OSError(28, "No space left on device")

    with pytest.raises(CheckpointError, match=r"No space left on device; free some space"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
