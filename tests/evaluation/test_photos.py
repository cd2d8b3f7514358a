"""Whole photos: the largest face answers, no face is wrong, and nothing gets lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from facial_expressions.data.class_folders import Photo
from facial_expressions.errors import DatasetError
from facial_expressions.evaluation.photos import evaluate_photos
from facial_expressions.evaluation.predictions import OnProgress
from facial_expressions.evaluation.report import Report
from facial_expressions.image_sources import ImageSource
from facial_expressions.results import Box, Face, ImageResult, Prediction
from tests.evaluation.fakes import PAIR


class ScriptedRecognizer:
    """Reads the faces from the photo's bytes: ``10 0.9`` is a face of side 10, 0.9 for yes."""

    def recognize_rows(
        self, sources: Iterable[ImageSource], *, batch_size: int
    ) -> Iterator[ImageResult]:
        assert batch_size > 0
        for data in sources:
            assert isinstance(data, bytes)
            if data == b"broken":
                yield ImageResult("<bytes>", "rejected", error="no image")
                continue
            faces = tuple(map(_face, filter(None, data.decode().split(";"))))
            yield ImageResult("<bytes>", "ok", 100, 100, faces)


def _face(text: str) -> Face:
    side, yes = map(float, text.split())
    return Face(Box(0, 0, side, side), 0.9, (), Prediction(PAIR.names, (1 - yes, yes)))


def photo(source: str, label: str, data: str) -> tuple[Photo, bytes]:
    return Photo(source, "test", label), data.encode()


def measure(photos: list[tuple[Photo, bytes]], progress: OnProgress | None = None) -> Report:
    contents = {one.source: data for one, data in photos}
    some = [one for one, _ in photos]
    return evaluate_photos(
        ScriptedRecognizer(), some, contents.__getitem__, PAIR, progress=progress
    )


def test_the_largest_face_answers() -> None:
    photos = [photo("a.jpg", "yes", "10 0.25;30 0.75;20 0.25")]
    predictions = measure(photos).predictions
    assert predictions.probabilities.tolist() == [[0.25, 0.75]]
    assert predictions.sources == ("a.jpg",)


def test_a_photo_without_a_face_is_wrong_and_named() -> None:
    photos = [photo("a.jpg", "yes", ""), photo("b.jpg", "yes", "9 0.75")]
    report = measure(photos)
    assert (report.headline.n, report.accuracy, report.n_unanswered) == (2, 0.5, 1)
    assert "no face found, counted as wrong: 1 (a.jpg)" in report.notes


def test_what_cannot_be_read_is_left_out_and_named() -> None:
    photos = [photo("bad.jpg", "yes", "broken"), photo("b.jpg", "yes", "9 0.75")]
    report = measure(photos)
    assert report.headline.n == 1
    assert "left out, because they cannot be read: 1 (bad.jpg)" in report.notes


def test_expressions_the_model_lacks_are_left_out_and_named() -> None:
    photos = [photo("a.jpg", "maybe", "9 0.75"), photo("b.jpg", "no", "9 0.25")]
    report = measure(photos)
    assert (report.headline.n, report.accuracy) == (1, 1)
    assert "left out, because the model does not know 'maybe': 1" in report.notes


def test_many_photos_keep_their_order_across_batches() -> None:
    photos = [photo(f"{i}.jpg", "yes", f"9 {i / 100}") for i in range(50)]
    seen: list[tuple[int, int]] = []
    predictions = measure(photos, lambda *done: seen.append(done)).predictions
    assert predictions.sources == tuple(f"{i}.jpg" for i in range(50))
    expected = [i / 100 for i in range(50)]
    assert predictions.probabilities[:, 1].tolist() == pytest.approx(expected)
    assert seen == [(done, 50) for done in range(1, 51)]


def test_no_photo_at_all_is_refused() -> None:
    with pytest.raises(DatasetError, match="photos: none can be read and shows"):
        measure([photo("a.jpg", "yes", "broken")])


def test_long_lists_of_names_are_cut() -> None:
    photos = [photo(f"{i}.jpg", "yes", "") for i in range(14)]
    report = measure(photos)
    assert any(note.endswith("9.jpg and 4 more)") for note in report.notes)
