"""Cuts: made shots that follow one another hard, and what only looks like a cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.media.cuts import mark_cuts
from facial_expressions.media.frames import Frame

Pixels = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]
SIZE = (160, 120)
SOME = (1, 3, 5)


def place(seed: int, *, size: tuple[int, int] = SIZE) -> Pixels:
    """Return a scene of many greys, of the same mean brightness whatever the seed."""
    values = np.random.default_rng(seed).uniform(40, 200, (size[1] // 10, size[0] // 10))
    values += 120 - values.mean()
    smooth = Image.fromarray(values.astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
    return np.repeat(np.asarray(smooth).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def shot(seed: int, count: int = 8) -> list[Pixels]:
    """Return frames of one scene with the noise of a camera."""
    noise = np.random.default_rng(seed + 100).normal(0, 2, (count, SIZE[1], SIZE[0], 3))
    return list((place(seed) + noise).clip(0, 255).astype(np.uint8))


def lit(images: Sequence[Pixels], change: Callable[[Floats], Floats]) -> list[Pixels]:
    return [change(image.astype(np.float64)).clip(0, 255).astype(np.uint8) for image in images]


def cuts(images: Sequence[Pixels], *, rate: float = 25) -> list[int]:
    frames = [Frame(index, index / rate, image) for index, image in enumerate(images)]
    marked = list(mark_cuts(frames))
    assert [frame.frame for frame in marked] == list(range(len(images)))
    assert all(frame.image is images[frame.frame] for frame in marked)
    return [frame.frame for frame in marked if frame.is_cut]


@pytest.mark.parametrize("seed", range(6))
def test_hard_cuts_between_shots_of_equal_brightness_are_found(seed: int) -> None:
    images = shot(seed) + shot(seed + 10) + shot(seed + 20) + shot(seed)
    assert cuts(images) == [8, 16, 24]


def test_a_cut_to_the_last_frame_and_one_before_a_moving_shot_are_found() -> None:
    wide = place(3, size=(480, 120))
    moving = [wide[:, 6 * step : 6 * step + SIZE[0]] for step in range(10)]
    assert cuts([*shot(1), *moving]) == [8]
    assert cuts([*shot(1), place(2)]) == [8]


@pytest.mark.parametrize("count", SOME)
@pytest.mark.parametrize(
    "flash",
    [
        lambda image: image * 0 + 255,
        lambda image: image + 140,
        lambda image: image * 0.3 + 178,
        lambda image: image + np.array([160, 0, 0]),
        lambda image: image + np.linspace(0, 400, SIZE[0])[:, None],
        lambda image: image[:, ::-1],
    ],
    ids=["white", "brighter", "veiled", "red", "from one side", "another image"],
)
def test_a_flash_is_no_cut(flash: Callable[[Floats], Floats], count: int) -> None:
    assert cuts(shot(1) + lit(shot(1, count), flash) + shot(1)) == []


def test_a_longer_stretch_of_another_image_is_a_shot() -> None:
    assert cuts(shot(1) + shot(2, 6) + shot(1)) == [8, 14]


@pytest.mark.parametrize("into", [0, 255])
def test_a_fade_and_back_is_no_cut_and_one_to_another_scene_is(into: int) -> None:
    def faded(seed: int, *, out: bool) -> list[Pixels]:
        shares = np.linspace(1, 0, 12) if out else np.linspace(0, 1, 12)
        pairs = zip(shot(seed, 12), shares, strict=True)
        return [(image * share + into * (1 - share)).astype(np.uint8) for image, share in pairs]

    assert cuts(shot(1) + faded(1, out=True) + faded(1, out=False) + shot(1)) == []
    (cut,) = cuts(shot(1) + faded(1, out=True) + faded(2, out=False) + shot(2))
    assert 20 <= cut <= 24, "as soon as the other scene shows"


@pytest.mark.parametrize("light", [0.4, 0.1, 0.0])
def test_a_scene_that_goes_dark_is_no_cut(light: float) -> None:
    dark = lit(shot(1, 30), lambda image: image * light)
    assert cuts(shot(1) + dark + shot(1)) == []


@pytest.mark.parametrize("share", [0.05, 0.2, 0.4])
def test_a_pan_is_no_cut(share: float) -> None:
    """Shares of the width from frame to frame: at 0.4 all of the image is new after 0.1 seconds."""
    step = round(share * SIZE[0])
    wide = place(5, size=(SIZE[0] + 8 * step, SIZE[1]))
    panned = [wide[:, step * index : step * index + SIZE[0]] for index in range(9)]
    assert cuts([panned[0]] * 5 + panned + [panned[-1]] * 5) == []


def test_a_zoom_is_no_cut() -> None:
    whole = Image.fromarray(place(5, size=(320, 240)))
    boxes = [(i * 8, i * 6, 320 - i * 8, 240 - i * 6) for i in range(12)]
    assert cuts([np.asarray(whole.resize(SIZE, box=box)) for box in boxes]) == []


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (700, 3), (1080, 1920)])
def test_images_of_any_shape_are_compared(shape: tuple[int, int]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, *shape, 3), np.uint8)
    cuts(list(images))


def test_an_image_without_contrast_and_an_empty_video_have_no_cut() -> None:
    assert cuts([]) == []
    flat = [np.full((120, 160, 3), grey, np.uint8) for grey in (0, 0, 90, 90, 255, 255)]
    assert cuts(flat) == []


def test_frames_read_ahead_come_before_what_cannot_be_read() -> None:
    def broken() -> Iterator[Frame]:
        for index, image in enumerate([*shot(1, 3), *shot(2, 3)]):
            yield Frame(index, index / 25, image)
        raise RuntimeError("the seventh frame")

    seen: list[int] = []
    with pytest.raises(RuntimeError, match="the seventh frame"):
        seen.extend(frame.frame for frame in mark_cuts(broken()))
    assert seen == list(range(6))


def test_no_more_is_read_than_is_needed_where_nothing_changes() -> None:
    """As from a camera, whose frames are wanted at once."""
    read: list[int] = []

    def frames() -> Iterator[Frame]:
        for index, image in enumerate(shot(1)):
            read.append(index)
            yield Frame(index, index / 25, image)

    for frame in mark_cuts(frames()):
        assert read[-1] == frame.frame
