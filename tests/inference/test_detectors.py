"""CenterFace: decoding by hand-made grids, and real faces at every size and border."""

from __future__ import annotations

import pickle
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.errors import ModelError
from facial_expressions.images import load_image
from facial_expressions.inference.contracts import Detection
from facial_expressions.inference.detectors import centerface
from facial_expressions.inference.detectors.centerface import CenterFaceDetector, centerface_path
from facial_expressions.inference.options import RecognizerOptions
from facial_expressions.media.tracking import shared

EYE_CORNERS = ((201, 102), (246, 104))
"""Middles of the astronaut's right and left eye, read off the image by eye."""


@pytest.fixture(scope="module")
def detector() -> CenterFaceDetector:
    return CenterFaceDetector(RecognizerOptions(threads=1))


@pytest.fixture(scope="module")
def photo(astronaut: Path) -> NDArray[np.uint8]:
    return load_image(astronaut)


def resized(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def the_face(detections: list[Detection]) -> Detection:
    assert len(detections) == 1
    return detections[0]


def test_one_cell_becomes_one_box() -> None:
    """By hand, for row 3 and column 5 of the grid.

    Middle x = (5 + 0.5 + 0.25) * 4 = 23, y = (3 + 0.5 - 0.5) * 4 = 12; height = 4 * 4 = 16,
    width = 2 * 4 = 8; a landmark at y 0.25 and x 0.5 of the box.
    """
    heat = np.zeros((8, 8), np.float32)
    size, offset = np.zeros((2, 8, 8), np.float32), np.zeros((2, 8, 8), np.float32)
    marks = np.zeros((10, 8, 8), np.float32)
    heat[3, 5] = 0.9
    size[:, 3, 5] = np.log(4), np.log(2)
    offset[:, 3, 5] = -0.5, 0.25
    marks[:, 3, 5] = [0.25, 0.5] * 5
    (row,) = centerface._decode(heat, size, offset, marks, 0.5)
    assert row[:5].tolist() == pytest.approx([19, 4, 27, 20, 0.9])
    assert row[5:].tolist() == pytest.approx([23, 8] * 5)


def test_the_better_of_two_that_overlap_is_kept() -> None:
    rows = np.zeros((4, 15), np.float32)
    rows[:, :5] = [
        [0, 0, 10, 10, 0.6],
        [1, 1, 11, 11, 0.9],  # shares 81 of 119 with the first
        [20, 0, 30, 10, 0.5],  # apart
        [3, 3, 6, 6, 0.7],  # inside the second
    ]
    assert centerface._suppress(rows)[:, 4].tolist() == pytest.approx([0.9, 0.5])


def test_nothing_is_kept_of_nothing() -> None:
    assert centerface._suppress(np.zeros((0, 15), np.float32)).shape == (0, 15)


def test_the_astronauts_face_and_eyes(
    detector: CenterFaceDetector, photo: NDArray[np.uint8]
) -> None:
    face = the_face(detector.detect(photo))
    assert face.score > 0.8
    assert face.box.xyxy == pytest.approx((182, 60, 270, 178), abs=8)
    for found, seen in zip(face.landmarks, EYE_CORNERS, strict=False):
        assert found == pytest.approx(seen, abs=5)
    right_eye, left_eye, nose, mouth_right, mouth_left = face.landmarks
    assert right_eye[0] < nose[0] < left_eye[0]
    assert mouth_right[0] < mouth_left[0]
    assert max(right_eye[1], left_eye[1]) < nose[1] < min(mouth_right[1], mouth_left[1])


@pytest.mark.parametrize("side", [100, 200, 384, 777, 1600])
def test_the_same_face_at_other_sizes(
    detector: CenterFaceDetector, photo: NDArray[np.uint8], side: int
) -> None:
    face = the_face(detector.detect(resized(photo, side, side)))
    scaled = [value * 512 / side for value in face.box.xyxy]
    assert scaled == pytest.approx([182, 60, 270, 178], abs=14)


def test_an_image_that_is_not_square_keeps_its_proportions(
    detector: CenterFaceDetector, photo: NDArray[np.uint8]
) -> None:
    canvas = np.full((517, 1201, 3), 127, np.uint8)
    canvas[5:, 600 : 600 + 512] = photo
    face = the_face(detector.detect(canvas))
    assert face.box.xyxy == pytest.approx((782, 65, 870, 183), abs=8)


def test_a_mirrored_image_gives_a_mirrored_face(
    detector: CenterFaceDetector, photo: NDArray[np.uint8]
) -> None:
    face = the_face(detector.detect(photo))
    mirrored = the_face(detector.detect(photo[:, ::-1]))
    assert mirrored.box.left == pytest.approx(512 - face.box.right, abs=6)
    assert mirrored.landmarks[0][0] == pytest.approx(512 - face.landmarks[1][0], abs=5)


def test_a_face_that_fills_the_image_is_found(
    detector: CenterFaceDetector, photo: NDArray[np.uint8]
) -> None:
    close = resized(photo[50:190, 165:285], 1030, 1200)
    assert the_face(detector.detect(close)).box.width > 600


def test_a_small_face_in_a_large_image_is_found(
    detector: CenterFaceDetector, photo: NDArray[np.uint8]
) -> None:
    canvas = np.full((2000, 3000, 3), 200, np.uint8)
    canvas[900:1156, 1500:1756] = resized(photo, 256, 256)
    face = the_face(detector.detect(canvas))
    assert face.box.center == pytest.approx((1500 + 113, 900 + 60), abs=8)
    assert face.box.width < 60


def test_i27_many_faces_are_found_and_the_best_kept(
    photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    tile = resized(photo[40:220, 130:310], 120, 120)
    grid = np.tile(tile, (3, 5, 1))
    detector = CenterFaceDetector(RecognizerOptions(threads=1))
    assert len(detector.detect(grid)) == 15
    monkeypatch.setattr(centerface, "MAX_FACES", 4)
    best = detector.detect(grid)
    assert len(best) == 4
    assert [face.score for face in best] == sorted((f.score for f in best), reverse=True)


def test_parts_give_the_faces_of_a_whole_search(
    detector: CenterFaceDetector, photo: NDArray[np.uint8]
) -> None:
    """Faces of 45 to 190 pixels on a photograph: the same as when all of it is searched."""
    scene = resized(photo[300:, :], 1600, 900).copy()
    places = ((500, 130, 90), (800, 200, 140), (1100, 330, 420))
    for x, y, side in places:
        scene[y : y + side, x : x + side] = resized(photo[:200, 150:350], side, side)
    boxes = [one.box for one in detector.detect_at(scene, 800)]
    assert len(boxes) == 3
    found = [one.box for one in detector.detect(scene)]
    for box in boxes:
        assert max(shared(box, one) for one in found) > 0.8


def test_a_crowd_is_searched_at_once(
    detector: CenterFaceDetector, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ninety-one heads: the coarse search and one of the whole image, none for large faces."""
    head = resized(photo[40:220, 130:310], 96, 96)
    sizes: list[tuple[int, ...]] = []
    run = detector._run

    def noting(pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        sizes.append(pixels.shape)
        return run(pixels)

    monkeypatch.setattr(detector, "_run", noting)
    assert len(detector.detect(np.tile(head, (7, 13, 1)))) == 91
    assert sizes == [(1, 192, 320, 3), (1, 352, 640, 3)]


def test_a_smaller_copy_gives_boxes_of_the_image(
    detector: CenterFaceDetector, photo: NDArray[np.uint8]
) -> None:
    """The astronaut in 3000x2000 and in half of it: the same box in pixels of the image."""
    large = np.full((2000, 3000, 3), 127, np.uint8)
    large[200:1800, 900:2500] = resized(photo, 1600, 1600)
    copy = np.asarray(Image.fromarray(large).reduce(2))
    assert copy.shape[1] >= detector.needed_side(3000)
    whole, half = the_face(detector.detect(large)), the_face(detector.detect(copy, (3000, 2000)))
    assert shared(whole.box, half.box) > 0.93
    assert np.ravel(half.landmarks) == pytest.approx(np.ravel(whole.landmarks), abs=15)


def test_a_face_cut_by_the_border_keeps_its_frame(
    detector: CenterFaceDetector, photo: NDArray[np.uint8]
) -> None:
    """The astronaut's image cut through her left cheek; the face's true right edge is at 270."""
    cut = the_face(detector.detect(photo[:, :258]))
    assert cut.box.right > 258
    assert cut.landmarks[0] == pytest.approx(EYE_CORNERS[0], abs=6)


@pytest.mark.parametrize(
    "name", ["coffee.png", "chelsea.png", "rocket.jpg", "brick.png", "text.png", "coins.png"]
)
def test_i29_images_without_a_face_give_none(
    detector: CenterFaceDetector, astronaut: Path, name: str
) -> None:
    assert detector.detect(load_image(astronaut.parent / name)) == []


@pytest.mark.parametrize("value", [0, 127, 255])
@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 500), (47, 47), (48, 48), (333, 5)])
def test_tiny_and_constant_images_give_none(
    detector: CenterFaceDetector, shape: tuple[int, int], value: int
) -> None:
    assert detector.detect(np.full((*shape, 3), value, np.uint8)) == []


def test_noise_gives_none(detector: CenterFaceDetector) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    assert detector.detect(noise) == []


def test_small_faces_are_found_in_full_size(photo: NDArray[np.uint8]) -> None:
    """The head, its face 24 pixels wide, at 15 places of an image of 1280x720."""
    head = resized(photo[:200, 150:350], 55, 55)
    scene = np.full((720, 1280, 3), 128, np.uint8)
    corners = [(x, y) for x in (100, 330, 560, 790, 1020) for y in (90, 330, 570)]
    for x, y in corners:
        scene[y : y + 55, x : x + 55] = head
    found = CenterFaceDetector(RecognizerOptions(small_faces=True, threads=1)).detect(scene)
    assert len(found) == len(corners)
    for detection in found:
        middle = detection.box.center
        assert any(
            abs(middle[0] - (x + 27)) < 27 and abs(middle[1] - (y + 33)) < 27 for x, y in corners
        )
    assert len(CenterFaceDetector(RecognizerOptions(threads=1)).detect(scene)) < len(corners) / 2


def test_a_copy_by_pickle_finds_the_same(
    detector: CenterFaceDetector, photo: NDArray[np.uint8]
) -> None:
    pickled = pickle.dumps(detector)
    assert len(pickled) < 2000
    assert pickle.loads(pickled).detect(photo) == detector.detect(photo)


def test_landmarks_agree_with_another_photograph() -> None:
    """Grace Hopper, 600 x 512, from Matplotlib; her head is tilted about 6 degrees to her right."""
    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None:
        pytest.skip("the photograph comes with matplotlib, which is not installed")
    path = Path(spec.origin).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg"
    face = the_face(CenterFaceDetector(RecognizerOptions(threads=1)).detect(load_image(path)))
    for found, seen in zip(face.landmarks, [(221, 199), (306, 190), (268, 236)], strict=False):
        assert found == pytest.approx(seen, abs=8)


def test_a_changed_detector_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = bytearray(centerface_path().read_bytes())
    changed[-100] ^= 1
    path = tmp_path / "centerface.onnx"
    path.write_bytes(changed)
    monkeypatch.setattr(centerface, "centerface_path", lambda: path)
    with pytest.raises(ModelError, match="SHA-256"):
        CenterFaceDetector()
