"""Class folders and the Kaggle layout, on disk and zipped."""

from __future__ import annotations

import io
import os
import stat
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facial_expressions.data.archives import open_tree
from facial_expressions.data.class_folders import find_class_folders, read_class_folders
from facial_expressions.data.load import load_dataset
from facial_expressions.errors import DatasetError
from facial_expressions.labels import FER2013, FERPLUS
from tests.builders import (
    draw_face,
    jpeg,
    kaggle_files,
    make_rows,
    write_folder,
    write_kaggle_folder,
    write_kaggle_zip,
    write_zip,
)

ROWS = make_rows(train=5, public=1, private=1)


def png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def test_kaggle_folder_and_zip_read_the_same(tmp_path: Path) -> None:
    folder = read_class_folders(write_kaggle_folder(tmp_path / "fer", ROWS))
    packed = read_class_folders(write_kaggle_zip(tmp_path / "fer.zip", ROWS))
    assert folder.kind == packed.kind == "kaggle"
    assert folder.rows.sources == packed.rows.sources
    assert np.array_equal(folder.rows.images, packed.rows.images)
    assert np.array_equal(folder.rows.usages, packed.rows.usages)


def test_kaggle_images_are_the_drawn_ones(tmp_path: Path) -> None:
    rows = read_class_folders(write_kaggle_folder(tmp_path / "fer", ROWS)).rows
    for image, label, usage, source in zip(
        rows.images, rows.labels, rows.usages, rows.sources, strict=True
    ):
        drawn = ROWS[int(source.rpartition("_")[2].removesuffix(".jpg"))]
        assert (FER2013.names[label], usage) == (drawn.label, drawn.usage)
        assert np.sqrt(np.mean((image.astype(float) - drawn.image) ** 2)) < 4


def test_one_folder_above_is_seen_through(tmp_path: Path) -> None:
    files = {f"archive/{name}": data for name, data in kaggle_files(ROWS).items()}
    reading = read_class_folders(write_zip(tmp_path / "fer.zip", files))
    assert (reading.kind, len(reading.rows)) == ("kaggle", len(ROWS))
    assert reading.parts.tolist().count("test") == 14


def test_kaggle_counts_are_checked(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"35 Training \+ 7 PublicTest .* instead of 28,709"):
        load_dataset(write_kaggle_zip(tmp_path / "fer.zip", ROWS))


def test_kaggle_without_usages_takes_the_protocol_kaggle(tmp_path: Path) -> None:
    files = {
        f"{name.rpartition('/')[0]}/im{k}.jpg": data
        for k, (name, data) in enumerate(kaggle_files(ROWS).items())
    }
    path = write_zip(tmp_path / "fer.zip", files)
    dataset = load_dataset(path, protocol="kaggle", allow_partial=True)
    assert [len(split) for split in dataset.splits()] == [28, 7, 14]
    assert set(dataset.test.usages.tolist()) == {""}
    with pytest.raises(DatasetError, match=r"instead of 28,709 train \+ 7,178 test"):
        load_dataset(path, protocol="kaggle")


@pytest.mark.parametrize("kind", ["missing", "empty"])
def test_class_folder_missing_or_empty_is_refused(tmp_path: Path, kind: str) -> None:
    files = {n: d for n, d in kaggle_files(ROWS).items() if not n.startswith("test/sad/")}
    path = write_folder(tmp_path / "fer", files)
    if kind == "empty":
        (path / "test" / "sad").mkdir()
    with pytest.raises(DatasetError, match="there are none in test/sad"):
        load_dataset(path, allow_partial=True)


def test_protocol_kaggle_on_seven_folders_without_test_is_refused(tmp_path: Path) -> None:
    files = {f"{label}/1.jpg": jpeg(draw_face(label, 1)) for label in FER2013}
    path = write_folder(tmp_path / "faces", files)
    with pytest.raises(DatasetError, match="there are none in train/angry"):
        load_dataset(path, protocol="kaggle")


def test_any_class_folders_are_read_with_synonyms(tmp_path: Path) -> None:
    files = {
        "Anger/a.jpg": jpeg(draw_face("angry", 1)),
        "02_Happiness/b.jpg": jpeg(draw_face("happy", 1)),
        "smirk/c.jpg": jpeg(draw_face("neutral", 1)),
        "smirk/d.jpg": jpeg(draw_face("neutral", 2)),
        "notes.txt": b"hello",
        ".DS_Store": b"x",
    }
    dataset = load_dataset(write_folder(tmp_path / "faces", files))
    assert (dataset.name, dataset.protocol, dataset.labels) == ("faces", "folder", FER2013)
    assert [len(split) for split in dataset.splits()] == [0, 0, 2]
    assert dataset.test.sources == ("02_Happiness/b.jpg", "Anger/a.jpg")
    assert dataset.left_out == (
        "class folder smirk: not a known expression, 2 images left out",
        "1 file of other kinds left out",
    )


def test_contempt_makes_it_the_eight_expressions(tmp_path: Path) -> None:
    files = {f"{name}/a.png": png(Image.new("L", (48, 48), 9)) for name in ("contempt", "sad")}
    dataset = load_dataset(write_folder(tmp_path / "faces", files))
    assert dataset.labels == FERPLUS
    assert [FERPLUS.names[i] for i in dataset.test.labels] == ["contempt", "sad"]


def test_split_folders_are_kept_and_validation_is_made_where_missing(tmp_path: Path) -> None:
    face = jpeg(draw_face("sad", 1))
    files = {f"train/sad/{k}.jpg": face for k in range(10)} | {"test/sad/x.jpg": face}
    dataset = load_dataset(write_folder(tmp_path / "a", files))
    assert [len(split) for split in dataset.splits()] == [8, 2, 1]
    dataset = load_dataset(write_folder(tmp_path / "b", files | {"val/sad/y.jpg": face}))
    assert [len(split) for split in dataset.splits()] == [10, 1, 1]


def test_unreadable_image_is_named_and_the_rest_read(tmp_path: Path) -> None:
    face = jpeg(draw_face("sad", 1))
    files = {"sad/a.jpg": face, "sad/b.jpg": face[:200], "sad/c.jpg": b"", "happy/d.jpg": face}
    dataset = load_dataset(write_folder(tmp_path / "faces", files))
    assert dataset.test.sources == ("happy/d.jpg", "sad/a.jpg")
    assert [sentence.split(":")[0] for sentence in dataset.left_out] == ["sad/b.jpg", "sad/c.jpg"]
    assert all("cannot be read" in sentence for sentence in dataset.left_out)
    assert "damaged or truncated" in dataset.left_out[0]
    assert "empty file" in dataset.left_out[1]


def test_unreadable_image_of_fer2013_is_named_in_the_error(tmp_path: Path) -> None:
    files = kaggle_files(ROWS)
    files["train/sad/Training_5.jpg"] = b"not an image"
    with pytest.raises(
        DatasetError, match=r"left out: train/sad/Training_5\.jpg: cannot be read: "
    ):
        load_dataset(write_zip(tmp_path / "fer.zip", files))


def test_large_colour_and_transparent_images_become_small_and_grey(tmp_path: Path) -> None:
    red = Image.new("RGB", (480, 320), (255, 0, 0))
    clear = Image.new("RGBA", (60, 60), (0, 0, 0, 0))
    deep = Image.fromarray(np.full((50, 50), 32_896, np.uint16))
    files = {"sad/a.png": png(red), "sad/b.png": png(clear), "sad/c.png": png(deep)}
    images = load_dataset(write_folder(tmp_path / "faces", files)).test.images
    assert images.shape == (3, 48, 48)
    assert [int(image[20, 20]) for image in images] == [76, 255, 128]  # 0.299 x 255; white; /257


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    photo = Image.fromarray(np.repeat(np.array([[0], [255]], np.uint8), 24, 0).repeat(48, 1))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    stream = io.BytesIO()
    photo.save(stream, "JPEG", exif=exif)
    path = write_folder(tmp_path / "faces", {"sad/a.jpg": stream.getvalue()})
    image = load_dataset(path).test.images[0]
    assert image[:20].min() > 200
    assert image[-20:].max() < 50


def test_links_that_loop_or_lead_nowhere_do_no_harm(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "faces", {"sad/a.jpg": jpeg(draw_face("sad", 1))})
    (path / "sad" / "loop").symlink_to(path, target_is_directory=True)
    (path / "sad" / "gone.jpg").symlink_to(path / "nothing.jpg")
    dataset = load_dataset(path)
    assert set(dataset.test.labels.tolist()) == {FER2013.id_of("sad")}
    assert any("sad/gone.jpg" in sentence for sentence in dataset.left_out)


@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="names are Unicode there")
def test_name_that_is_no_unicode_survives_the_cache(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "faces", {"sad/a.jpg": jpeg(draw_face("sad", 1))})
    odd = os.fsdecode(b"sad/\xff\xfe.jpg")
    (folder / "sad" / "a.jpg").rename(folder / odd)
    for _ in range(2):
        assert load_dataset(folder).test.sources == (odd,)


def test_photos_come_whole(tmp_path: Path) -> None:
    data = png(Image.new("RGB", (300, 200), "white"))
    path = write_folder(tmp_path / "faces", {"test/Joy/ü a.png": data})
    with open_tree(path) as tree:
        (photo,) = find_class_folders(tree).entries
        assert (photo.source, photo.part, photo.label) == ("test/Joy/ü a.png", "test", "happy")
        assert tree.read(photo.source) == data


def test_files_stand_by_name_however_a_tar_archive_orders_them(tmp_path: Path) -> None:
    names = ["happy/b.jpg", "angry/a.jpg", "happy/a.jpg"]
    with tarfile.open(tmp_path / "faces.tar", "w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
    with open_tree(tmp_path / "faces.tar") as tree:
        assert tree.names == sorted(names)


def test_folder_without_class_folders_is_refused(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "x", {"cats/a.jpg": b"1", "b.jpg": b"2"})
    with pytest.raises(
        DatasetError, match=r"no class folders among 2 files \(their folders: cats\)"
    ):
        load_dataset(path)


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no class folders among 0 files"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    "name", ["../sad/a.jpg", "/sad/a.jpg", "sad/../../a.jpg", "C:\\sad\\a.jpg"]
)
def test_zip_with_traversal_names_is_refused(tmp_path: Path, name: str) -> None:
    path = write_zip(tmp_path / "x.zip", {"sad/ok.jpg": b"1", name: b"2"})
    with pytest.raises(DatasetError, match="a name that leads out of the archive"):
        load_dataset(path)


def test_zip_with_a_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("sad/a.jpg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DatasetError, match="a link or device"):
        load_dataset(tmp_path / "x.zip")


def test_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", {"sad/a.jpg": b"1"})
    data = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + flags] |= 1
    path.write_bytes(data)
    with pytest.raises(DatasetError, match="an encrypted member"):
        load_dataset(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_zip_with_two_members_of_one_name_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("sad/a.jpg", b"1")
        archive.writestr("sad/a.jpg", b"2")
    with pytest.raises(DatasetError, match="two members of one name"):
        load_dataset(tmp_path / "x.zip")


def test_zip_bomb_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("sad/bomb.jpg", bytes(70 * 1024**2))
        archive.writestr("sad/ok.jpg", jpeg(draw_face("sad", 1)))
    dataset = load_dataset(path)
    assert dataset.test.sources == ("sad/ok.jpg",)
    assert "sad/bomb.jpg: cannot be read: too large with 67 MB or more" in dataset.left_out[0]


def test_image_bomb_is_left_out(tmp_path: Path) -> None:
    bomb = png(Image.new("1", (8_000, 8_000)))
    dataset = load_dataset(
        write_folder(tmp_path / "x", {"sad/a.png": bomb, "sad/b.png": png(Image.new("L", (9, 9)))})
    )
    assert dataset.test.sources == ("sad/b.png",)
    assert "with 8000x8000 pixels" in dataset.left_out[0]
