"""The cache of decoded data sets."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest

from facial_expressions.data import load, load_dataset
from facial_expressions.data.cache import CACHE_VARIABLE, cache_folder, path_state
from facial_expressions.data.dataset import Reading
from tests.builders import (
    make_rows,
    write_competition_csv,
    write_folder,
    write_kaggle_folder,
)

ROWS = make_rows(train=2, public=1, private=1)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder that is the current one."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "datasets"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The paths that were really read."""
    read, paths = load._read, []

    def counted(path: Path) -> Reading:
        paths.append(path)
        return read(path)

    monkeypatch.setattr(load, "_read", counted)
    return paths


def test_second_start_reads_nothing_and_gives_the_same(
    tmp_path: Path, cache: Path, reads: list[Path]
) -> None:
    path = write_kaggle_folder(tmp_path / "fer", ROWS)
    first = load_dataset(path, allow_partial=True)
    second = load_dataset(path, allow_partial=True)
    assert len(reads) == 1
    assert first.digest() == second.digest()
    assert first.test.sources == second.test.sources
    assert np.array_equal(first.test.usages, second.test.usages)
    assert [p.suffix for p in cache.iterdir()] == [".npz"]


def test_changed_file_is_read_anew_and_replaces_the_entry(
    tmp_path: Path, cache: Path, reads: list[Path]
) -> None:
    path = write_competition_csv(tmp_path / "fer.csv", ROWS)
    load_dataset(path, allow_partial=True)
    write_competition_csv(path, ROWS[:-7])
    assert len(load_dataset(path, allow_partial=True).test) == 0
    assert len(reads) == 2
    assert len(list(cache.iterdir())) == 1


def test_state_of_a_folder_follows_its_files(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "x", {"sad/a.jpg": b"1"})
    before = path_state(path)
    assert path_state(path) == before
    file = path / "sad" / "a.jpg"
    os.utime(file, ns=(1, 1))
    assert path_state(path) != before


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "other"])
def test_damaged_entry_is_made_anew(
    tmp_path: Path, cache: Path, reads: list[Path], caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    path = write_competition_csv(tmp_path / "fer.csv", ROWS)
    digest = load_dataset(path, allow_partial=True).digest()
    (entry,) = cache.iterdir()
    data = bytearray(entry.read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 0xFF
    contents = {"cut": data[: len(data) // 2], "flipped": data, "emptied": b"", "other": b"hello"}
    entry.write_bytes(bytes(contents[damage]))
    with caplog.at_level(logging.WARNING):
        assert load_dataset(path, allow_partial=True).digest() == digest
    assert "is damaged and is rebuilt" in caplog.text
    assert len(reads) == 2
    assert load_dataset(path, allow_partial=True).digest() == digest
    assert len(reads) == 2


def test_folder_that_cannot_be_written_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    path = write_competition_csv(tmp_path / "fer.csv", ROWS)
    assert len(load_dataset(path, allow_partial=True).train) == 14
    assert "cannot be kept" in caplog.text


def test_cache_can_be_left_out(tmp_path: Path, cache: Path, reads: list[Path]) -> None:
    path = write_competition_csv(tmp_path / "fer.csv", ROWS)
    for _ in range(2):
        load_dataset(path, allow_partial=True, cache=False)
    assert len(reads) == 2
    assert not cache.exists()


def test_counts_are_checked_on_cached_rows_too(tmp_path: Path, cache: Path) -> None:
    path = write_competition_csv(tmp_path / "fer.csv", ROWS)
    load_dataset(path, allow_partial=True)
    with pytest.raises(ValueError, match="instead of 28,709"):
        load_dataset(path)
    assert cache.is_dir()


@pytest.mark.parametrize(
    ("platform", "variable", "value", "expected"),
    [
        ("linux", "XDG_CACHE_HOME", "/c", "/c/facial-expressions/datasets"),
        ("win32", "LOCALAPPDATA", "/l", "/l/facial-expressions/datasets"),
        ("darwin", "HOME", "/u", "/u/Library/Caches/facial-expressions/datasets"),
        ("linux", CACHE_VARIABLE, "/own", "/own/datasets"),
    ],
)
def test_folder_follows_the_platform(
    monkeypatch: pytest.MonkeyPatch, platform: str, variable: str, value: str, expected: str
) -> None:
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setattr("facial_expressions.data.cache.sys.platform", platform)
    monkeypatch.setenv(variable, value)
    assert cache_folder() == Path(expected)
