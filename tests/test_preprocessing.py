"""Crops and batches: geometry by hand, averaging, borders, turning, round trips."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.errors import ImageError
from facial_expressions.inference.detectors.centerface import CenterFaceDetector
from facial_expressions.preprocessing import (
    Framing,
    Preprocessing,
    crop_faces,
    to_batch,
    to_grey_crops,
)
from facial_expressions.results import Box, Point

PLAIN = Framing(1.0, 1.0, 0.5, 0.5, 20.0)
"""The crop is the box itself."""


def waves(height: int = 300, width: int = 400) -> NDArray[np.uint8]:
    """A smooth RGB image with equal channels."""
    y, x = np.mgrid[:height, :width]
    grey = 127 + 60 * np.sin(x / 19) + 60 * np.cos(y / 23)
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)


def crop(
    image: NDArray[np.uint8],
    box: Box,
    *,
    points: Sequence[Point] = (),
    framing: Framing = PLAIN,
) -> NDArray[np.int64]:
    result: NDArray[np.int64] = crop_faces(image, [box], [points], framing, size=48)[0].astype(int)
    return result


# --- crop_faces --------------------------------------------------------------------------------


def test_a_box_of_the_crops_own_size_is_copied() -> None:
    image = waves()
    assert np.array_equal(crop(image, Box(30, 40, 78, 88)), image[40:88, 30:78, 0])


def test_a_large_box_is_averaged_not_sampled() -> None:
    """Columns of black and white, one pixel each, average to the middle grey."""
    image = np.zeros((480, 480, 3), np.uint8)
    image[:, ::2] = 255
    assert np.abs(crop(image, Box(0, 0, 480, 480)) - 127.5).max() <= 4


@pytest.mark.parametrize("factor", [2, 3, 4, 8, 11])
def test_a_whole_multiple_is_the_mean_of_its_blocks(factor: int) -> None:
    side = 48 * factor
    image = waves(side, side)
    means = image[..., 0].reshape(48, factor, 48, factor).mean(axis=(1, 3))
    assert np.abs(crop(image, Box(0, 0, side, side)) - means).max() < 3


def test_colour_becomes_grey_by_the_weights_of_bt_601() -> None:
    """0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2."""
    image = np.full((60, 60, 3), (200, 100, 50), np.uint8)
    assert np.unique(crop(image, Box(5, 5, 55, 55))).tolist() == [124]


def test_outside_the_image_its_border_is_repeated() -> None:
    image = np.repeat(np.arange(100, dtype=np.uint8)[None, :, None] * 2, 100, axis=0)
    result = crop(np.repeat(image, 3, axis=2), Box(-24, 10, 24, 58))
    assert (result[:, :24] == 0).all()
    assert result[20, 24:].tolist() == [2 * x for x in range(24)]


def test_framing_says_where_the_box_lies_in_the_crop() -> None:
    """A white box of 40 x 40 is half of the side, with its middle at (0.25, 0.75) of the crop.

    The side is 80, so a crop of 48 holds the box in columns 0 to 24 and rows 24 to 48.
    """
    image = np.zeros((300, 300, 3), np.uint8)
    image[100:140, 200:240] = 255
    framing = Framing(0.5, 0.5, 0.25, 0.75, 20.0)
    result = crop(image, Box(200, 100, 240, 140), framing=framing)
    expected = np.zeros((48, 48))
    expected[24:, :24] = 255
    inner = np.ones((48, 48), bool)
    inner[[*range(22, 26), -1]] = inner[:, [0, *range(22, 26)]] = False  # edges of the box
    assert np.abs(result - expected)[inner].max() <= 2


def test_the_side_is_the_geometric_mean_of_width_and_height() -> None:
    """A box of 18 x 32 has the side of one of 24 x 24 around the same middle."""
    image = waves()
    narrow, square = Box(191, 134, 209, 166), Box(188, 138, 212, 162)
    assert np.array_equal(crop(image, narrow), crop(image, square))


def eyes(center: Point, degrees: float) -> list[Point]:
    """Right and left eye 40 pixels apart, the eye line falling to the right by ``degrees``."""
    x, y = 20 * math.cos(math.radians(degrees)), 20 * math.sin(math.radians(degrees))
    return [(center[0] - x, center[1] - y), (center[0] + x, center[1] + y)]


def test_last_bits_of_a_box_and_its_eyes_change_no_crop() -> None:
    """Every value is moved to its neighbours in the detector's 32 bits, as other processors do."""
    image = waves()
    for degrees in range(-60, 60, 7):
        box = [120.3 + degrees / 9, 80.7, 210.9 + degrees / 7, 190.4]
        points = eyes((165.1, 120.2), degrees)
        crops = []
        for way in (-np.inf, 0, np.inf):
            toward = np.float32(way)
            moved = [float(np.nextafter(np.float32(v), toward)) if way else v for v in box]
            marks = [
                (float(np.nextafter(np.float32(x), toward)), y) if way else (x, y)
                for x, y in points
            ]
            crops.append(crop(image, Box(*moved), points=marks))
        assert np.array_equal(crops[0], crops[1])
        assert np.array_equal(crops[1], crops[2])


@pytest.mark.parametrize("degrees", [-19.9, -7, 0, 12, 19.9])
def test_a_small_tilt_is_left_alone(degrees: float) -> None:
    image, box = waves(), Box(150, 100, 246, 196)
    turned = crop(image, box, points=eyes(box.center, degrees))
    assert np.array_equal(turned, crop(image, box))


@pytest.mark.parametrize("degrees", [-70, -35, 35, 70])
def test_a_large_tilt_is_turned_back_to_the_limit(degrees: float) -> None:
    """Turning the image about the box's middle by what exceeds 20 degrees gives the same crop."""
    image, box = waves(), Box(150, 100, 246, 196)
    excess = degrees - math.copysign(20, degrees)
    levelled = Image.fromarray(image).rotate(
        excess, Image.Resampling.BICUBIC, center=box.center, fillcolor=(127, 127, 127)
    )
    expected = crop(np.asarray(levelled), box)
    assert np.abs(crop(image, box, points=eyes(box.center, degrees)) - expected).mean() < 2


def test_mirrored_images_give_mirrored_crops() -> None:
    image = waves()
    result = crop(image[:, ::-1], Box(400 - 246, 100, 400 - 150, 196))
    assert np.array_equal(result, crop(image, Box(150, 100, 246, 196))[:, ::-1])


@settings(max_examples=60)
@given(
    left=st.floats(-60, 380), top=st.floats(-60, 280), side=st.floats(1, 500),
    degrees=st.floats(-180, 180),
)  # fmt: skip
def test_every_box_that_touches_the_image_gives_values_of_the_image(
    left: float, top: float, side: float, degrees: float
) -> None:
    image = np.clip(waves(), 40, 200)
    box = Box(left, top, left + side, top + side)
    if box.right <= 0 or box.bottom <= 0:
        return
    result = crop(image, box, points=eyes(box.center, degrees))
    assert result.min() >= 35
    assert result.max() <= 205


def test_several_faces_give_the_crops_that_each_gives() -> None:
    image, boxes = waves(), [Box(0, 0, 50, 60), Box(100, 50, 300, 260), Box(390, 290, 440, 340)]
    together = crop_faces(image, boxes, [()] * 3, PLAIN, size=48)
    assert together.shape == (3, 48, 48)
    for one, box in zip(together, boxes, strict=True):
        assert np.array_equal(one, crop(image, box))
    assert crop_faces(image, [], [], PLAIN, size=48).shape == (0, 48, 48)


def test_another_size_of_crop() -> None:
    assert crop_faces(waves(), [Box(0, 0, 50, 60)], [()], PLAIN, size=64).shape == (1, 64, 64)


def test_the_smallest_images_can_be_cut() -> None:
    for shape in ((1, 1, 3), (2, 1, 3), (1, 7, 3)):
        image = np.full(shape, 9, np.uint8)
        assert np.unique(crop(image, Box(0, 0, 1, 1))).tolist() == [9]


@pytest.mark.parametrize(
    "box", [Box(-9, 0, -1, 9), Box(400, 0, 410, 9), Box(0, 300, 9, 310), Box(0, 0, 9000, 9000)]
)
def test_boxes_far_outside_are_refused(box: Box) -> None:
    with pytest.raises(ImageError, match="outside its image"):
        crop(waves(), box)


@pytest.mark.parametrize("shape", [(30, 30), (30, 30, 4), (0, 30, 3)])
def test_other_images_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="RGB uint8"):
        crop(np.zeros(shape, np.uint8), Box(0, 0, 9, 9))


def images_of_faces() -> Iterator[NDArray[np.uint8]]:
    for seed in range(5):
        random = np.random.default_rng(seed).integers(0, 256, (12, 12), dtype=np.uint8)
        yield np.asarray(Image.fromarray(random).resize((48, 48), Image.Resampling.BICUBIC))


def test_a_crop_pasted_into_a_larger_image_is_cut_out_again() -> None:
    """FER-2013's way through our framing: enlarged four times, boxed as measured, cut at 48."""
    framing = CenterFaceDetector.framing
    for original in images_of_faces():
        big = np.asarray(Image.fromarray(original).resize((192, 192), Image.Resampling.BICUBIC))
        canvas = np.pad(big, ((70, 90), (130, 50)), mode="edge")
        width, height = framing.box_width_fraction * 192, framing.box_height_fraction * 192
        x, y = 130 + framing.center_x * 192, 70 + framing.center_y * 192
        box = Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        image = np.repeat(canvas[..., None], 3, axis=2)
        result = crop(image, box, framing=framing)
        assert np.abs(result - original).mean() < 3


# --- to_grey_crops -----------------------------------------------------------------------------


def test_grey_crops_of_the_right_side_come_back_as_they_are() -> None:
    crops = waves(48, 48)[None, ..., 0]
    assert to_grey_crops(crops, 48) is crops


def test_crops_are_averaged_where_they_shrink() -> None:
    means = waves(96, 96)[..., 0].reshape(48, 2, 48, 2).mean(axis=(1, 3))
    assert np.abs(to_grey_crops(waves(96, 96)[None], 48)[0] - means).max() < 3


@pytest.mark.parametrize("side", [1, 7, 48, 49, 400])
def test_constant_crops_stay_constant_at_every_side(side: int) -> None:
    crops = np.full((2, side, side, 3), 77, np.uint8)
    assert np.unique(to_grey_crops(crops, 48)).tolist() == [77]


class Tensor:
    """What tensors offer NumPy, and no more."""

    def __init__(self, pixels: NDArray[np.uint8], error: Exception | None = None) -> None:
        self.pixels, self.error = pixels, error

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[np.uint8]:  # noqa: ANN401
        if self.error is not None:
            raise self.error
        return self.pixels


@pytest.mark.parametrize("shape", [(48, 48), (48, 48, 1), (1, 48, 48), (1, 48, 48, 1)])
def test_grey_crops_may_have_an_axis_of_one_channel_and_be_tensors(shape: tuple[int, ...]) -> None:
    grey = waves(48, 48)[..., 0]
    one = grey.reshape(shape)
    assert np.array_equal(to_grey_crops(one, 48), grey[None])
    assert np.array_equal(to_grey_crops(Tensor(one), 48), grey[None])


def test_a_list_may_mix_crops_with_and_without_channels_and_tensors() -> None:
    grey = waves(48, 48)[..., 0]
    crops: list[Any] = [grey, grey[..., None], Tensor(grey[..., None]), waves(48, 48)]
    for listed in (crops, crops[1:3]):
        assert np.array_equal(to_grey_crops(listed, 48), [grey] * len(listed))


@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: [one]], ids=["one", "list"])
def test_crops_that_numpy_cannot_read_are_refused_with_what_to_do(wrap: Any) -> None:  # noqa: ANN401
    tensor = Tensor(waves(48, 48), RuntimeError("Can't call numpy() on Tensor that requires grad."))
    with pytest.raises(
        ImageError, match=r"^Tensor: its pixels cannot be read\. Give uint8, detached"
    ):
        to_grey_crops(wrap(tensor), 48)


def test_a_path_is_no_crop_and_the_message_has_no_dtype() -> None:
    with pytest.raises(ImageError, match=r"^face crops without pixels: .* For paths and whole"):
        to_grey_crops("crop.png", 48)  # type: ignore[arg-type]


# --- to_batch and the values -------------------------------------------------------------------


def test_a_batch_is_scaled_and_repeated_over_channels() -> None:
    """(255 / 255 - 0.5) / 0.25 = 2 and (51 / 255 - 0.5) / 0.25 = -1.2."""
    crops = np.array([[[0, 51], [255, 255]]], np.uint8)
    batch = to_batch(crops, Preprocessing(channels=3))
    assert batch.dtype == np.float32
    assert batch.shape == (1, 2, 2, 3)
    assert batch[0, :, :, 2].ravel().tolist() == pytest.approx([-2, -1.2, 2, 2], abs=1e-6)


@given(
    size=st.integers(8, 512), channels=st.sampled_from([1, 3]), mean=st.floats(-1, 1),
    std=st.floats(0.01, 9),
)  # fmt: skip
def test_preprocessing_survives_the_way_through_a_dictionary(
    size: int, channels: int, mean: float, std: float
) -> None:
    value = Preprocessing(size, channels, mean, std)
    assert Preprocessing.from_dict(value.to_dict()) == value


@pytest.mark.parametrize(
    "options", [{"size": 7}, {"channels": 2}, {"std": 0}, {"std": math.inf}, {"mean": math.nan}]
)
def test_preprocessing_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="needs a size of 8 to 512"):
        Preprocessing(**options)


@pytest.mark.parametrize("options", [{"center_x": 3}, {"max_roll_degrees": -1}])
def test_framing_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="framing fractions lie in"):
        replace(PLAIN, **options)


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="needs the keys of"):
        Preprocessing.from_dict({**Preprocessing().to_dict(), "sise": 48})
