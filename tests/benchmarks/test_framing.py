"""The measurement behind the default framing, on made values and on the real FER-2013."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import framing as script
from facial_expressions.inference.contracts import Detection
from facial_expressions.inference.detectors.centerface import CenterFaceDetector
from facial_expressions.inference.options import RecognizerOptions
from facial_expressions.preprocessing import Framing, crop_faces
from facial_expressions.results import Box


def test_a_detection_is_expressed_in_fractions_of_the_image() -> None:
    """An image of 200 with a border of 100; the eye line falls by 10 over 100: 5.71 degrees."""
    marks = ((140.0, 180.0), (240.0, 190.0), (190.0, 220.0), (150.0, 260.0), (230.0, 260.0))
    row = script.describe(Detection(Box(120, 110, 280, 290), 0.9, marks), 200, 100)
    assert (row["width"], row["height"]) == pytest.approx((0.8, 0.9))
    assert (row["center_x"], row["center_y"]) == pytest.approx((0.5, 0.5))
    assert row["roll_degrees"] == pytest.approx(5.7106, abs=1e-4)


def test_enlarging_repeats_the_border() -> None:
    canvas, side, border = script.enlarge(np.full((48, 48), 9, np.uint8))
    assert (canvas.shape, side, border) == ((384, 384, 3), 192, 96)
    assert (canvas == 9).all()


def test_the_detectors_framing_is_the_measured_one(repository: Path) -> None:
    text = (repository / "docs" / "measurements" / "framing.json").read_text(encoding="utf-8")
    measured = json.loads(text)
    assert Framing(**measured["framing"]) == CenterFaceDetector.framing
    assert measured["faces"] > 0.8 * measured["images"] == 0.8 * 2000


def test_real_images_pasted_into_larger_ones_are_cut_out_again(fer2013_archive: Path) -> None:
    """Over 60 faces the crop lies where the image was: medians within 3% of its side."""
    detector = CenterFaceDetector(RecognizerOptions(threads=1))
    shifts, scales, differences = [], [], []
    for image in script.draw_training_images(fer2013_archive, 60, seed=1):
        canvas, side, border = script.enlarge(image)
        for face in detector.detect(canvas)[:1]:
            row = script.describe(face, side, border)
            framing = detector.framing
            width = row["width"] / framing.box_width_fraction
            height = row["height"] / framing.box_height_fraction
            scales.append((width * height) ** 0.5)
            shifts.append((row["center_x"] - framing.center_x, row["center_y"] - framing.center_y))
            crop = crop_faces(canvas, [face.box], [face.landmarks], framing, size=48)[0]
            differences.append(np.abs(crop.astype(int) - image).mean())
    assert len(scales) > 48
    assert np.median(scales) == pytest.approx(1, abs=0.05)
    assert np.abs(np.median(shifts, axis=0)).max() < 0.03
    assert np.median(differences) < 30
