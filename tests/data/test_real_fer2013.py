"""The real files of FER-2013 and FER+, where they are: counts, both protocols, known facts."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from facial_expressions.data import load_dataset
from facial_expressions.data.audit import Audit, audit_dataset
from facial_expressions.data.ferplus import ferplus_votes, relabelled
from facial_expressions.labels import FERPLUS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

COUNTS = {"competition": [28_709, 3_589, 3_589], "kaggle": [22_968, 5_741, 7_178]}


@pytest.mark.parametrize("protocol", ["competition", "kaggle"])
@pytest.mark.parametrize("file", ["fer2013_archive", "fer2013_table"])
def test_both_files_give_the_exact_counts(
    file: str, protocol: str, request: pytest.FixtureRequest
) -> None:
    dataset = load_dataset(request.getfixturevalue(file), protocol=protocol)
    assert [len(split) for split in dataset.splits()] == COUNTS[protocol]


def test_both_files_hold_as_many_of_each_class(fer2013_archive: Path, fer2013_table: Path) -> None:
    for ours, theirs in zip(
        load_dataset(fer2013_archive).splits(), load_dataset(fer2013_table).splits(), strict=True
    ):
        assert np.array_equal(np.bincount(ours.labels), np.bincount(theirs.labels))


def test_second_start_takes_under_two_seconds(fer2013_archive: Path) -> None:
    load_dataset(fer2013_archive)
    start = time.process_time()
    load_dataset(fer2013_archive)
    assert time.process_time() - start < 2


def counts_of(audit: Audit) -> tuple[int, int, int]:
    """Groups of duplicates, images in them, and groups with conflicting labels."""
    found = audit["duplicates"]
    return found["n_groups"], found["n_images"], found["n_conflicting"]


def test_audit_of_the_competition_file(fer2013_table: Path, ferplus_votes_file: Path) -> None:
    dataset = load_dataset(fer2013_table)
    report = audit_dataset(dataset, votes=ferplus_votes(dataset, ferplus_votes_file))
    assert counts_of(report) == (1514, 3365, 57)
    assert [leak["n"] for leak in report["leaks"]] == [280, 288, 44]
    assert report["blank"]["n"] == 12
    ferplus = report["ferplus"]
    assert ferplus["n_majority"] == {"train": 25_060, "validation": 3_199, "test": 3_153}
    assert round(100 * ferplus["agreement"], 1) == 67.9
    rounded = {label: round(100 * share) for label, share in ferplus["per_class"].items()}
    assert rounded == {
        "angry": 54, "disgust": 40, "fear": 14, "happy": 93, "neutral": 89, "sad": 44,
        "surprise": 84,
    }  # fmt: skip


def test_audit_of_the_kaggle_archive(fer2013_archive: Path) -> None:
    """Two groups more than the competition file: there, two rows have JPEG pixels instead."""
    report = audit_dataset(load_dataset(fer2013_archive))
    assert counts_of(report) == (1516, 3369, 57)
    assert [leak["n"] for leak in report["leaks"]] == [280, 288, 44]
    assert report["blank"]["n"] == 12


def test_ferplus_aligned_by_pixels_keeps_the_official_counts(
    fer2013_archive: Path, fer2013_table: Path, ferplus_votes_file: Path
) -> None:
    dataset = load_dataset(fer2013_archive)
    votes = ferplus_votes(dataset, ferplus_votes_file, competition=fer2013_table)
    eight = relabelled(dataset, votes, FERPLUS)
    assert [len(split) for split in eight.splits()] == [25_060, 3_199, 3_153]


@pytest.fixture
def ferplus_votes_file(fer2013_table: Path) -> Path:
    path = fer2013_table.parent / "fer2013new.csv"
    if not path.is_file():
        pytest.skip("the real FER+ votes are not here")
    return path
