"""Builds a tiny synthetic FER-2013: drawn faces as competition file, Kaggle layout and FER+ votes.

Each expression has its own mouth, brows and eyes, so that a network can learn it from a few dozen
images; position, size and shades vary with the seed. The same arguments give the same bytes.
"""

from __future__ import annotations

import csv
import io
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from facial_expressions.labels import COMPETITION_ORDER, FER2013

HEADER = "emotion,pixels,Usage"
FERPLUS_HEADER = (
    "Usage", "Image name", "neutral", "happiness", "surprise", "sadness", "anger", "disgust",
    "fear", "contempt", "unknown", "NF",
)  # fmt: skip
_NOUN_OF = {
    "angry": "anger", "disgust": "disgust", "fear": "fear", "happy": "happiness",
    "neutral": "neutral", "sad": "sadness", "surprise": "surprise",
}  # fmt: skip
_ZOOM = 4  # faces are drawn larger and scaled down, for smooth edges


_BoxMaker = Callable[[float, float, float, float], tuple[float, float, float, float]]


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One image of the tiny data set: expression, pixels ``uint8 (48, 48)`` and usage."""

    label: str
    image: NDArray[np.uint8]
    usage: str


def draw_face(label: str, seed: int, *, side_px: int = 48) -> NDArray[np.uint8]:
    """Draw a face with an expression, grey ``uint8 (S, S)``."""
    rng = np.random.default_rng([seed, FER2013.id_of(label)])
    side = side_px * _ZOOM
    dx, dy = rng.uniform(-0.04, 0.04, 2)
    skin, background = int(rng.integers(150, 220)), int(rng.integers(30, 110))
    dark = int(rng.integers(10, 60))
    image = Image.new("L", (side, side), background)
    draw = ImageDraw.Draw(image)

    def box(x: float, y: float, w: float, h: float) -> tuple[float, float, float, float]:
        left, top = (x + dx - w / 2) * side, (y + dy - h / 2) * side
        return (left, top, left + w * side, top + h * side)

    def line(x0: float, y0: float, x1: float, y1: float) -> None:
        points = [((x + dx) * side, (y + dy) * side) for x, y in ((x0, y0), (x1, y1))]
        draw.line(points, fill=dark, width=side // 24)

    draw.ellipse(box(0.5, 0.5, 0.84, 0.96), fill=skin)
    eye = {"surprise": 0.13, "fear": 0.11, "happy": 0.05, "disgust": 0.04}.get(label, 0.07)
    inner = {"angry": 0.07, "disgust": 0.05, "sad": -0.07, "fear": -0.05}.get(label, 0.0)
    raised = {"surprise": -0.08, "fear": -0.04}.get(label, 0.0)
    for x, outwards in ((0.32, -1), (0.68, 1)):
        draw.ellipse(box(x, 0.42, 0.15, eye), fill=dark)
        line(x + outwards * 0.1, 0.3 + raised, x - outwards * 0.09, 0.3 + raised + inner)
    _draw_mouth(draw, label, box, dark)
    grey = image.resize((side_px, side_px), Image.Resampling.BOX)
    noise = rng.normal(0, 3, (side_px, side_px))
    return np.clip(np.asarray(grey, np.float64) + noise, 0, 255).astype(np.uint8)


def _draw_mouth(draw: ImageDraw.ImageDraw, label: str, box: _BoxMaker, dark: int) -> None:
    left, _, right, _ = box(0, 0, 0.05, 0)
    width = int(right - left)
    if label == "happy":
        draw.chord(box(0.5, 0.68, 0.44, 0.3), 0, 180, fill=dark)
    elif label == "sad":
        draw.arc(box(0.5, 0.84, 0.4, 0.24), 190, 350, fill=dark, width=width)
    elif label == "surprise":
        draw.ellipse(box(0.5, 0.76, 0.2, 0.26), fill=dark)
    elif label == "fear":
        draw.rectangle(box(0.5, 0.76, 0.42, 0.1), outline=dark, width=width)
    elif label == "angry":
        draw.rectangle(box(0.5, 0.76, 0.26, 0.06), fill=dark)
    elif label == "disgust":
        draw.arc(box(0.42, 0.8, 0.2, 0.16), 180, 360, fill=dark, width=width)
        draw.arc(box(0.6, 0.74, 0.2, 0.16), 0, 180, fill=dark, width=width)
    else:
        draw.rectangle(box(0.5, 0.76, 0.34, 0.03), fill=dark)


def make_rows(*, train: int = 8, public: int = 2, private: int = 2, seed: int = 0) -> list[Row]:
    """Make rows with so many images of each class in each usage; 84 as it stands."""
    counts = {"Training": train, "PublicTest": public, "PrivateTest": private}
    rows: list[Row] = []
    for usage, count in counts.items():
        for _ in range(count):
            for label in FER2013:
                number = seed * 100_000 + len(rows)
                rows.append(Row(label=label, image=draw_face(label, number), usage=usage))
    return rows


def competition_text(rows: Sequence[Row]) -> str:
    """Return rows in the competition's format and label order."""
    lines = [HEADER]
    for row in rows:
        code = COMPETITION_ORDER.index(row.label)
        lines.append(f"{code},{' '.join(map(str, row.image.ravel().tolist()))},{row.usage}")
    return "\n".join(lines) + "\n"


def write_competition_csv(path: Path, rows: Sequence[Row]) -> Path:
    """Write ``fer2013.csv``."""
    path.write_text(competition_text(rows), encoding="utf-8", newline="")
    return path


def write_competition_zip(path: Path, rows: Sequence[Row]) -> Path:
    """Write a zip that holds ``fer2013.csv``."""
    return write_zip(path, {"fer2013.csv": competition_text(rows).encode()})


def write_competition_tar(path: Path, rows: Sequence[Row]) -> Path:
    """Write a tar.gz that holds ``fer2013/fer2013.csv`` between other files."""
    files = {
        "fer2013/README": b"synthetic",
        "fer2013/fer2013.csv": competition_text(rows).encode(),
        "fer2013/fer2013.bib": b"@none{}",
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def jpeg(image: NDArray[np.uint8], *, quality: int = 95) -> bytes:
    """Encode a grey or RGB image as JPEG."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def kaggle_files(rows: Sequence[Row]) -> dict[str, bytes]:
    """Return the files of the Kaggle layout by path; numbers are those of the rows."""
    files = {}
    for number, row in enumerate(rows):
        part = "train" if row.usage == "Training" else "test"
        files[f"{part}/{row.label}/{row.usage}_{number}.jpg"] = jpeg(row.image)
    return files


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    """Write a zip of the given files."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return path


def write_folder(path: Path, files: dict[str, bytes]) -> Path:
    """Write files below a folder."""
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def write_kaggle_zip(path: Path, rows: Sequence[Row]) -> Path:
    """Write FER-2013's Kaggle layout as a zip."""
    return write_zip(path, kaggle_files(rows))


def write_kaggle_folder(path: Path, rows: Sequence[Row]) -> Path:
    """Write FER-2013's Kaggle layout as a folder."""
    return write_folder(path, kaggle_files(rows))


def votes_of(row: Row, number: int) -> list[int]:
    """Return ten votes: eight for the row's expression, one neutral, one unknown.

    Every tenth row has no majority: four for the expression, four unknown, two not a face.
    """
    columns = list(FERPLUS_HEADER[2:])
    votes = [0] * len(columns)
    split = number % 10 == 9
    votes[columns.index(_NOUN_OF[row.label])] += 4 if split else 8
    votes[columns.index("unknown")] += 4 if split else 1
    votes[columns.index("NF" if split else "neutral")] += 2 if split else 1
    return votes


def write_ferplus_csv(path: Path, rows: Sequence[Row]) -> Path:
    """Write FER+ votes row for row."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(FERPLUS_HEADER)
        for number, row in enumerate(rows):
            writer.writerow([row.usage, f"fer{number:07}.png", *votes_of(row, number)])
    return path
