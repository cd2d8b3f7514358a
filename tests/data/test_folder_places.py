"""To which part and class an image belongs, by the folders above it; what is unclear stops."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from PIL import Image

from facial_expressions.data.load import load_dataset
from facial_expressions.errors import DatasetError
from facial_expressions.labels import FER2013
from tests.builders import (
    competition_text,
    draw_face,
    jpeg,
    kaggle_files,
    make_rows,
    write_folder,
    write_zip,
)

FACE: Final = jpeg(draw_face("sad", 1))
ROWS: Final = make_rows(train=5, public=1, private=1)
PAIR: Final = ("happy/1.jpg", "sad/1.jpg")


def files(*folders: str, names: tuple[str, ...] = PAIR) -> dict[str, bytes]:
    return {f"{folder}/{name}".removeprefix("/"): FACE for folder in folders for name in names}


def sizes(path: Path) -> list[int]:
    """Return how many images train, validation and test have."""
    return [len(split) for split in load_dataset(path, cache=False, allow_partial=True).splits()]


NESTINGS: Final = ("", "archive", "fer2013/versions/1", "a/b/c/d/e/f/g/h")


@pytest.mark.parametrize("above", NESTINGS)
@pytest.mark.parametrize("zipped", [False, True], ids=["folder", "zip"])
def test_parts_are_found_at_any_depth(tmp_path: Path, above: str, zipped: bool) -> None:
    inside = {f"{above}/{name}".lstrip("/"): data for name, data in kaggle_files(ROWS).items()}
    path = write_zip(tmp_path / "a.zip", inside) if zipped else write_folder(tmp_path / "a", inside)
    assert sizes(path) == [35, 7, 7]  # by the usages in the names: PublicTest is validation


def test_the_nearest_part_counts_and_the_other_is_named(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "set", files("train/test", "train/val"))
    dataset = load_dataset(path, cache=False)
    assert [len(split) for split in dataset.splits()] == [0, 2, 2]
    assert "folder train/test: taken as test, the nearest, not as train" in dataset.left_out


def test_a_part_that_stands_in_two_folders_is_named(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "set", files("images/test", "images/images/test"))
    dataset = load_dataset(path, cache=False)
    assert len(dataset.test) == 4
    assert dataset.left_out == (
        "split test is in 2 folders, images/images/test, images/test: all are read",
    )


def test_a_folder_that_is_itself_a_part_is_that_part(tmp_path: Path) -> None:
    assert sizes(write_folder(tmp_path / "train", files(""))) == [2, 0, 0]
    assert sizes(write_folder(tmp_path / "Test", files(""))) == [0, 0, 2]


def test_names_of_fer2013_say_the_part_where_no_folder_does(tmp_path: Path) -> None:
    inside = {name.partition("/")[2]: data for name, data in kaggle_files(ROWS).items()}
    assert sizes(write_folder(tmp_path / "all", inside)) == [35, 7, 7]


@pytest.mark.parametrize(
    ("folders", "named"),
    [
        (("learn", "exam"), "the classes are in exam, learn"),
        (("train", "exam"), "others in exam"),
        (("train", ""), "others in the top folder"),
        (("Train_set",), "the classes are in Train_set"),
        (("data/my-test-data",), "the classes are in data/my-test-data"),
        (("traning",), "the classes are in traning"),
        (("a", "b", "c", "d", "e"), "the classes are in a, b, c and 2 more"),
    ],
    ids=lambda value: f"d15-{'+'.join(value)}" if isinstance(value, tuple) else "",
)
def test_d15_a_part_that_is_not_recognised_stops(
    tmp_path: Path, folders: tuple[str, ...], named: str
) -> None:
    with pytest.raises(DatasetError, match=r": not clearly divided into splits: .*\. ") as caught:
        load_dataset(write_folder(tmp_path / "set", files(*folders)), cache=False)
    assert named in str(caught.value)


@pytest.mark.parametrize("name", ["happy/train/1.jpg", "train/happy/test/1.jpg"])
def test_d16_a_part_inside_a_class_stops(tmp_path: Path, name: str) -> None:
    path = write_folder(tmp_path / "set", {name: FACE, "train/sad/2.jpg": FACE})
    with pytest.raises(DatasetError, match=r"a split inside a class, (train/)?happy/t"):
        load_dataset(path, cache=False)


def test_d17_a_misspelt_class_is_suggested_and_not_applied(tmp_path: Path) -> None:
    inside = files("test", names=("happy/1.jpg", "sad/2.jpg", "suprise/3.jpg"))
    dataset = load_dataset(write_folder(tmp_path / "set", inside), cache=False)
    assert dataset.test.sources == ("test/happy/1.jpg", "test/sad/2.jpg")
    assert dataset.left_out == (
        "class folder test/suprise: not a known expression, 1 image left out. Did you mean "
        "surprise? Rename the folder",
    )


def test_d17_classes_that_are_all_misspelt_are_no_labels_of_their_own(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "set", files("", names=("hapy/1.jpg", "suprise/2.jpg")))
    with pytest.raises(DatasetError, match=r"hapy \(did you mean happy\?\), suprise \(did you"):
        load_dataset(path, cache=False)


def test_classes_of_their_own_are_the_label_set(tmp_path: Path) -> None:
    inside = files("train", "test", names=("Bored/1.jpg", "confused/2.jpg", "calm/3.jpg"))
    path = write_folder(tmp_path / "set", inside)
    for _ in range(2):  # the second time from the cache
        dataset = load_dataset(path)
        assert dataset.labels.names == ("bored", "calm", "confused")
        assert dataset.test.labels.tolist() == [0, 1, 2]


def test_raf_db_is_known_by_its_numbers_and_file_names(tmp_path: Path) -> None:
    inside = {
        f"DATASET/{part}/{k}/{part}_{k:04}_aligned.jpg": jpeg(np.full((9, 9), 30 * k, np.uint8))
        for part in ("train", "test")
        for k in range(1, 8)
    }
    dataset = load_dataset(write_folder(tmp_path / "raf", inside), cache=False)
    assert dataset.labels == FER2013
    shown = {
        round(int(image[0, 0]) / 30): FER2013.names[label]
        for image, label in zip(dataset.test.images, dataset.test.labels, strict=True)
    }
    assert shown == {
        1: "surprise", 2: "fear", 3: "disgust", 4: "happy", 5: "sad", 6: "angry", 7: "neutral",
    }  # fmt: skip
    assert "taken as RAF-DB's, 1 surprise" in dataset.left_out[0]


def test_class_folders_of_tiff_are_read(tmp_path: Path) -> None:
    inside = {}
    for name in PAIR:
        stream = io.BytesIO()
        Image.fromarray(draw_face("sad", 1)).save(stream, "TIFF")
        inside[name.replace(".jpg", ".tiff")] = stream.getvalue()
    dataset = load_dataset(write_folder(tmp_path / "set", inside), cache=False)
    assert np.array_equal(dataset.test.images[0], draw_face("sad", 1))
    assert dataset.left_out == ()


def test_other_numbered_folders_are_no_expressions(tmp_path: Path) -> None:
    inside = {f"test/{k}/face_{k}.jpg": FACE for k in range(1, 8)}
    dataset = load_dataset(write_folder(tmp_path / "set", inside), cache=False)
    assert dataset.labels.names == tuple("1234567")


def test_a_folder_that_holds_the_competition_file_is_read(tmp_path: Path) -> None:
    inside = {
        "fer2013/README": b"synthetic",
        "fer2013/another.csv": b"a,b\n1,2\n",
        "fer2013/figure.png": b"no image",
        "fer2013/fer2013.csv": competition_text(ROWS).encode(),
    }
    dataset = load_dataset(write_folder(tmp_path / "down", inside), cache=False, allow_partial=True)
    assert (dataset.name, dataset.protocol) == ("fer2013", "competition")
    assert [len(split) for split in dataset.splits()] == [35, 7, 7]


@pytest.mark.parametrize("name", ["other.csv", "fer2013.zip", "1.jpg", "one/1.jpg"])
def test_d18_a_folder_without_table_or_classes_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetError, match=r"^set: no (class folders|CSV file)") as caught:
        load_dataset(write_folder(tmp_path / "set", {name: b"a,b"}), cache=False)
    assert len(str(caught.value)) < 250
