"""Protocols: which image goes into which split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facial_expressions.data import load_dataset
from facial_expressions.data.dataset import Kind, Reading, Split, make_reading
from facial_expressions.data.load import divide, stratified_holdout
from facial_expressions.errors import DatasetError
from facial_expressions.labels import FER2013
from tests.builders import make_rows, write_competition_csv, write_kaggle_zip

FER2013_TRAINING = {
    "angry": 3995, "disgust": 436, "fear": 4097, "happy": 7215, "neutral": 4965, "sad": 4830,
    "surprise": 3171,
}  # fmt: skip


def reading_of_real_size(kind: Kind = "competition") -> Reading:
    """A reading with FER-2013's class counts and 1x1 images."""
    rows = [
        (FER2013.id_of(label), "Training", f"row {k}", "train")
        for label, n in FER2013_TRAINING.items()
        for k in range(n)
    ]
    for usage in ("PublicTest", "PrivateTest"):
        rows += [(k % 7, usage, f"{usage} {k}", "test") for k in range(3589)]
    images = (np.arange(len(rows)) % 251).astype(np.uint8).reshape(-1, 1, 1)
    return make_reading(kind, "fer2013", FER2013, images=images, rows=rows)


def test_kaggle_gives_the_counts_of_the_seed() -> None:
    dataset = divide(reading_of_real_size(), "kaggle", seed=0)
    assert [len(split) for split in dataset.splits()] == [22_968, 5_741, 7_178]


def test_kaggle_validation_holds_a_fifth_of_each_class() -> None:
    dataset = divide(reading_of_real_size(), "kaggle", seed=3)
    counts = np.bincount(dataset.validation.labels).tolist()
    assert counts == [799, 87, 819, 1443, 993, 966, 634]  # a fifth of each count, rounded down


def test_competition_gives_the_counts_of_the_competition() -> None:
    dataset = divide(reading_of_real_size(), "competition", seed=0)
    assert [len(split) for split in dataset.splits()] == [28_709, 3_589, 3_589]
    assert set(dataset.validation.usages.tolist()) == {"PublicTest"}
    assert set(dataset.test.usages.tolist()) == {"PrivateTest"}


def test_kaggle_test_split_keeps_both_usages() -> None:
    test = divide(reading_of_real_size(), "kaggle", seed=0).test
    names, counts = np.unique(test.usages, return_counts=True)
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == {
        "PrivateTest": 3589,
        "PublicTest": 3589,
    }


def test_no_image_is_lost_or_doubled() -> None:
    reading = reading_of_real_size()
    protocols: tuple[Kind, ...] = ("kaggle", "competition")
    for protocol in protocols:
        splits = divide(reading, protocol, seed=0).splits()
        rows = [(s.labels[i], s.sources[i]) for s in splits for i in range(len(s))]
        whole = zip(reading.rows.labels, reading.rows.sources, strict=True)
        assert sorted(rows) == sorted(whole)


def test_the_seed_decides_and_repeats() -> None:
    labels = np.arange(100) % 2
    first = stratified_holdout(labels, seed=1)
    assert np.array_equal(first, stratified_holdout(labels, seed=1))
    assert not np.array_equal(first, stratified_holdout(labels, seed=2))
    assert first.sum() == 20


@pytest.mark.parametrize("protocol", ["kaggle", "competition"])
def test_both_protocols_work_on_both_layouts(tmp_path: Path, protocol: str) -> None:
    rows = make_rows(train=5, public=2, private=1)
    for path in (
        write_competition_csv(tmp_path / "fer.csv", rows),
        write_kaggle_zip(tmp_path / "fer.zip", rows),
    ):
        dataset = load_dataset(path, protocol=protocol, allow_partial=True)
        expected = [28, 7, 21] if protocol == "kaggle" else [35, 14, 7]
        assert [len(split) for split in dataset.splits()] == expected


def test_competition_needs_usages() -> None:
    reading = reading_of_real_size("kaggle")
    bare = make_reading(
        "kaggle",
        "fer2013",
        FER2013,
        images=reading.rows.images[:2],
        rows=[(0, "Training", "a", "train"), (0, "", "b", "test")],
    )
    with pytest.raises(DatasetError, match="the names of 1 test images do not say"):
        divide(bare, "competition", seed=0)


def test_unknown_protocol_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DatasetError, match=r"official: no such protocol\. Choose one of competition"
    ):
        load_dataset(tmp_path, protocol="official")


def test_digest_depends_on_pixels_and_labels_only() -> None:
    first = divide(reading_of_real_size(), "kaggle", seed=0)
    again = divide(reading_of_real_size(), "kaggle", seed=0)
    other = divide(reading_of_real_size(), "kaggle", seed=1)
    assert first.digest() == again.digest() != other.digest()


def test_split_refuses_lengths_that_differ() -> None:
    with pytest.raises(ValueError, match=r"images uint8 \(2, 4, 4\), 1 labels"):
        Split(
            name="train",
            images=np.zeros((2, 4, 4), np.uint8),
            labels=np.zeros(1, np.int64),
            usages=np.array(["", ""]),
            sources=("a", "b"),
        )


def test_split_takes_rows_by_number_and_by_mask() -> None:
    rows = reading_of_real_size().rows
    by_number = rows.take(np.array([5, 2]), name="few")
    assert (by_number.name, by_number.sources) == ("few", ("row 5", "row 2"))
    mask = np.zeros(len(rows), np.bool_)
    mask[[2, 5]] = True
    assert rows.take(mask).sources == ("row 2", "row 5")
