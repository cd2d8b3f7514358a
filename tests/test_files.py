"""Files are written whole or not at all, never through a link, and errors are in words."""

from __future__ import annotations

import errno
import io
import os
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from facial_expressions import files
from facial_expressions.errors import FacialExpressionsError, StorageError
from facial_expressions.files import (
    atomic_write,
    remove_leftovers,
    storage_errors,
    write_file,
)
from tests.trials.crash_points import count_calls, failing_call, kill_at_call

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
on_posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions or links")
is_root = os.name == "posix" and os.geteuid() == 0
TOKEN = bytes(range(8))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_half(path: Path, error: BaseException) -> None:
    with atomic_write(path) as file:
        file.write(b"half of the new")
        raise error


def test_a_file_has_its_name_when_the_block_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with atomic_write(path) as file:
        file.write(b"12")
        file.seek(0)
        file.write(b"3")
        assert not path.exists()
    assert path.read_bytes() == b"32"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("size", [0, 1, 3 * 1024 * 1024 + 7])
def test_bytes_come_back(tmp_path: Path, size: int) -> None:
    content = np.random.default_rng(0).bytes(size)
    write_file(tmp_path / "a", content)
    write_file(tmp_path / "b", memoryview(content))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == content


def test_text_is_utf_8_with_line_ends_as_they_are(tmp_path: Path) -> None:
    write_file(tmp_path / "a.txt", "é\r\n\n" + os.fsdecode(b"\xff"))
    assert (tmp_path / "a.txt").read_bytes() == b"\xc3\xa9\r\n\n\\udcff"


def test_what_needs_to_seek_can_be_written(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.zip") as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("one", b"1")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.testzip() is None


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("no"), OSError(28, "full")])
def test_an_error_in_the_block_leaves_the_old_file(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises((type(error), StorageError)):
        write_half(path, error)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_an_error_that_names_another_file_is_not_told_of_this_one(tmp_path: Path) -> None:
    other = FileNotFoundError(errno.ENOENT, "gone", str(tmp_path / "inputs" / "a.png"))
    (tmp_path / "out").mkdir()
    with pytest.raises(FileNotFoundError, match="gone"):
        write_half(tmp_path / "out" / "file", other)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOSPC, r"the disk is full \([\d,.]+ MB are free\)\. Free some space"),
        (errno.EDQUOT, "the disk quota is used up"),
        (errno.EFBIG, r"larger than is allowed here\. Raise the limit"),
        (errno.EACCES, r"no permission to write here\. Check the permissions"),
        (errno.EROFS, "the disk is read-only"),
        (errno.EIO, r"the disk does not answer\. Check the disk"),
        (errno.EBUSY, os.strerror(errno.EBUSY)),
    ],
)
@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
def test_each_error_is_said_in_words(tmp_path: Path, code: int, said: str, call: str) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with (
        failing_call(call, 1, code, for_good=True),
        pytest.raises(StorageError, match=said) as caught,
    ):
        write_file(path, "new")
    assert str(caught.value).startswith(f"{path}: cannot be written: ")
    assert "Errno" not in str(caught.value)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.mkdir(), "taken by a folder"),
        (lambda path: path.symlink_to("elsewhere"), "symbolic link, which is not followed"),
        (os.mkfifo, "taken by something else"),
    ],
    ids=["folder", "link", "pipe"],
)
@on_posix
def test_a_name_that_is_no_files_is_refused(tmp_path: Path, make: object, said: str) -> None:
    path = tmp_path / "file"
    assert callable(make)
    make(path)
    before = path.lstat()
    with pytest.raises(StorageError, match=said):
        write_file(path, "new")
    assert path.lstat() == before
    assert names(tmp_path) == ["file"]


@on_posix
def test_a_link_planted_at_the_temporary_name_is_refused_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name cannot be foreseen; here it is."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / f".{TOKEN.hex()}.part").symlink_to(victim)
    monkeypatch.setattr(os, "urandom", lambda n: TOKEN)
    with pytest.raises(StorageError, match="the name is taken"):
        write_file(folder / "file", "new")
    assert victim.read_text() == "precious"
    assert names(folder) == [f".{TOKEN.hex()}.part"]


@pytest.mark.parametrize(
    ("name", "said"),
    [("gone/file", "the folder does not exist"), ("file/x", "part of the path is a file"),
     ("x" * 300, "the name is too long")],
)  # fmt: skip
@on_posix
def test_a_path_that_cannot_be_is_said_in_words(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=said):
        write_file(tmp_path / name, "new")


@pytest.mark.skipif(os.name != "posix" or is_root, reason="root may write everywhere")
def test_a_folder_without_permission_is_said_in_words(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StorageError, match="no permission to write here"):
            write_file(tmp_path / "file", "new")
    finally:
        tmp_path.chmod(0o700)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if not is_root or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="needs tmpfs")
def test_f5_a_disk_that_fills_up_keeps_the_old_file(small_disk: Path) -> None:
    path = small_disk / "file"
    write_file(path, bytes(10_000))
    with pytest.raises(StorageError, match=r"the disk is full \(0\.\d MB are free\)"):
        write_file(path, b"x" * 100_000)
    with pytest.raises(StorageError, match="the disk is full"), atomic_write(path) as file:
        file.write(b"x" * 100_000)
    assert path.read_bytes() == bytes(10_000)
    assert names(small_disk) == ["file"]


def test_a_short_write_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that takes fewer bytes than it says."""
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda handle, data: real(handle, data[:2]) and len(data))
        with pytest.raises(StorageError, match="only 2 of 5 bytes were written"):
            write_file(tmp_path / "file", b"12345")
    assert names(tmp_path) == []


@needs_fork
def test_a_kill_at_every_call_leaves_the_old_file_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "file"

    def work() -> None:
        write_file(path, b"new")

    path.write_bytes(b"old")
    n_calls = count_calls(work)
    seen = set()
    for number in range(1, n_calls + 1):
        path.write_bytes(b"old")
        assert kill_at_call(number, work)
        seen.add(path.read_bytes())
        remove_leftovers(tmp_path)
        assert names(tmp_path) == ["file"]
    assert seen == {b"old", b"new"}


def test_the_rename_comes_after_the_flush(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []

    def watch(name: str) -> None:
        real = getattr(os, name)

        def call(*words: object) -> object:
            steps.append(name)
            return real(*words)

        monkeypatch.setattr(os, name, call)

    for name in ("write", "fsync", "replace"):
        watch(name)
    write_file(tmp_path / "file", "x")
    assert steps == ["write", "fsync", "replace"] + ["fsync"] * (os.name == "posix")


@on_posix
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_follows_the_users_mask(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        write_file(tmp_path / "file", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


@on_posix
def test_a_private_file_stays_private(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch(0o600)
    write_file(path, "x")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "none"])
def test_a_name_that_is_taken_can_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "no hard links here")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "file"
    write_file(path, b"first", overwrite=False)
    with pytest.raises(FileExistsError):
        write_file(path, b"second", overwrite=False)
    assert path.read_bytes() == b"first"
    assert names(tmp_path) == ["file"]


def test_only_left_overs_are_removed(tmp_path: Path) -> None:
    for name in (".0123456789abcdef.part", "mine.part", ".hidden"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert names(tmp_path) == [".hidden", "mine.part"]


def test_an_error_without_a_number_passes(tmp_path: Path) -> None:
    with pytest.raises(io.UnsupportedOperation), storage_errors(tmp_path):
        raise io.UnsupportedOperation("not writable")


def test_the_error_is_ours_and_the_systems() -> None:
    assert issubclass(StorageError, FacialExpressionsError)
    assert issubclass(StorageError, OSError)
    assert files.PART == ".part"


def test_c16_no_text_in_a_file_steers_a_terminal(tmp_path: Path) -> None:
    """A report is looked at with ``cat``, too; line ends and tabs stay."""
    write_file(tmp_path / "a.txt", "a\x1b[31m\tb\r\n\u202eend\x9b\n")
    assert (tmp_path / "a.txt").read_bytes() == b"a\\u001b[31m\tb\r\n\\u202eend\\u009b\n"
