"""The browser's pixels are Python's to the byte: decoding, shrinking, crops. Needs no runtime."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from facial_expressions.errors import ImageError
from facial_expressions.images import load_image
from facial_expressions.inference.detectors import centerface
from facial_expressions.inference.detectors.tiles import cut, tiles_around, whole
from facial_expressions.preprocessing import crop_corners, crop_faces
from facial_expressions.quality import measure_quality
from facial_expressions.results import Box
from tests.server.browser import NEEDS_BROWSER
from tests.web.engine_page import call, image_of, modules_page, packed, unpacked
from tests.web.pictures import encoded, made_pictures

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

pytestmark = NEEDS_BROWSER

FRAMING = centerface.CenterFaceDetector.framing
DECODE = """
const [{ decode }, facts] = [await load("images.js"), await (await fetch("model.json")).json()];
const answers = {};
for (const [name, file] of Object.entries(given)) {
  try {
    const { data, ...size } = await decode(new Blob([bytesOf(file)]), facts.limits);
    answers[name] = { ...size, pixels: textOf(data) };
  } catch ({ code }) {
    answers[name] = { code };
  }
}
return answers;
"""
CASES = """
const [{ cut }, { cropFace, cropCorners }, { measureQuality }] = [
  await load("detector.js"), await load("crops.js"), await load("quality.js"),
];
const facts = await (await fetch("model.json")).json();
const [width, height] = given.size;
const image = { data: Uint8ClampedArray.from(bytesOf(given.pixels)), width, height, channels: 4 };
const told = ({ data, width, height }) => ({ width, height, pixels: textOf(data) });
return {
  tiles: given.tiles.map((tile) => told(cut(image, tile, facts.detector.gap))),
  faces: given.faces.map((face) => {
    const crop = cropFace(image, face, facts.detector, 48);
    const corners = cropCorners(face, facts.detector);
    return { ...told(crop), corners, quality: measureQuality(face, crop, facts.quality) };
  }),
};
"""


@pytest.fixture(scope="module")
def page(browser: WebDriver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    pytest.importorskip("starlette", reason="the extra serve is not installed")
    with modules_page(browser, tmp_path_factory.mktemp("modules")) as shown:
        yield shown


@pytest.fixture(scope="module")
def photo(astronaut: Path) -> Image.Image:
    return Image.open(astronaut).convert("RGB")


def decoded(page: WebDriver, files: dict[str, bytes]) -> dict[str, Any]:
    answers: dict[str, Any] = call(page, DECODE, {name: packed(files[name]) for name in files})
    return answers


def test_every_format_and_orientation_is_decoded_to_the_same_bytes(
    page: WebDriver, astronaut: Path
) -> None:
    files = made_pictures(astronaut)
    answers = decoded(page, files)
    unlike = [
        name
        for name, content in files.items()
        if not np.array_equal(image_of(answers[name]), load_image(content))
    ]
    assert unlike == []


def test_a_color_profile_changes_nothing(page: WebDriver, photo: Image.Image) -> None:
    """Its red and blue are swapped, so that a browser that applied it would be far off."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"....").replace(b"bXYZ", b"rXYZ").replace(b"....", b"bXYZ")
    kinds = ("JPEG", "PNG", "WEBP", "AVIF")
    files = {kind: encoded(photo, kind, icc_profile=swapped) for kind in kinds}
    answers = decoded(page, files)
    for kind, content in files.items():
        np.testing.assert_array_equal(image_of(answers[kind]), load_image(content), kind)


def test_what_python_does_not_read_is_refused_with_a_reason(
    page: WebDriver, photo: Image.Image
) -> None:
    whole = {kind: encoded(photo, kind) for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF")}
    wide = Image.new("L", (16_385, 1))
    refused = {f"{kind} cut": (content[:-99], "damaged_image") for kind, content in whole.items()}
    refused |= {
        "a side too long": (encoded(wide, "PNG"), "too_many_pixels"),
        "too long as JPEG": (encoded(wide, "JPEG"), "too_many_pixels"),
        "too long as GIF": (encoded(wide, "GIF"), "too_many_pixels"),
        "too long as BMP": (encoded(wide, "BMP"), "too_many_pixels"),
        "empty": (b"", "damaged_image"),
        "text": (b"no image" * 20, "unsupported_format"),
    }
    answers = decoded(page, {name: content for name, (content, _) in refused.items()})
    assert answers == {name: {"code": code} for name, (_, code) in refused.items()}
    for content, _ in refused.values():
        with pytest.raises(ImageError):
            load_image(content)


@pytest.mark.parametrize("size", [(512, 512), (1280, 721), (300, 1203), (97, 61)])
def test_shrinking_tiles_and_crops_give_pillows_bytes(
    page: WebDriver, photo: Image.Image, size: tuple[int, int]
) -> None:
    """At these factors pixels are only filtered, only averaged, or both; sides are odd or long."""
    image = np.asarray(photo.resize(size))
    rng = np.random.default_rng(size)
    factors = [0.93, 0.5, 0.41, 0.2, 192 / max(size)]
    faces = [some_face(rng, size) for _ in range(24)]
    boxes = np.array([box.xyxy for box, _ in faces[:1]], np.float32)
    parts = [whole(size, factor) for factor in factors]
    parts += tiles_around(boxes, size, min(512 / max(size), 1.0))
    answer = call(page, CASES, {
        "pixels": packed(np.asarray(Image.fromarray(image).convert("RGBA")).tobytes()),
        "size": size,
        "tiles": [
            {"x": one.x, "y": one.y, "size": one.size, "sized": one.sized, "scale": one.scale}
            for one in parts
        ],
        "faces": [{"box": box.xyxy, "landmarks": marks} for box, marks in faces],
    })  # fmt: skip
    for tile, got in zip(parts, answer["tiles"], strict=True):
        wanted = cut(image, tile)
        height, width = image_of(got).shape[:2]  # without the black beside the image
        np.testing.assert_array_equal(image_of(got), wanted[:height, :width])
        assert not wanted[height:].any()
        assert not wanted[:, width:].any()
    for (box, marks), got in zip(faces, answer["faces"], strict=True):
        crop = crop_faces(image, [box], [marks], FRAMING, size=48)[0]
        np.testing.assert_array_equal(unpacked(got["pixels"]).reshape(48, 48), crop)
        np.testing.assert_allclose(got["corners"], crop_corners(box, marks, FRAMING), atol=1e-9)
        assert_same_quality(got["quality"], box, marks, crop)


def some_face(
    rng: np.random.Generator, size: tuple[int, int]
) -> tuple[Box, list[tuple[float, float]]]:
    """Return a face's box, which may reach over the border, and landmarks with any tilt."""
    width = float(rng.uniform(8, 0.9 * max(size)))
    x, y = (float(rng.uniform(0, side)) for side in size)
    box = Box(x - width / 2, y - 0.6 * width, x + width / 2, y + 0.6 * width)
    turn = np.exp(1j * rng.uniform(-1, 1)) * width
    marks = [
        complex(x, y) + turn * mark for mark in (-0.2 - 0.2j, 0.2 - 0.2j, 0.03, 0.2j, 0.15 + 0.2j)
    ]
    return box, [(mark.real, mark.imag) for mark in marks]


def assert_same_quality(
    got: dict[str, float], box: Box, marks: Sequence[tuple[float, float]], crop: NDArray[np.uint8]
) -> None:
    wanted = measure_quality(box.width, marks, crop)
    assert got == pytest.approx({name: getattr(wanted, name) for name in wanted.__slots__})
