"""Corruptions do what their amounts say, to each image by itself, the same way each time."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.evaluation.robustness import (
    CORRUPTIONS,
    SEVERITIES,
    Corruption,
    corrupt,
)
from facial_expressions.labels import FER2013
from tests import builders

FACES = np.stack([builders.draw_face(label, seed) for seed in range(3) for label in FER2013])
each_kind = pytest.mark.parametrize("kind", CORRUPTIONS, ids=lambda kind: kind.name)


def kind_of(name: str) -> Corruption:
    return next(kind for kind in CORRUPTIONS if kind.name == name)


def flat(grey: int, *, side_px: int = 48) -> NDArray[np.uint8]:
    return np.full((1, side_px, side_px), grey, np.uint8)


def dot(*, side_px: int = 96) -> NDArray[np.uint8]:
    """A soft white spot in the middle of black, whose place can be measured to a fraction."""
    y, x = np.mgrid[:side_px, :side_px] + 0.5
    distance = np.hypot(x - side_px / 2, y - side_px / 2)
    return np.asarray(255 * np.exp(-(distance**2) / 50), np.uint8)[None]


def middle(crop: NDArray[np.uint8]) -> tuple[float, float]:
    """Centre of mass in pixels, right and down."""
    y, x = np.mgrid[: crop.shape[0], : crop.shape[1]] + 0.5
    mass = crop / crop.sum()
    return float((x * mass).sum()), float((y * mass).sum())


@each_kind
def test_every_kind_has_an_amount_for_each_severity_and_grows(kind: Corruption) -> None:
    """The distance to the image itself grows with the severity, over many faces."""
    assert len(kind.levels) == len(SEVERITIES)
    distances = [
        np.abs(corrupt(FACES, kind, severity=severity).astype(int) - FACES).mean()
        for severity in SEVERITIES
    ]
    assert distances == sorted(distances)
    assert distances[0] > 0


@each_kind
def test_an_image_is_changed_alike_in_any_batch_and_order(kind: Corruption) -> None:
    together = corrupt(FACES, kind, severity=4)
    turned = corrupt(FACES[::-1], kind, severity=4)[::-1]
    alone = np.concatenate([corrupt(FACES[i : i + 1], kind, severity=4) for i in range(len(FACES))])
    assert np.array_equal(together, turned)
    assert np.array_equal(together, alone)


@pytest.mark.parametrize("name", ["shift", "scale", "rotation", "box_jitter", "noise", "occlusion"])
def test_another_seed_draws_anew(name: str) -> None:
    first, same, other = (
        corrupt(FACES, kind_of(name), severity=5, seed=seed) for seed in (0, 0, 1)
    )
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


@each_kind
def test_images_stay_crops_and_the_given_ones_stay_as_they_are(kind: Corruption) -> None:
    before = FACES.copy()
    changed = corrupt(FACES, kind, severity=5)
    assert changed.shape == FACES.shape
    assert changed.dtype == np.uint8
    assert np.array_equal(FACES, before)


def test_a_shifted_box_is_off_by_exactly_its_amount() -> None:
    """4% of 96 pixels are 3.84; the content moves the other way than the box."""
    crop = dot()
    x, y = middle(corrupt(crop, kind_of("shift"), severity=2)[0])
    assert np.hypot(x - 48, y - 48) == pytest.approx(3.84, abs=0.15)  # Pillow cuts fractions off


def test_a_scaled_box_changes_the_size_of_the_content() -> None:
    """A spot's area changes by 0.9 or 1.1 to the second; both signs occur among ten images."""
    spots = [dot(side_px=side) for side in range(80, 120, 4)]
    changed = [corrupt(spot, kind_of("scale"), severity=5) for spot in spots]
    ratios = [
        float(after.sum() / before.sum()) for before, after in zip(spots, changed, strict=True)
    ]
    assert all(min(abs(r - 1 / 1.1**2), abs(r - 1 / 0.9**2)) < 0.02 for r in ratios)
    assert min(ratios) < 1 < max(ratios)


def test_a_turned_box_turns_a_line_by_its_amount() -> None:
    """A horizontal line through the middle gets the slope of 10 degrees."""
    crop = np.zeros((1, 96, 96), np.uint8)
    crop[0, 46:50] = 255
    turned = corrupt(crop, kind_of("rotation"), severity=5)[0].astype(float)
    rows = np.arange(96) + 0.5
    heights = (turned * rows[:, None]).sum(0) / turned.sum(0)
    slope = np.polyfit(np.arange(24, 72), heights[24:72], 1)[0]
    assert abs(slope) == pytest.approx(np.tan(np.radians(10)), abs=0.01)


def test_a_jittered_box_stays_within_its_amount() -> None:
    """At severity 1 a spot in the middle moves by at most 2% each way: 1.92 of 96 pixels."""
    spots = [np.minimum(dot(), np.uint8(255 - i)) for i in range(30)]
    moved = np.array([middle(corrupt(s, kind_of("box_jitter"), severity=1)[0]) for s in spots]) - 48
    assert np.abs(moved).max() <= 1.92 + 0.15
    assert np.abs(moved).max() > 1.0


def test_low_light_keeps_its_share_of_the_light() -> None:
    dark = [int(corrupt(flat(200), kind_of("low_light"), severity=s)[0, 0, 0]) for s in SEVERITIES]
    assert dark == [150, 120, 90, 60, 40]


def test_contrast_shrinks_towards_the_mean() -> None:
    """Half 100, half 200: mean 150, a distance of 50, of which 20% are left."""
    crop = flat(100)
    crop[:, :, 24:] = 200
    assert set(corrupt(crop, kind_of("contrast"), severity=5).ravel().tolist()) == {140, 160}


def test_noise_has_its_deviation_and_no_bias() -> None:
    noise = corrupt(flat(128, side_px=256), kind_of("noise"), severity=5)[0].astype(float) - 128
    assert noise.std() == pytest.approx(10, rel=0.02)
    assert noise.mean() == pytest.approx(0, abs=0.2)


def test_resolution_loses_what_is_finer_than_its_pixels() -> None:
    """Stripes of one pixel become grey at half the side; stripes of 8 pixels stay."""
    fine, coarse = flat(0), flat(0)
    fine[:, :, ::2] = 255
    coarse[:, :, (np.arange(48) // 8) % 2 == 1] = 255
    half = kind_of("resolution")
    assert corrupt(fine, half, severity=5)[0, 24, 8:40].std() < 10
    assert corrupt(coarse, half, severity=5)[0, 24].std() > 100


def test_jpeg_at_its_strongest_is_pillows_quality_30() -> None:
    buffer = io.BytesIO()
    Image.fromarray(FACES[0]).save(buffer, format="JPEG", quality=30)
    expected = np.asarray(Image.open(buffer))
    assert np.array_equal(corrupt(FACES[:1], kind_of("jpeg"), severity=5)[0], expected)


@pytest.mark.parametrize(("severity", "percent"), [(1, 4), (2, 8), (3, 12), (4, 16), (5, 20)])
def test_occlusion_covers_one_rectangle_of_at_most_its_area(severity: int, percent: int) -> None:
    """The rectangle has one grey, which is found as what differs from the image."""
    y, x = np.mgrid[:48, :48]
    for i in range(20):
        crop = ((x * 5 + y * 3 + i) % 251).astype(np.uint8)[None]
        changed = corrupt(crop, kind_of("occlusion"), severity=severity)[0] != crop[0]
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        area = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        assert 0.75 * percent / 100 * 48**2 < area <= percent / 100 * 48**2
        assert changed.sum() > 0.9 * area


def test_other_sizes_are_blurred_in_proportion() -> None:
    """A crop of twice the side, blurred and reduced, is the small crop blurred."""
    small = FACES[:1]
    large = small.repeat(2, axis=1).repeat(2, axis=2)
    blurred = corrupt(large, kind_of("blur"), severity=5).astype(float)
    reduced = blurred.reshape(1, 48, 2, 48, 2).mean(axis=(2, 4))
    assert np.abs(reduced - corrupt(small, kind_of("blur"), severity=5)).mean() < 2
