"""The folder of marked images: free names, nothing overwritten, no metadata."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facial_expressions.images import load_image
from facial_expressions.media.drawn_folder import DrawnFolder

IMAGE = np.full((20, 30, 3), 50, np.uint8)


def test_names_follow_the_original_and_never_collide(tmp_path: Path) -> None:
    folder = DrawnFolder(tmp_path / "new" / "marked")
    names = ["a/team.png", "b/team.png", "team.JPG", "team.webp", "-", "写真.jpeg"]
    saved = [folder.save(IMAGE, [], name=name).name for name in names]
    assert saved == [
        "team-faces.png",
        "team-faces-2.png",
        "team-faces.jpg",
        "team-faces-3.png",
        "stdin-faces.png",
        "写真-faces.jpg",
    ]


def test_nothing_that_exists_is_overwritten(tmp_path: Path) -> None:
    original = tmp_path / "team-faces.png"
    original.write_bytes(b"the user's own")
    saved = DrawnFolder(tmp_path).save(IMAGE, [], name="team.png")
    assert saved.name == "team-faces-2.png"
    assert original.read_bytes() == b"the user's own"


def test_png_keeps_the_pixels_and_jpeg_nearly(tmp_path: Path) -> None:
    folder = DrawnFolder(tmp_path)
    png = load_image(folder.save(IMAGE, [], name="a.bmp"))
    jpeg = load_image(folder.save(IMAGE, [], name="a.jpg"))
    assert np.array_equal(png, IMAGE)
    assert np.abs(jpeg.astype(int) - IMAGE).max() <= 2


@pytest.mark.parametrize("name", ["x" * 300 + ".png", "面" * 100 + ".png", "..png", "a/.hidden"])
def test_names_that_are_long_or_odd(tmp_path: Path, name: str) -> None:
    saved = DrawnFolder(tmp_path).save(IMAGE, [], name=name)
    assert saved.parent == tmp_path
    assert saved.stat().st_size > 0
