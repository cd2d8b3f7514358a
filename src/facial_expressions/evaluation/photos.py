"""Measures a recogniser on whole photos: the answer for a photo is that of its largest face.

A photo without a face has no answer and counts as wrong. A photo that cannot be read is left out
and named.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from facial_expressions.calibration import Calibration
from facial_expressions.data.class_folders import Photo
from facial_expressions.errors import DatasetError
from facial_expressions.evaluation.predictions import OnProgress, Predictions
from facial_expressions.evaluation.provenance import Provenance
from facial_expressions.evaluation.report import Report, build_report
from facial_expressions.inference.contracts import RowRecognizer
from facial_expressions.labels import LabelSet
from facial_expressions.plain_text import few
from facial_expressions.results import ImageResult

_PHOTOS_PER_BATCH: Final = 16
_NAMED: Final = 10


def evaluate_photos(
    recognizer: RowRecognizer,
    photos: Iterable[Photo],
    labels: LabelSet,
    *,
    uncertain_below: float = 0.0,
    provenance: Provenance | None = None,
    progress: OnProgress | None = None,
) -> Report:
    """Measure a recogniser on labelled photos; only a few are in memory at a time.

    Args:
        recognizer: What to ask.
        photos: Files with the names of their expressions.
        labels: The recogniser's label set; photos of other expressions are left out.
        uncertain_below: The model's threshold of ``uncertain``, 0 to 1.
        provenance: What the report says of its origin.
        progress: Called with photos done and 0: how many there are is not known before.

    Returns:
        The report; its notes name what could not be answered or read, its ``split_digest`` is that
        of all photos and labels.

    Raises:
        DatasetError: No photo is left to measure.
        MissingExtraError: scikit-learn is not installed.
    """
    unknown: Counter[str] = Counter()
    unreadable: list[str] = []
    rows: list[tuple[str, int, list[float]]] = []
    sha = hashlib.sha256()
    for chunk in _chunks(photos):
        known = [photo for photo in chunk if photo.label in labels.names]
        unknown.update(photo.label for photo in chunk if photo.label not in labels.names)
        results = recognizer.recognize_rows(
            [photo.data for photo in known], batch_size=_PHOTOS_PER_BATCH
        )
        for photo, result in zip(known, results, strict=True):
            sha.update(photo.data + photo.label.encode())
            if result.status == "ok":
                rows.append((photo.source, labels.id_of(photo.label), _answer(result, labels)))
            else:
                unreadable.append(photo.source)
        if progress is not None:
            progress(len(rows) + len(unreadable), 0)
    predictions = _predictions(rows, labels)
    calibration = Calibration(uncertain_below=uncertain_below)
    report = build_report(predictions, calibration=calibration, provenance=provenance)
    notes = _notes(predictions, unknown, unreadable)
    return replace(report, notes=notes, split_digest=sha.hexdigest())


def _chunks(photos: Iterable[Photo]) -> Iterator[list[Photo]]:
    iterator = iter(photos)
    while chunk := list(itertools.islice(iterator, _PHOTOS_PER_BATCH)):
        yield chunk


def _answer(result: ImageResult, labels: LabelSet) -> list[float]:
    """Return the probabilities of the largest face, NaN when there is none."""
    if not result.faces:
        return [float("nan")] * len(labels)
    largest = max(result.faces, key=lambda face: face.box.area)
    return [largest.probabilities[name] for name in labels]


def _predictions(rows: list[tuple[str, int, list[float]]], labels: LabelSet) -> Predictions:
    if not rows:
        raise DatasetError(
            "photos: none can be read and shows an expression of the model. Give class folders "
            f"named as in {list(labels)}"
        )
    sources, truth, probabilities = zip(*rows, strict=True)
    return Predictions(
        labels, sources, np.array(truth, np.int64), np.array(probabilities, np.float32)
    )


def _notes(
    predictions: Predictions, unknown: Counter[str], unreadable: list[str]
) -> tuple[str, ...]:
    faceless = [
        source
        for source, answered in zip(predictions.sources, predictions.answered, strict=True)
        if not answered
    ]
    notes = ["each photo's answer is that of its largest face"]
    if faceless:
        notes.append(f"no face found, counted as wrong: {len(faceless)} ({few(faceless, _NAMED)})")
    notes += [
        f"left out, because the model does not know {name!r}: {count}"
        for name, count in sorted(unknown.items())
    ]
    if unreadable:
        notes.append(
            f"left out, because they cannot be read: {len(unreadable)} ({few(unreadable, _NAMED)})"
        )
    return tuple(notes)
