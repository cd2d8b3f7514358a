"""Finding faces in large files: a smaller copy where that is enough, and nobody can tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.image_sources import ImageSource
from facial_expressions.images import load_image
from facial_expressions.inference import finding
from facial_expressions.inference.detectors.centerface import CenterFaceDetector
from facial_expressions.inference.finding import FaceFinder
from facial_expressions.inference.options import RecognizerOptions
from facial_expressions.media.tracking import shared
from facial_expressions.preprocessing import crop_faces


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    options = RecognizerOptions(threads=1)
    return FaceFinder(CenterFaceDetector(options), options, side=48)


PHONE, CAMERA = (3000, 4000), (2000, 3000)
"""Twelve and six megapixels, upright."""


def upright_photo(astronaut: Path, folder: Path, size: tuple[int, int], side: int) -> Path:
    """Write a JPEG, held upright, with a face about a sixth of ``side`` wide."""
    canvas = Image.new("RGB", size, (110, 120, 130))
    with Image.open(astronaut) as photo:
        canvas.paste(photo.convert("RGB").resize((side, side)), (100, 300))
    exif = Image.Exif()
    exif[0x0112] = 6
    path = folder / f"{side}.jpg"
    canvas.transpose(Image.Transpose.ROTATE_90).save(path, quality=90, exif=exif)
    return path


@pytest.mark.parametrize(
    ("size", "side", "n_full"),
    [(PHONE, 2600, 0), (PHONE, 700, 1), (CAMERA, 1800, 0), (CAMERA, 700, 1), (CAMERA, 160, 1)],
    ids=["12 MP, large", "12 MP, small", "6 MP, large", "6 MP, middle", "6 MP, small"],
)
def test_the_face_and_crop_of_a_large_photo_are_those_of_all_its_pixels(
    finder: FaceFinder,
    astronaut: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
    side: int,
    n_full: int,
) -> None:
    """A large face is cut from half of the image, a smaller one from all of it, read once."""
    path = upright_photo(astronaut, tmp_path, size, side)
    reads = []

    def noting(source: ImageSource, *, max_pixels: int) -> NDArray[np.uint8]:
        reads.append(source)
        return load_image(source, max_pixels=max_pixels)

    monkeypatch.setattr(finding, "load_image", noting)
    found = finder.find(path)
    assert len(reads) == n_full
    assert (found.width, found.height) == size
    full = load_image(path)
    (whole,), (face,) = finder.detect(full), found.detections
    assert shared(whole.box, face.box) > 0.93
    framing = CenterFaceDetector.framing
    (crop,) = crop_faces(full, [face.box], [face.landmarks], framing, size=48)
    assert np.abs(crop.astype(int) - found.crops[0]).max() <= (12 if n_full == 0 else 0)
