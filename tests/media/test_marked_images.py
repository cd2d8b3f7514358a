"""Marked images: the name asked for, or free names in a folder; no metadata."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facial_expressions.errors import StorageError
from facial_expressions.images import load_image
from facial_expressions.media.marked_images import MarkedImages

IMAGE = np.full((20, 30, 3), 50, np.uint8)


def test_names_follow_the_original_and_never_collide(tmp_path: Path) -> None:
    folder = MarkedImages(tmp_path / "new" / "marked")
    names = ["a/team.png", "b/team.png", "team.JPG", "team.webp", "stdin", "写真.jpeg"]
    saved = [folder.save(IMAGE, [], name=name) for name in names]
    assert [path.relative_to(tmp_path / "new" / "marked").as_posix() for path in saved] == [
        "a/team-faces.png",
        "b/team-faces.png",
        "team-faces.jpg",
        "team-faces.png",
        "stdin-faces.png",
        "写真-faces.jpg",
    ]


def test_nothing_that_exists_is_overwritten(tmp_path: Path) -> None:
    original = tmp_path / "team-faces.png"
    original.write_bytes(b"the user's own")
    saved = MarkedImages(tmp_path).save(IMAGE, [], name="team.png")
    assert saved.name == "team-faces-2.png"
    assert original.read_bytes() == b"the user's own"


def test_png_keeps_the_pixels_and_jpeg_nearly(tmp_path: Path) -> None:
    folder = MarkedImages(tmp_path)
    png = load_image(folder.save(IMAGE, [], name="a.bmp"))
    jpeg = load_image(folder.save(IMAGE, [], name="a.jpg"))
    assert np.array_equal(png, IMAGE)
    assert np.abs(jpeg.astype(int) - IMAGE).max() <= 2


@pytest.mark.parametrize(
    "name", ["x" * 300 + ".png", "面" * 100 + ".png", "..png", ".hidden", "../up.png"]
)
def test_names_that_are_long_or_odd(tmp_path: Path, name: str) -> None:
    saved = MarkedImages(tmp_path).save(IMAGE, [], name=name)
    assert saved.parent == tmp_path
    assert saved.stat().st_size > 0


@pytest.mark.parametrize(
    ("name", "kind"), [("out.png", "PNG"), ("out.JPG", "JPEG"), ("o.webp", "WEBP")]
)
def test_one_image_gets_the_name_and_format_asked_for(tmp_path: Path, name: str, kind: str) -> None:
    saved = MarkedImages(tmp_path / name).save(IMAGE, [], name="deep/team.bmp")
    assert saved == tmp_path / name
    with Image.open(saved) as image:
        assert (image.format, image.size) == (kind, (30, 20))


@pytest.mark.skipif(os.name != "posix", reason="Windows needs a privilege to make a link")
@pytest.mark.parametrize("planted", ["a", "a/b"])
def test_e17_no_folder_below_the_target_is_reached_through_a_link(
    planted: str, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    link = tmp_path / "marked" / planted
    link.parent.mkdir(parents=True)
    link.symlink_to(victim)
    with pytest.raises(StorageError, match="a symbolic link, which is not followed"):
        MarkedImages(tmp_path / "marked").save(IMAGE, [], name="a/b/c.png")
    assert list(victim.iterdir()) == []


@pytest.mark.parametrize("name", ["/x/a.png", "../x/a.png", "x/../../a.png", "/../a.png"])
def test_e17_a_name_leads_to_no_place_outside_the_target(name: str, tmp_path: Path) -> None:
    saved = MarkedImages(tmp_path / "marked").save(IMAGE, [], name=name)
    assert (tmp_path / "marked") in saved.resolve().parents
