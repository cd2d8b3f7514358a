"""The competition file: what is read, and each way it can be wrong."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from facial_expressions.data.competition import read_competition
from facial_expressions.data.load import load_dataset, load_reading
from facial_expressions.errors import DatasetError
from facial_expressions.labels import FER2013
from tests.builders import (
    Row,
    competition_text,
    make_rows,
    write_competition_csv,
    write_competition_tar,
    write_competition_zip,
    write_zip,
)

ROWS = make_rows(train=2, public=1, private=1)
PIXELS = " ".join(["7"] * 2304)


def read_text(folder: Path, text: str | bytes) -> None:
    path = folder / "fer2013.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    read_competition(path)


def test_pixels_labels_and_usages_come_back(tmp_path: Path) -> None:
    reading = read_competition(write_competition_csv(tmp_path / "fer2013.csv", ROWS))
    assert np.array_equal(reading.rows.images, np.stack([row.image for row in ROWS]))
    assert [FER2013.names[i] for i in reading.rows.labels] == [row.label for row in ROWS]
    assert reading.rows.usages.tolist() == [row.usage for row in ROWS]
    assert reading.rows.sources[:2] == ("row 0", "row 1")


@pytest.mark.parametrize("write", [write_competition_zip, write_competition_tar])
def test_archives_hold_the_same_rows(tmp_path: Path, write: object) -> None:
    plain = read_competition(write_competition_csv(tmp_path / "fer2013.csv", ROWS))
    assert callable(write)
    packed = read_competition(write(tmp_path / "packed", ROWS))
    assert np.array_equal(packed.rows.images, plain.rows.images)
    assert np.array_equal(packed.rows.labels, plain.rows.labels)


def test_the_table_by_its_usual_name_is_taken_before_others(tmp_path: Path) -> None:
    """A copy whose name comes first holds other rows."""
    files = {"a copy.csv": ROWS[:1], "data/fer2013.csv": ROWS}
    texts = {name: competition_text(rows).encode() for name, rows in files.items()}
    assert len(read_competition(write_zip(tmp_path / "fer.zip", texts)).rows) == len(ROWS)
    for name, text in texts.items():
        (tmp_path / "fer" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fer" / name).write_bytes(text)
    assert len(read_competition(tmp_path / "fer").rows) == len(ROWS)


def test_code_6_is_neutral_and_code_3_happy(tmp_path: Path) -> None:
    text = f"emotion,pixels,Usage\n6,{PIXELS},Training\n3,{PIXELS},Training\n"
    path = tmp_path / "fer2013.csv"
    path.write_text(text)
    labels = read_competition(path).rows.labels
    assert [FER2013.names[i] for i in labels] == ["neutral", "happy"]


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeffemotion,pixels,Usage\n0,{PIXELS},Training\n",
        f"emotion,pixels,Usage\r\n0,{PIXELS},Training\r\n",
        f"Usage,emotion,pixels\nTraining,0,{PIXELS}\n",
        f"emotion, Usage, pixels\n0,Training,{PIXELS}\n",
        f'emotion,pixels,Usage\n0,"{PIXELS}",Training\n',
        f"id,pixels,Usage,emotion\n17,{PIXELS},Training,0\n",
        f"emotion,pixels,Usage\n0,{PIXELS},Training",
        f"emotion,pixels,Usage\n\n0,{PIXELS.replace(' ', '  ')},Training\n\n",
    ],
    ids=["bom", "crlf", "shuffled", "icml", "quotes", "further column", "no end", "blank lines"],
)
def test_harmless_variations_are_understood(tmp_path: Path, text: str) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_bytes(text.encode())
    rows = read_competition(path).rows
    assert (rows.labels.tolist(), rows.usages.tolist()) == ([0], ["Training"])
    assert np.unique(rows.images).tolist() == [7]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (f"0,{PIXELS} 7,Training", r"row 1 .*line 3.* needs 2,304 pixels, not 2,305"),
        (f"0,{PIXELS[:-2]},Training", r"needs 2,304 pixels, not 2,303"),
        (f"0,{PIXELS[:-1]}x,Training", r"pixels that are whole numbers, not 'x'"),
        (f"0,{PIXELS[:-1]}-7,Training", r"whole numbers, not '-7'"),
        (f"0,{PIXELS[:-1]}7.5,Training", r"whole numbers, not '7.5'"),
        (f"0,{PIXELS[:-1]}256,Training", r"pixels of 0 to 255, not 256"),
        (f"0,{PIXELS[:-1]}{10**30},Training", r"pixels of 0 to 255, not"),
        (f"7,{PIXELS},Training", r"code 0 to 6, not '7'"),
        (f"happy,{PIXELS},Training", r"code 0 to 6, not 'happy'"),
        (f"0,{PIXELS},Validation", r"usage of Training, .*, not 'Validation'"),
        (f"0,{PIXELS}", r"needs 3 columns, not 2"),
        (f"0,{PIXELS[:400]}", r"needs 3 columns, not 2"),
    ],
)
def test_bad_row_is_named(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read_text(tmp_path, f"emotion,pixels,Usage\n0,{PIXELS},Training\n{row}\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "emotion,Usage\n0,Training\n",
            r"needs the columns emotion, pixels, usage and has emotion",
        ),
        ("", "and has none"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 600, "not the competition file"),
        (b"x" * 200_000, "has a line of over 65,536 bytes"),
    ],
    ids=["column missing", "empty", "binary", "one endless line"],
)
def test_other_files_are_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read_text(tmp_path, text)


def test_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fer2013.csv").touch()
    with pytest.raises(DatasetError, match="empty file"):
        load_reading(tmp_path / "fer2013.csv")


def test_d01_wrong_count_of_rows_is_refused(tmp_path: Path) -> None:
    path = write_competition_csv(tmp_path / "fer2013.csv", ROWS)
    with pytest.raises(
        DatasetError,
        match=r"14 Training \+ 7 PublicTest \+ 7 PrivateTest images instead of "
        r"28,709 Training \+ 3,589 PublicTest \+ 3,589 PrivateTest",
    ):
        load_dataset(path)


def test_partial_file_is_read_when_allowed(tmp_path: Path) -> None:
    path = write_competition_csv(tmp_path / "fer2013.csv", ROWS)
    dataset = load_dataset(path, allow_partial=True)
    assert [len(split) for split in dataset.splits()] == [14, 7, 7]


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
def test_cut_tar_is_refused(tmp_path: Path, kept: float) -> None:
    rng = np.random.default_rng(0)
    noise = [Row("sad", rng.integers(0, 256, (48, 48)).astype(np.uint8), "Training")] * 3
    path = write_competition_tar(tmp_path / "fer2013.tar.gz", noise)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(DatasetError, match=r"fer2013\.tar\.gz: damaged or truncated"):
        read_competition(path)


def test_cut_zip_is_refused(tmp_path: Path) -> None:
    path = write_competition_zip(tmp_path / "fer2013.zip", ROWS)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DatasetError, match=": damaged or truncated"):
        load_dataset(path)


def test_zip_with_one_byte_changed_is_refused(tmp_path: Path) -> None:
    path = write_competition_zip(tmp_path / "fer2013.zip", ROWS)
    data = bytearray(path.read_bytes())
    place = data.index(b"Training") - 2  # the last digit of the first image
    data[place] = ord("1") if data[place] != ord("1") else ord("2")
    path.write_bytes(data)
    with pytest.raises(DatasetError, match="Bad CRC-32"):
        read_competition(path)


def test_archive_without_the_table_says_what_it_holds(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "other.zip", {"a.csv": b"id,value\n1,2\n", "b.txt": b"hello"})
    with pytest.raises(DatasetError, match=r"no CSV file with the columns .*, only a\.csv"):
        load_dataset(path)


def test_table_is_found_among_others(tmp_path: Path) -> None:
    files = {"a.csv": b"id,value\n1,2\n", "deep/fer2013.csv": competition_text(ROWS).encode()}
    reading = read_competition(write_zip(tmp_path / "both.zip", files))
    assert len(reading.rows) == len(ROWS)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("../fer2013.csv", tarfile.REGTYPE, "leads out of the archive"),
        ("/etc/fer2013.csv", tarfile.REGTYPE, "leads out of the archive"),
        ("fer2013.csv", tarfile.SYMTYPE, "a link or device"),
        ("fer2013.csv", tarfile.LNKTYPE, "a link or device"),
        ("fer2013.csv", tarfile.CHRTYPE, "a link or device"),
    ],
)
def test_d11_unsafe_tar_members_are_refused(
    tmp_path: Path, name: str, kind: bytes, message: str
) -> None:
    path = tmp_path / "fer2013.tar"
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo(name)
        member.type = kind
        member.linkname = "/etc/passwd"
        archive.addfile(member, io.BytesIO(b""))
    with pytest.raises(DatasetError, match=message):
        load_dataset(path)


def test_tar_header_of_many_megabytes_is_refused(tmp_path: Path) -> None:
    """A PAX header may claim any size, and tarfile reads it into memory at once."""
    path = tmp_path / "fer2013.tar.gz"
    member = tarfile.TarInfo("pax")
    member.type = tarfile.XHDTYPE
    member.size = 3 * 1024**3
    with gzip.open(path, "wb") as stream:
        stream.write(member.tobuf(tarfile.USTAR_FORMAT) + bytes(10_240))
    with pytest.raises(DatasetError, match="a header that claims 3,221,225,472 bytes"):
        load_dataset(path)


def test_tar_header_with_a_negative_size_is_refused(tmp_path: Path) -> None:
    """It would lead back to the header itself, forever."""
    path = tmp_path / "fer2013.tar"
    member = tarfile.TarInfo("a.txt")
    member.size = -512
    path.write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(10_240))
    with pytest.raises(DatasetError, match="a header that claims -512 bytes"):
        load_dataset(path)


def test_tar_member_too_large_to_be_a_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fer2013.tar"
    member = tarfile.TarInfo("fer2013.csv")
    member.size = 2 * 1024**3
    path.write_bytes(member.tobuf() + b"emotion,pixels,Usage\n" + bytes(10_000))
    with pytest.raises(DatasetError, match=r"fer2013\.csv: too large with 2,147 MB"):
        load_dataset(path)


def test_padding_bomb_behind_the_archive_is_refused(tmp_path: Path) -> None:
    path = write_competition_tar(tmp_path / "fer2013.tar.gz", ROWS[:1])
    with gzip.open(path, "ab") as stream:
        stream.write(bytes(20 * 1024**2))
    with pytest.raises(DatasetError, match="many megabytes behind its end"):
        read_competition(path)


@pytest.mark.parametrize("mode", ["w", "w:bz2", "w:xz"])
def test_other_compressions_are_read(tmp_path: Path, mode: Literal["w", "w:bz2", "w:xz"]) -> None:
    path = tmp_path / "fer2013.tar"
    data = competition_text(ROWS).encode()
    with tarfile.open(path, mode) as archive:
        member = tarfile.TarInfo("fer2013.csv")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    assert len(read_competition(path).rows) == len(ROWS)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="file or folder not found"):
        load_dataset(tmp_path / "none.csv")
