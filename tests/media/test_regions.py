"""Faces looked for where they were: the same as whole frames give, in fewer searches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.inference.contracts import Detection, FaceDetector
from facial_expressions.inference.detectors.centerface import CenterFaceDetector
from facial_expressions.inference.options import RecognizerOptions
from facial_expressions.inference.recognizer import ExpressionRecognizer, load_recognizer
from facial_expressions.media.analysis import FrameAnalyzer, analyze_video
from facial_expressions.media.frames import Frame
from facial_expressions.media.tracking import shared
from facial_expressions.results import Box, FrameResult
from tests.media.videos import face_image, scene

Pixels = NDArray[np.uint8]
RATE = 25


@dataclass
class Watched:
    """The real detector, which notes how often it was asked for what."""

    framing = CenterFaceDetector.framing
    detector: CenterFaceDetector
    n_full: int = 0
    near: list[list[Box]] = field(default_factory=list)

    def detect(self, image: Pixels) -> list[Detection]:
        self.n_full += 1
        return self.detector.detect(image)

    def detect_near(self, image: Pixels, faces: Sequence[Box]) -> list[Detection]:
        self.near.append(list(faces))
        return self.detector.detect_near(image, faces)


class Forgetful(Watched):
    """Finds nothing again."""

    def detect_near(self, image: Pixels, faces: Sequence[Box]) -> list[Detection]:
        super().detect_near(image, faces)
        return []


@pytest.fixture(scope="module")
def detector() -> CenterFaceDetector:
    return CenterFaceDetector(RecognizerOptions(threads=1))


def follow(
    images: Sequence[Pixels],
    recognizer: ExpressionRecognizer,
    detector: FaceDetector,
    *,
    full_search_s: float = 0.5,
) -> list[FrameResult]:
    """Analyse images at 25 a second with a detector of your own."""
    own = ExpressionRecognizer(recognizer.classifier, detector)
    analyzer = FrameAnalyzer(own, full_search_s=full_search_s)
    return [analyzer.analyze(Frame(n, n / RATE, image)) for n, image in enumerate(images)]


def pairs(full: Sequence[FrameResult], near: Sequence[FrameResult]) -> list[float]:
    """Return what the boxes of the same tracks share, IoU; the tracks have to be the same."""
    both = []
    for one, other in zip(full, near, strict=True):
        assert [face.track_id for face in one.faces] == [face.track_id for face in other.faces]
        both += [shared(a.box, b.box) for a, b in zip(one.faces, other.faces, strict=True)]
    return both


def test_moving_faces_are_those_of_whole_frames(
    astronaut: Path, detector: CenterFaceDetector
) -> None:
    """Same faces, tracks and labels, no more switches of labels; two searches of whole frames."""
    face = face_image(astronaut, height=150)
    wave = np.sin(np.arange(20) / 6)
    images = [scene(face, [(60 + round(50 * w), 60 + n), (380 - round(40 * w), 200 - 2 * n)],
                    size=(640, 480)) for n, w in enumerate(wave)]  # fmt: skip
    recognizer = load_recognizer(threads=1)
    watched = Watched(detector)
    full = follow(images, recognizer, detector, full_search_s=0)
    near = follow(images, recognizer, watched)
    overlaps = pairs(full, near)
    assert len(overlaps) == 40
    assert min(overlaps) > 0.9
    assert np.mean(overlaps) > 0.98
    assert (watched.n_full, len(watched.near)) == (2, 18)
    assert len(same_labels(full, near)) > 15
    assert np.mean(same_labels(full, near)) >= 0.98
    assert switches(near) <= switches(full)


def test_a_camera_that_turns_and_nears_sees_the_faces_of_whole_frames(
    astronaut: Path, detector: CenterFaceDetector
) -> None:
    """Five faces of 40 to 150 pixels before a coarse pattern: same tracks, labels and switches."""
    rng = np.random.default_rng(0)
    pattern = Image.fromarray(rng.integers(40, 160, (24, 32, 3), np.uint8))
    stage = pattern.resize((800, 600), Image.Resampling.BICUBIC)
    for height, corner in ((70, (60, 60)), (90, (660, 90)), (120, (90, 400)), (160, (560, 380)),
                           (260, (270, 150))):  # fmt: skip
        stage.paste(Image.fromarray(face_image(astronaut, height=height)), corner)
    views = [(4 * n, 2 * n, 800 - 3 * n, 2 * n + 600 - 3 * n) for n in range(16)]
    images = [
        np.asarray(stage.resize((640, 480), Image.Resampling.BILINEAR, box=view)) for view in views
    ]
    recognizer = load_recognizer(threads=1)
    full = follow(images, recognizer, detector, full_search_s=0)
    near = follow(images, recognizer, detector)
    overlaps = pairs(full, near)
    assert len(overlaps) == 80
    assert min(overlaps) > 0.85
    assert np.mean(overlaps) > 0.975
    assert np.mean(same_labels(full, near)) >= 0.98
    assert switches(near) <= switches(full)


def same_labels(full: Sequence[FrameResult], near: Sequence[FrameResult]) -> list[bool]:
    """Say for each certain answer of whole frames whether the other is the same."""
    return [
        a.expression == b.expression
        for one, other in zip(full, near, strict=True)
        for a, b in zip(one.faces, other.faces, strict=True)
        if not a.prediction.uncertain
    ]


def switches(results: Sequence[FrameResult]) -> int:
    """Return how often a face's label changed from one frame to the next."""
    return sum(
        a.expression != b.expression
        for one, other in pairwise(results)
        for a, b in zip(one.faces, other.faces, strict=True)
    )


def test_a_new_face_is_found_within_half_a_second(
    face: Pixels, recognizer: ExpressionRecognizer, detector: CenterFaceDetector
) -> None:
    images = [scene(face, [(20, 60)] if n < 3 else [(20, 60), (200, 60)]) for n in range(16)]
    results = follow(images, recognizer, detector)
    assert [len(one.faces) for one in results] == [1] * 13 + [2] * 3  # frame 13 is at 0.52 s


def test_where_nobody_is_nothing_is_searched(
    recognizer: ExpressionRecognizer, detector: CenterFaceDetector, face: Pixels
) -> None:
    watched = Watched(detector)
    follow([scene(face, [])] * 25, recognizer, watched)
    assert watched.n_full == 2
    assert not any(watched.near)


def test_v18_a_face_that_jumps_is_found_in_the_same_frame(
    face: Pixels, recognizer: ExpressionRecognizer, detector: CenterFaceDetector
) -> None:
    images = [scene(face, [(10, 20) if n < 8 else (220, 130)]) for n in range(11)]
    results = follow(images, recognizer, detector)
    assert [len(one.faces) for one in results] == [1] * 11
    assert results[8].faces[0].box.left > 200


def test_lost_faces_call_for_ten_searches_a_second_at_most(
    face: Pixels, recognizer: ExpressionRecognizer, detector: CenterFaceDetector
) -> None:
    """Two seconds: one on every third frame, and those twice a second, which may fall between."""
    forgetful = Forgetful(detector)
    follow([scene(face, [(20, 60), (200, 60)])] * 50, recognizer, forgetful)
    assert 16 <= forgetful.n_full <= 21


def test_v18_a_face_is_followed_out_of_the_frame(
    face: Pixels, recognizer: ExpressionRecognizer, detector: CenterFaceDetector
) -> None:
    wide = [scene(face, [(118 - 8 * n, 60)], size=(640, 240)) for n in range(13)]
    images = [np.ascontiguousarray(image[:, 60:380]) for image in wide]
    full = follow(images, recognizer, detector, full_search_s=0)
    assert min(one.faces[0].box.left for one in full) == 0
    assert min(pairs(full, follow(images, recognizer, detector))) > 0.6


@pytest.mark.parametrize("side", [170, 700])
def test_v18_a_face_that_fills_the_frame_is_followed(
    astronaut: Path, recognizer: ExpressionRecognizer, detector: CenterFaceDetector, side: int
) -> None:
    head = Image.open(astronaut).convert("RGB").crop((160, 10, 300, 170)).resize((side, side))
    images = [np.roll(np.asarray(head), n, axis=0) for n in range(6)]
    full = follow(images, recognizer, detector, full_search_s=0)
    overlaps = pairs(full, follow(images, recognizer, detector))
    assert len(overlaps) == 6
    assert min(overlaps) > 0.75


def test_a_frame_of_another_size_is_searched_as_a_whole(
    face: Pixels, recognizer: ExpressionRecognizer, detector: CenterFaceDetector
) -> None:
    watched = Watched(detector)
    small, large = scene(face, [(20, 60)]), scene(face, [(400, 60)], size=(640, 240))
    results = follow([small, small, large, large, small], recognizer, watched)
    assert watched.n_full == 3
    assert [round(one.faces[0].box.center[0] > 320) for one in results] == [0, 0, 1, 1, 0]


def test_v18_ten_faces_in_a_row_are_followed(
    astronaut: Path, recognizer: ExpressionRecognizer, detector: CenterFaceDetector
) -> None:
    face = face_image(astronaut, height=60)
    images = [
        scene(face, [(4 + 63 * place, 40 + n) for place in range(10)], size=(640, 120))
        for n in range(5)
    ]
    full = follow(images, recognizer, detector, full_search_s=0)
    overlaps = pairs(full, follow(images, recognizer, detector))
    assert len(overlaps) == 50
    assert min(overlaps) > 0.75


def test_a_detector_that_cannot_look_near_searches_every_frame(
    face: Pixels, recognizer: ExpressionRecognizer, detector: CenterFaceDetector
) -> None:
    class Plain:
        framing = detector.framing
        n_full = 0

        def detect(self, image: Pixels) -> list[Detection]:
            self.n_full += 1
            return detector.detect(image)

    plain = Plain()
    results = follow([scene(face, [(60, 60)])] * 4, recognizer, plain)
    assert plain.n_full == 4
    assert all(one.faces[0].is_detected for one in results)


@pytest.mark.parametrize("seconds", [-0.1, float("inf"), float("nan")])
def test_an_interval_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="full_search_s: must be 0 seconds or more"):
        analyze_video("clip.mp4", full_search_s=seconds)


def test_near_finds_each_face_once_and_only_there(
    face: Pixels, detector: CenterFaceDetector
) -> None:
    image = scene(face, [(10, 60), (230, 60)])
    left, right = sorted((one.box for one in detector.detect(image)), key=lambda box: box.left)
    moved = Box(left.left + 9, left.top - 7, left.right + 9, left.bottom - 7)
    (found,) = detector.detect_near(image, [left, moved])
    assert shared(found.box, left) > 0.85
    assert found.landmarks[0][0] < found.landmarks[1][0] < left.right
    assert len(detector.detect_near(image, [left, right])) == 2
    assert detector.detect_near(image, []) == []
    far = Box(-500, -500, -440, -420)
    assert all(shared(one.box, left) > 0.5 for one in detector.detect_near(image, [far]))


def test_near_a_large_face_a_small_one_does_not_count_in_half_the_size(
    astronaut: Path, detector: CenterFaceDetector
) -> None:
    """A small face is found where the whole search finds it: in the whole size."""
    image = scene(face_image(astronaut, height=400), [(0, 40)], size=(640, 480))
    image[200:290, 340:420] = face_image(astronaut, height=90)
    large, small = sorted((one.box for one in detector.detect(image)), key=lambda box: -box.area)
    assert large.height > 180
    (found,) = detector.detect_near(image, [large])
    assert shared(found.box, large) > 0.8
    near = detector.detect_near(image, [large, small])
    assert len(near) == 2
    assert max(shared(one.box, small) for one in near) > 0.9
