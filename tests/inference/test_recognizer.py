"""The recognizer: faces of one and of many images, whatever the images are."""

from __future__ import annotations

import pickle
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from PIL import Image

from facial_expressions import images
from facial_expressions.errors import ImageError, ModelError
from facial_expressions.images import load_image
from facial_expressions.inference.classifier import load_classifier
from facial_expressions.inference.contracts import Detection
from facial_expressions.inference.detectors.centerface import CenterFaceDetector
from facial_expressions.inference.options import RecognizerOptions
from facial_expressions.inference.recognizer import ExpressionRecognizer, load_recognizer
from facial_expressions.inference.runtime import ModelSession
from facial_expressions.preprocessing import crop_faces
from facial_expressions.results import Box, Face


class FixedDetector:
    """Finds the same boxes in every image."""

    framing = CenterFaceDetector.framing

    def __init__(self, *boxes: Box) -> None:
        self.boxes = boxes

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        return [Detection(box, 0.9) for box in self.boxes]


class BrokenDetector:
    """Fails on images that are one pixel high."""

    framing = CenterFaceDetector.framing

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        if image.shape[0] == 1:
            raise ModelError("detector: cannot be run: one row. Give more")
        return []


@pytest.fixture(scope="module")
def group(astronaut: Path) -> NDArray[np.uint8]:
    """Three heads of different sizes side by side."""
    head = Image.fromarray(load_image(astronaut)[20:220, 120:320])
    heads = [np.asarray(head.resize((side, side))) for side in (300, 200, 120)]
    canvas = np.full((320, 700, 3), 180, np.uint8)
    for left, tile in zip((0, 320, 550), heads, strict=True):
        canvas[10 : 10 + len(tile), left : left + len(tile)] = tile
    return canvas


def close(ones: list[Face], others: list[Face]) -> bool:
    """Whether two answers are the same but for the last bits of the probabilities."""
    return [face.box for face in ones] == [face.box for face in others] and all(
        np.allclose(one.prediction.values, other.prediction.values, atol=1e-5)
        for one, other in zip(ones, others, strict=True)
    )


def test_an_answer_is_the_classifiers_on_the_detectors_crop(
    recognizer: ExpressionRecognizer, astronaut: Path, tiny_model: Path
) -> None:
    (face,) = recognizer.recognize(astronaut)
    image, classifier = load_image(astronaut), load_classifier(tiny_model)
    (found,) = CenterFaceDetector(RecognizerOptions(threads=1)).detect(image)
    crops = crop_faces(image, [found.box], [found.landmarks], CenterFaceDetector.framing, size=48)
    assert np.allclose(face.prediction.values, classifier.predict_proba(crops)[0], atol=1e-5)
    assert face.landmarks == found.landmarks
    assert sum(face.probabilities.values()) == pytest.approx(1, abs=1e-5)


def test_faces_stand_from_left_to_right(
    recognizer: ExpressionRecognizer, group: NDArray[np.uint8]
) -> None:
    lefts = [face.box.left for face in recognizer.recognize(group)]
    assert len(lefts) == 3
    assert lefts == sorted(lefts)


def test_no_face_is_an_empty_list(recognizer: ExpressionRecognizer, astronaut: Path) -> None:
    assert recognizer.recognize(astronaut.parent / "coffee.png") == []


def test_many_images_get_the_answers_that_each_gets_alone(
    recognizer: ExpressionRecognizer, astronaut: Path, group: NDArray[np.uint8]
) -> None:
    plain = np.zeros((50, 50, 3), np.uint8)
    sources = [group, plain, load_image(astronaut), group[:, ::-1]]
    alone = [recognizer.recognize(source) for source in sources]
    for batch_size in (1, 3, 32):
        answers = list(recognizer.recognize_many(sources, batch_size=batch_size))
        assert [id(source) for source, _ in answers] == [id(source) for source in sources]
        assert all(close(faces, one) for (_, faces), one in zip(answers, alone, strict=True))
    backwards = [faces for _, faces in recognizer.recognize_many(sources[::-1])]
    assert all(close(faces, one) for faces, one in zip(backwards[::-1], alone, strict=True))


def test_all_faces_of_a_batch_go_through_the_network_at_once(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two batches of images with two faces each: 3 * 2 crops, then 1 * 2."""
    classifier, batches = load_classifier(tiny_model), []
    predict = classifier.predict_proba

    def counting(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        batches.append(len(crops))
        return predict(crops)

    monkeypatch.setattr(classifier, "predict_proba", counting)
    detector = FixedDetector(Box(5, 5, 20, 25), Box(25, 5, 40, 25))
    recognizer = ExpressionRecognizer(classifier, detector)
    list(recognizer.recognize_many([np.zeros((50, 50, 3), np.uint8)] * 4, batch_size=3))
    assert batches == [6, 2]


def test_images_are_read_as_the_answers_are_taken(recognizer: ExpressionRecognizer) -> None:
    read = []

    def endless() -> Iterator[NDArray[np.uint8]]:
        while True:
            read.append(1)
            yield np.zeros((40, 40, 3), np.uint8)

    answers = recognizer.recognize_many(endless(), batch_size=2)
    next(answers)
    assert len(read) == 2


class MeetingDetector(FixedDetector):
    """Finds a box as wide as the image's first value, once another image is searched as well."""

    def __init__(self, *, n_at_once: int) -> None:
        super().__init__()
        self.meeting = threading.Barrier(n_at_once, timeout=20)

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        self.meeting.wait()
        return [Detection(Box(0, 0, float(image[0, 0, 0]), 20), 0.9)]


@pytest.mark.parametrize(("threads", "n_at_once"), [(2, 2), (1, 1)])
def test_two_images_are_searched_at_a_time_and_answers_keep_their_order(
    tiny_model: Path, threads: int, n_at_once: int
) -> None:
    detector = MeetingDetector(n_at_once=n_at_once)
    options = RecognizerOptions(threads=threads)
    recognizer = ExpressionRecognizer(load_classifier(tiny_model), detector, options)
    widths = [12, 34, 23, 45]
    sources = [np.full((50, 50, 3), width, np.uint8) for width in widths]
    for answers in (
        [faces for _, faces in recognizer.recognize_many(sources)],
        [row.faces for row in recognizer.recognize_rows(sources)],
    ):
        assert [face.box.width for (face,) in answers] == widths


def test_one_open_file_given_twice_is_read_once_after_the_other(
    tiny_model: Path, astronaut: Path
) -> None:
    options = RecognizerOptions(threads=2)
    detector = MeetingDetector(n_at_once=1)
    recognizer = ExpressionRecognizer(load_classifier(tiny_model), detector, options)
    with astronaut.open("rb") as file:
        rows = list(recognizer.recognize_rows([file] * 6))
    assert [row.status for row in rows] == ["ok"] * 6


def test_recognize_many_raises_on_a_bad_image(
    recognizer: ExpressionRecognizer, tmp_path: Path
) -> None:
    with pytest.raises(ImageError, match=r"gone\.jpg"):
        list(recognizer.recognize_many([tmp_path / "gone.jpg"]))


@pytest.mark.parametrize("batch_size", [2, 32])
def test_images_before_a_bad_one_are_answered(
    recognizer: ExpressionRecognizer, astronaut: Path, tmp_path: Path, batch_size: int
) -> None:
    sources = [astronaut, astronaut, astronaut, tmp_path / "gone.jpg", astronaut]
    answers = recognizer.recognize_many(sources, batch_size=batch_size)
    assert [len(next(answers)[1]) for _ in range(3)] == [1, 1, 1]
    with pytest.raises(ImageError, match=r"gone\.jpg"):
        next(answers)


def test_a_folder_gives_a_row_per_image(
    recognizer: ExpressionRecognizer, astronaut: Path, tmp_path: Path
) -> None:
    (tmp_path / "deep").mkdir()
    shutil.copy(astronaut, tmp_path / "deep" / "a.png")
    (tmp_path / "b.jpg").write_text("no image")
    (tmp_path / "notes.txt").write_text("no image")
    rows = list(recognizer.recognize_folder(tmp_path))
    assert [(Path(row.source).name, row.status) for row in rows] == [
        ("b.jpg", "rejected"),
        ("a.png", "ok"),
    ]
    with pytest.raises(ImageError, match="no such folder"):
        recognizer.recognize_folder(tmp_path / "gone")


@dataclass
class PlainDetection:
    """What another library's detector may return."""

    box: Box
    score: float
    landmarks: None = None


class EyelessDetector:
    """Finds the astronaut's face and knows nothing of its eyes."""

    framing = CenterFaceDetector.framing

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        found = PlainDetection(Box(182, 58, 270, 178), 0.9)
        return [found]  # type: ignore[list-item]


def test_a_detector_without_landmarks_is_used_everywhere(
    tiny_model: Path, astronaut: Path, tmp_path: Path
) -> None:
    recognizer = ExpressionRecognizer(load_classifier(tiny_model), EyelessDetector())
    (row,) = recognizer.recognize_rows([astronaut])
    (face,) = recognizer.recognize(astronaut)
    assert row.faces == (face,)
    assert face.landmarks == ()
    assert face.quality is not None
    assert (face.quality.yaw, face.quality.pitch, face.quality.roll_degrees) == (None, None, None)
    assert Face.from_dict(face.to_dict()) == face
    assert row.save(tmp_path / "marked.png").is_file()
    pixels = load_image(astronaut)
    assert recognizer.classify(pixels, EyelessDetector().detect(pixels)) == [face]


def test_one_bad_file_among_many_is_its_own_row(
    recognizer: ExpressionRecognizer, astronaut: Path, tmp_path: Path
) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("no image")
    cut = tmp_path / "cut.png"
    cut.write_bytes(astronaut.read_bytes()[:5000])
    sources = [astronaut, text, tmp_path / "gone.jpg", cut, astronaut.parent / "coffee.png"]
    rows = list(recognizer.recognize_rows(sources))
    assert [row.status for row in rows] == ["ok", "rejected", "rejected", "rejected", "ok"]
    assert [row.source for row in rows] == [str(source) for source in sources]
    assert [len(row.faces) for row in rows] == [1, 0, 0, 0, 0]
    assert (rows[0].width, rows[0].height) == (512, 512)
    assert (rows[4].width, rows[4].height) == (600, 400)
    assert all(row.error for row in rows[1:4])


def test_a_network_that_fails_on_one_image_fails_that_row_alone(tiny_model: Path) -> None:
    recognizer = ExpressionRecognizer(load_classifier(tiny_model), BrokenDetector())
    images = [np.zeros((9, 9, 3), np.uint8), np.zeros((1, 9, 3), np.uint8)]
    rows = list(recognizer.recognize_rows([*images, images[0]]))
    assert [row.status for row in rows] == ["ok", "failed", "ok"]
    assert "detector: cannot be run" in rows[1].error


def test_a_classifier_that_fails_on_one_image_fails_that_row_alone(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = load_classifier(tiny_model)
    predict = classifier.predict_proba

    def fails_on_white(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        if crops.size and crops.max() == 255:
            raise ModelError("model: no probabilities: white. Give another")
        return predict(crops)

    monkeypatch.setattr(classifier, "predict_proba", fails_on_white)
    recognizer = ExpressionRecognizer(classifier, FixedDetector(Box(5, 5, 30, 30)))
    images = [np.full((40, 40, 3), value, np.uint8) for value in (10, 255, 20)]
    rows = list(recognizer.recognize_rows(images))
    assert [(row.status, len(row.faces)) for row in rows] == [("ok", 1), ("failed", 0), ("ok", 1)]


def test_a_device_that_fails_in_mid_run_fails_the_images_that_it_had(
    tiny_model: Path, astronaut: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows before it are whole, and those after it too once it is back."""
    real, is_lost = onnxruntime.InferenceSession.run, threading.Event()

    def run_or_fail(*words: Any) -> Any:  # noqa: ANN401 - ONNX Runtime's own
        if is_lost.is_set():
            raise RuntimeError("CUDA failure 719: unspecified launch failure ; GPU=0\n at line 7")
        return real(*words)

    recognizer = load_recognizer(tiny_model, threads=1)
    monkeypatch.setattr(onnxruntime.InferenceSession, "run", run_or_fail)
    monkeypatch.setattr(ModelSession, "providers", ("CUDAExecutionProvider",))
    rows, found = recognizer.recognize_rows([astronaut] * 6, batch_size=2), []
    for switch in (is_lost.clear, is_lost.set, is_lost.clear):
        switch()
        found += [next(rows), next(rows)]
    assert [row.status for row in found] == ["ok", "ok", "failed", "failed", "ok", "ok"]
    assert [len(row.faces) for row in found] == [1, 1, 0, 0, 1, 1]
    said = r"^centerface\.onnx: fails on CUDAExecutionProvider: CUDA failure 719.*--device cpu$"
    assert all(re.search(said, row.error) for row in found[2:4])


def test_boxes_are_reported_within_the_image(tiny_model: Path) -> None:
    detector = FixedDetector(Box(-10.0, 5, 30, 60))
    recognizer = ExpressionRecognizer(load_classifier(tiny_model), detector)
    (face,) = recognizer.recognize(np.zeros((50, 40, 3), np.uint8))
    assert face.box == Box(0, 5, 30, 50)


def test_orientation_is_applied_before_detection(
    recognizer: ExpressionRecognizer, astronaut: Path, tmp_path: Path
) -> None:
    """Stored turned to the left, with the EXIF note to turn it back: the same face."""
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = tmp_path / "phone.png"
    image = Image.fromarray(load_image(astronaut))
    image.transpose(Image.Transpose.ROTATE_90).save(stored, exif=exif)
    assert close(recognizer.recognize(stored), recognizer.recognize(astronaut))


@pytest.mark.parametrize(("threshold", "uncertain"), [(None, False), (0.0, False), (1.0, True)])
def test_the_threshold_of_uncertain_can_be_moved(
    tiny_model: Path, astronaut: Path, threshold: float | None, uncertain: bool
) -> None:
    """The tiny model's own is 0.4, and it is surer than that of the astronaut's face."""
    recognizer = load_recognizer(tiny_model, min_confidence=threshold, threads=1)
    (face,) = recognizer.recognize(astronaut)
    assert 0.4 < face.confidence < 1
    assert face.uncertain is uncertain


def test_a_threshold_out_of_range_is_refused(tiny_model: Path) -> None:
    with pytest.raises(ValueError, match=r"not 1\.5"):
        load_recognizer(tiny_model, min_confidence=1.5)


def test_larger_images_than_allowed_are_rejected(tiny_model: Path, astronaut: Path) -> None:
    recognizer = load_recognizer(tiny_model, max_pixels=512 * 512 - 1)
    (row,) = recognizer.recognize_rows([astronaut])
    assert row.status == "rejected"
    assert "too large" in row.error


def test_a_copy_by_pickle_answers_the_same(tiny_model: Path, astronaut: Path) -> None:
    recognizer = load_recognizer(tiny_model, min_confidence=0.9, threads=1)
    pickled = pickle.dumps(recognizer)
    assert len(pickled) < 5000
    assert close(pickle.loads(pickled).recognize(astronaut), recognizer.recognize(astronaut))
    assert pickle.loads(pickled).recognize(astronaut)[0].prediction.uncertain_below == 0.9


def test_batch_size_out_of_range(recognizer: ExpressionRecognizer) -> None:
    with pytest.raises(ValueError, match="batch_size: must be 1 or more, not 0"):
        list(recognizer.recognize_many([], batch_size=0))


def test_an_image_without_memory_for_it_has_failed_and_is_not_called_damaged(
    recognizer: ExpressionRecognizer, astronaut: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(image: Image.Image) -> NDArray[np.uint8]:
        raise MemoryError

    monkeypatch.setattr(images, "_pixels", full)
    (row,) = recognizer.recognize_rows([astronaut])
    assert row.status == "failed"
    assert row.error is not None
    assert "not enough memory" in row.error
