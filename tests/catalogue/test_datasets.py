"""The catalogue's data sets, D01 to D14, that the tests in ``tests/data`` leave over."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from facial_expressions.data.audit import audit_dataset, audit_text
from facial_expressions.data.load import load_dataset, load_reading
from facial_expressions.errors import DatasetError
from facial_expressions.labels import FER2013
from tests.builders import competition_text, draw_face, jpeg, make_rows, write_folder

ROWS: Final = make_rows(train=2, public=1, private=1)
TEXT: Final = competition_text(ROWS)
LINES: Final = TEXT.splitlines()


def read(folder: Path, text: str | bytes) -> int:
    """Read a competition file of this content; return its number of rows."""
    path = folder / "fer2013.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return len(load_reading(path, cache=False).rows)


def with_row(row: str) -> str:
    return "\n".join([*LINES[:5], row, *LINES[5:]]) + "\n"


def cells(line: str) -> list[str]:
    return next(csv.reader(io.StringIO(line)))


CODE, PIXELS, USAGE = cells(LINES[1])
BAD_ROWS: Final = {
    "D02-2303-pixels": f"0,{PIXELS.rpartition(' ')[0]},Training",
    "D02-2305-pixels": f"0,{PIXELS} 7,Training",
    "D02-256": f"0,256 {PIXELS.partition(' ')[2]},Training",
    "D02-minus-1": f"0,-1 {PIXELS.partition(' ')[2]},Training",
    "D02-text": f"0,abc {PIXELS.partition(' ')[2]},Training",
    "D02-empty": "0,,Training",
    "D02-fraction": f"0,1.5 {PIXELS.partition(' ')[2]},Training",
    "D02-huge": f"0,{'9' * 400} {PIXELS.partition(' ')[2]},Training",
    "D02-formula": f"0,=1 {PIXELS.partition(' ')[2]},Training",
    "D03-label-7": f"7,{PIXELS},Training",
    "D03-label-minus-1": f"-1,{PIXELS},Training",
    "D03-label-text": f"happy,{PIXELS},Training",
    "D03-label-missing": f",{PIXELS},Training",
    "D03-usage-unknown": f"0,{PIXELS},Validation",
    "D03-usage-missing": f"0,{PIXELS},",
    "D05-half-a-row": f"0,{PIXELS[:3_000]}",
}
HARMLESS: Final = {
    "D04-other-order": "Usage,pixels,emotion\n" + "".join(
        f"{usage},{pixels},{code}\n" for code, pixels, usage in map(cells, LINES[1:])
    ),
    "D04-bom": "\ufeff" + TEXT,
    "D04-crlf": TEXT.replace("\n", "\r\n"),
    "D04-quoted": TEXT.replace("emotion", '"emotion"'),
}  # fmt: skip
OTHER_FILES: Final = {
    "D04-no-header": "\n".join(LINES[1:]),
    "D04-semicolons": TEXT.replace(",", ";"),
    "D04-empty-of-rows-and-header": "\n\n\n",
    "D05-cut-in-a-row": TEXT[: len(TEXT) // 2],
    "D04-binary": bytes(range(256)) * 500,
}


@pytest.mark.parametrize("row", BAD_ROWS.values(), ids=BAD_ROWS.keys())
def test_a_bad_row_stops_the_reading_and_is_named(row: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"^fer2013\.csv: row 4 \(line 6\) needs .*, not"):
        read(tmp_path, with_row(row))


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS.keys())
def test_a_harmless_variation_is_read(text: str, tmp_path: Path) -> None:
    assert read(tmp_path, text) == len(ROWS)


@pytest.mark.parametrize("text", OTHER_FILES.values(), ids=OTHER_FILES.keys())
def test_another_file_is_refused(text: str | bytes, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"not the competition file|not 2\. Get the whole file"):
        read(tmp_path, text)


def test_d06_blank_and_doubled_images_are_counted_and_reported(tmp_path: Path) -> None:
    blank = f"0,{' '.join(['0'] * 2304)},Training"
    path = tmp_path / "fer2013.csv"
    path.write_text(
        "\n".join([*LINES, blank, LINES[1], LINES[1].replace("Training", "PublicTest")])
    )
    dataset = load_dataset(path, allow_partial=True, cache=False)
    text = audit_text(audit_dataset(dataset))
    assert "blank" in text.lower()
    assert "identical" in text.lower() or "duplicate" in text.lower()


def class_folders(folder: Path, *, per_class: int = 3) -> Path:
    files = {
        f"{label}/{i}.jpg": jpeg(draw_face(label, i)) for label in FER2013 for i in range(per_class)
    }
    return write_folder(folder, files)


def test_d09_nested_hidden_and_other_files_are_passed_over_and_named(tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "set")
    more = {
        "happy/.hidden.jpg": b"x", "happy/notes.txt": b"x", "unheard/1.jpg": b"x",
        "Thumbs.db": b"x", "__MACOSX/happy/1.jpg": b"x",
    }  # fmt: skip
    write_folder(folder, more)
    reading = load_reading(folder, cache=False)
    assert len(reading.rows) == 3 * 7
    said = " | ".join(reading.left_out)
    assert "unheard" in said
    assert "1 file of other kinds left out" in said


def test_d10_a_corrupt_image_is_named_and_left_out_every_time(tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "set")
    whole = (folder / "sad" / "1.jpg").read_bytes()
    (folder / "sad" / "1.jpg").write_bytes(whole[: len(whole) // 2])
    first, again = load_reading(folder), load_reading(folder)
    assert len(first.rows) == len(again.rows) == 3 * 7 - 1
    assert first.left_out == again.left_out
    assert "sad/1.jpg" in first.left_out[0]
    assert np.array_equal(first.rows.images, again.rows.images)


def test_d12_a_data_set_that_changed_has_another_digest(tmp_path: Path) -> None:
    """The digest is part of what a checkpoint belongs to; another one's is refused."""
    folder = class_folders(tmp_path / "set")
    before = load_dataset(folder).digest()
    (folder / "happy" / "0.jpg").write_bytes(jpeg(draw_face("happy", 99)))
    assert load_dataset(folder).digest() != before


def test_d13_a_class_of_one_image_is_divided_without_losing_it(tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "set", per_class=6)
    for i in range(1, 6):
        (folder / "disgust" / f"{i}.jpg").unlink()
    dataset = load_dataset(folder)
    labels = np.concatenate([split.labels for split in dataset.splits()])
    assert np.bincount(labels, minlength=7).tolist() == [6, 1, 6, 6, 6, 6, 6]
