"""Checkpoints: whole or absent, the newest whole one used, another run's refused."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from facial_expressions.errors import CheckpointError, StorageError
from facial_expressions.training import checkpoints
from facial_expressions.training.checkpoints import Checkpoint, load_latest, save
from tests.trials.crash_points import count_calls, failing_call, kill_at_call

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks a process to kill it")


def _save(folder: Path, epochs: int, best: int | None = None) -> Path:
    weights = np.full((3, 4), epochs, np.float32)
    checkpoint = Checkpoint(epochs, "run", {"weights/0": weights})
    return save(folder, checkpoint, best=epochs if best is None else best)


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _epochs(folder: Path) -> int:
    loaded = load_latest(folder)
    assert loaded is not None
    np.testing.assert_array_equal(
        loaded.arrays["weights/0"], np.full((3, 4), loaded.epochs, np.float32)
    )
    return loaded.epochs


def test_the_newest_checkpoint_comes_back_number_for_number(tmp_path: Path) -> None:
    _save(tmp_path, 1)
    _save(tmp_path, 2)
    loaded = load_latest(tmp_path)
    assert loaded is not None
    assert (loaded.epochs, loaded.identity, [*loaded.arrays]) == (2, "run", ["weights/0"])
    np.testing.assert_array_equal(loaded.arrays["weights/0"], np.full((3, 4), 2, np.float32))


def test_without_a_checkpoint_there_is_none(tmp_path: Path) -> None:
    assert load_latest(tmp_path / "absent") is None


def test_only_the_last_three_are_kept(tmp_path: Path) -> None:
    for epoch in range(1, 6):
        _save(tmp_path, epoch)
    kept = sorted(_files(tmp_path))
    assert kept == [f"epoch-{epoch:05d}.npz" for epoch in (3, 4, 5)], "and no temporary file"


def test_the_best_is_kept_beside_them(tmp_path: Path) -> None:
    for epoch in range(1, 8):
        _save(tmp_path, epoch, best=min(epoch, 2))
    kept = sorted(path.stem for path in tmp_path.glob("epoch-*.npz"))
    assert kept == ["epoch-00002", "epoch-00005", "epoch-00006", "epoch-00007"]
    assert _epochs(tmp_path) == 7


def test_a_damaged_newer_one_does_not_push_out_whole_ones(tmp_path: Path) -> None:
    for epoch in (4, 5, 6):
        _save(tmp_path, epoch).write_bytes(b"half")
    for epoch in (1, 2, 3):
        _save(tmp_path, epoch)
    assert len(_files(tmp_path)) == 6
    assert _epochs(tmp_path) == 3


def test_what_kills_have_left_behind_is_removed_by_the_next_save(tmp_path: Path) -> None:
    (tmp_path / ".epoch-00001.npz.part").write_bytes(b"half")
    _save(tmp_path, 1)
    assert [*_files(tmp_path)] == ["epoch-00001.npz"]


@pytest.mark.parametrize(
    "damage",
    ["cut", "one byte", "swapped", "zero page", "longer", "no digest", "empty"],
)
def test_m15_a_damaged_newest_checkpoint_is_passed_over_and_kept(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    older = _save(tmp_path, 1)
    newest = _save(tmp_path, 2)
    content = bytearray(newest.read_bytes())
    if damage == "cut":
        newest.write_bytes(content[: len(content) // 2])
    elif damage == "one byte":
        content[len(content) // 2] ^= 1
        newest.write_bytes(content)
    elif damage == "swapped":
        shutil.copy(older, newest)
    elif damage == "zero page":
        content[64:128] = bytes(64)
        newest.write_bytes(content)
    elif damage == "longer":
        newest.write_bytes(content + b"\0")
    elif damage == "no digest":
        newest.write_bytes(content[:-32])
    else:
        newest.write_bytes(b"")
    before = _files(tmp_path)
    assert _epochs(tmp_path) == 1
    assert _files(tmp_path) == before, "nothing is deleted"
    assert "using an older one" in caplog.text
    _save(tmp_path, 2)
    assert _epochs(tmp_path) == 2


def test_m16_when_all_are_damaged_it_says_so_and_deletes_nothing(tmp_path: Path) -> None:
    for epoch in (1, 2):
        _save(tmp_path, epoch).write_bytes(b"")
    before = _files(tmp_path)
    with pytest.raises(CheckpointError, match="no checkpoint is whole, 2 damaged"):
        load_latest(tmp_path)
    assert _files(tmp_path) == before


def test_every_flipped_bit_and_every_cut_is_noticed(tmp_path: Path) -> None:
    """The checkpoint before is used instead."""
    _save(tmp_path, 1)
    newest = _save(tmp_path, 2)
    random = np.random.default_rng(0)
    whole = newest.read_bytes()
    for position in random.integers(len(whole), size=200):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << random.integers(8)
        newest.write_bytes(flipped)
        assert _epochs(tmp_path) == 1
        newest.write_bytes(whole[:position])
        assert _epochs(tmp_path) == 1
    newest.write_bytes(whole)
    assert _epochs(tmp_path) == 2


@needs_fork
@pytest.mark.slow
def test_a_kill_at_every_call_of_a_save_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    """The newest is the one before, or the new one once it has its name."""

    def work(folder: Path) -> None:
        _save(folder, 6)

    counted = _prepared(tmp_path / "counted")
    n_calls = count_calls(lambda: work(counted))
    assert n_calls > 7, "open, write, check, flush, rename, flush, and deleting"
    seen = set()
    for number in itertools.count(1):
        folder = _prepared(tmp_path / str(number))
        was_killed = kill_at_call(number, lambda folder=folder: work(folder))  # type: ignore[misc]
        seen.add(_epochs(folder))
        _save(folder, 6)
        assert _epochs(folder) == 6
        assert not list(folder.glob(".*"))
        if not was_killed:
            break
    assert number == n_calls + 1
    assert seen == {5, 6}


def _prepared(folder: Path) -> Path:
    """Return a folder of three checkpoints; copied, since flushing to disk takes its time."""
    template = folder.with_name("template")
    if not template.exists():
        for epoch in range(3, 6):
            _save(template, epoch)
    return Path(shutil.copytree(template, folder))


def _say_error(folder: Path) -> str:
    """Save the sixth checkpoint; return what was wrong."""
    try:
        _save(folder, 6)
    except StorageError as error:
        return str(error)
    return ""


REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EIO: "the disk does not answer",
    errno.EROFS: "the disk is read-only",
}


@pytest.mark.parametrize("code", REASONS, ids=[errno.errorcode[code] for code in REASONS])
@pytest.mark.parametrize("name", ["open", "write", "fsync", "replace", "close", "fstat"])
@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
def test_d14_f2_a_call_that_fails_leaves_the_checkpoint_before(
    tmp_path: Path, name: str, code: int, for_good: bool
) -> None:
    for number in itertools.count(1):
        folder = _prepared(tmp_path / str(number))
        with failing_call(name, number, code, for_good=for_good) as failing:
            said = _say_error(folder)
        assert not said or REASONS[code] in said
        assert _epochs(folder) in (5, 6)
        _save(folder, 6)
        assert _epochs(folder) == 6
        if not failing.has_failed:
            break
    assert number > 1, "it has failed at one call at least"


def test_a_short_write_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that takes fewer bytes than it says."""
    _save(tmp_path, 1)
    real = os.write

    def lie(handle: int, data: memoryview) -> int:
        real(handle, data[: len(data) // 2])
        return len(data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lie)
        with pytest.raises(StorageError, match=r"of \d+ bytes were written"):
            _save(tmp_path, 2)
    assert _epochs(tmp_path) == 1
    assert not list(tmp_path.glob(".*"))


def test_a_write_in_pieces_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, data[:7]))
    _save(tmp_path, 1)
    assert _epochs(tmp_path) == 1


def test_f5_a_full_disk_says_how_much_is_free(tmp_path: Path) -> None:
    with (
        failing_call("write", 1, errno.ENOSPC, for_good=True),
        pytest.raises(StorageError, match=r"the disk is full \([\d,.]+ MB are free\)\. Free some"),
    ):
        _save(tmp_path, 1)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_says_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StorageError, match="no permission to write"):
            _save(tmp_path / "checkpoints", 1)
    finally:
        tmp_path.chmod(0o700)


def test_a_folder_that_is_a_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("mine")
    with pytest.raises(StorageError, match="cannot be written: the name is taken"):
        _save(tmp_path / "checkpoints", 1)


def test_f3_after_a_power_cut_a_whole_checkpoint_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk holds what was flushed; of what was not, any part may be lost or cut.

    Steps are recorded in order. For each prefix every file that was written but not flushed is cut
    at a random length, and every rename whose folder was not flushed is undone or kept by chance.
    """
    _save(tmp_path / "run", 1)
    steps = _record_steps(tmp_path / "run", monkeypatch)
    random = np.random.default_rng(0)
    kinds = [step[0] for step in steps]
    assert kinds.count("fsync file") == kinds.count("rename") == kinds.count("fsync folder") == 1
    start = _files(tmp_path / "run.before")
    n_new = 0
    for case in range(300):
        done = steps[: random.integers(len(steps) + 1)]
        disk = _after_power_cut(start, done, random)
        folder = tmp_path / f"case {case}"
        folder.mkdir()
        for name, content in disk.items():
            (folder / name).write_bytes(content)
        epochs = _epochs(folder)
        assert epochs in (1, 2)
        n_new += epochs == 2
    assert 0 < n_new < 300


Step = tuple[str, str, str, bytes]


def _record_steps(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    """Save a second checkpoint; return its writes, flushes and renames in order."""
    shutil.copytree(folder, folder.with_name("run.before"))
    steps: list[Step] = []
    names: dict[int, str] = {}
    reals = {name: getattr(os, name) for name in ("open", "write", "fsync", "replace")}

    def open_(path: Path, *words: int) -> int:
        handle: int = reals["open"](path, *words)
        names[handle] = Path(path).name
        if words[0] & os.O_CREAT:
            steps.append(("write", names[handle], "", b""))
        return handle

    def write(handle: int, data: memoryview) -> int:
        steps.append(("write", names[handle], "", bytes(data)))
        return int(reals["write"](handle, data))

    def fsync(handle: int) -> None:
        is_folder = names[handle] == folder.name
        steps.append(("fsync folder" if is_folder else "fsync file", names[handle], "", b""))
        reals["fsync"](handle)

    def replace(source: Path, target: Path) -> None:
        steps.append(("rename", Path(source).name, Path(target).name, b""))
        reals["replace"](source, target)

    with monkeypatch.context() as patch:
        for name, stand_in in (("open", open_), ("write", write), ("fsync", fsync)):
            patch.setattr(os, name, stand_in)
        patch.setattr(os, "replace", replace)
        _save(folder, 2)
    return steps


def _after_power_cut(
    start: dict[str, bytes], steps: list[Step], random: np.random.Generator
) -> dict[str, bytes]:
    """Return what may be on the disk after these steps and a power cut."""
    disk, written, flushed = dict(start), dict[str, bytes](), set[str]()
    renames: list[tuple[str, str]] = []
    for kind, name, target, data in steps:
        if kind == "write":
            written[name] = written.get(name, b"") + data
        elif kind == "fsync file":
            flushed.add(name)
        elif kind == "rename":
            renames.append((name, target))
        else:
            for source, place in renames:  # the folder is flushed: these names are durable
                disk[place] = _survivor(written[source], source in flushed, random)
            renames = []
    for source, place in renames:
        if random.integers(2):
            disk[place] = _survivor(written[source], source in flushed, random)
    return disk


def _survivor(content: bytes, is_flushed: bool, random: np.random.Generator) -> bytes:
    return content if is_flushed else content[: random.integers(len(content) + 1)]


def test_three_are_kept() -> None:
    assert checkpoints.KEPT == 3
