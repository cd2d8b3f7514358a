"""Measures a recogniser on whole photos: the answer for a photo is that of its largest face.

A photo without a face has no answer and counts as wrong. A photo that cannot be read is left out
and named.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from facial_expressions.calibration import Calibration
from facial_expressions.data.class_folders import Photo
from facial_expressions.errors import DatasetError
from facial_expressions.evaluation.predictions import OnProgress, Predictions
from facial_expressions.evaluation.provenance import Provenance
from facial_expressions.evaluation.report import Report, build_report
from facial_expressions.evaluation.splits import unknown_notes
from facial_expressions.inference.contracts import RowRecognizer
from facial_expressions.labels import LabelSet
from facial_expressions.plain_text import few
from facial_expressions.results import ImageResult

_PHOTOS_PER_BATCH: Final = 16
_NAMED: Final = 10


def evaluate_photos(
    recognizer: RowRecognizer,
    photos: Sequence[Photo],
    read: Callable[[str], bytes],
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
        read: Returns the bytes of a file, by its source; of a ``DatasetError`` the report tells.
        labels: The recogniser's label set; photos of other expressions are left out.
        uncertain_below: The model's threshold of ``uncertain``, 0 to 1.
        provenance: What the report says of its origin.
        progress: Called with photos done and photos in all.

    Returns:
        The report; its notes name what could not be answered or read, its ``split_digest`` is that
        of all photos and labels.

    Raises:
        DatasetError: No photo is left to measure.
        MissingExtraError: scikit-learn is not installed.
    """
    unknown = Counter(photo.label for photo in photos if photo.label not in labels.names)
    known = [photo for photo in photos if photo.label not in unknown]
    unreadable: list[str] = []
    rows: list[tuple[str, int, list[float]]] = []
    sha = hashlib.sha256()

    def contents() -> Iterator[bytes]:
        for photo in known:
            data = _content(read, photo.source)
            sha.update(data + photo.label.encode())
            yield data

    results = recognizer.recognize_rows(contents(), batch_size=_PHOTOS_PER_BATCH)
    for photo, result in zip(known, results, strict=True):
        if result.status == "ok":
            rows.append((photo.source, labels.id_of(photo.label), _answer(result, labels)))
        else:
            unreadable.append(photo.source)
        if progress is not None:
            progress(len(rows) + len(unreadable), len(known))
    if not rows:
        raise DatasetError(
            "photos: none can be read and shows an expression of the model. Give class folders "
            f"named as in {list(labels)}"
        )
    sources, truth, answers = zip(*rows, strict=True)
    predictions = Predictions(labels, sources, np.array(truth), np.array(answers, np.float32))
    calibration = Calibration(uncertain_below=uncertain_below)
    report = build_report(predictions, calibration=calibration, provenance=provenance)
    faceless = [source for source, _, answer in rows if np.isnan(answer[0])]
    notes = [
        "each photo's answer is that of its largest face",
        *_counted("no face found, counted as wrong", faceless),
        *unknown_notes(dict(sorted(unknown.items()))),
        *_counted("left out, because they cannot be read", unreadable),
    ]
    return replace(report, notes=tuple(notes), split_digest=sha.hexdigest())


def _content(read: Callable[[str], bytes], source: str) -> bytes:
    """Return a photo's bytes; none, which its row calls no image, where they cannot be read."""
    try:
        return read(source)
    except DatasetError:
        return b""


def _answer(result: ImageResult, labels: LabelSet) -> list[float]:
    """Return the probabilities of the largest face, NaN when there is none."""
    if not result.faces:
        return [float("nan")] * len(labels)
    largest = max(result.faces, key=lambda face: face.box.area)
    return [largest.probabilities[name] for name in labels]


def _counted(what: str, names: list[str]) -> list[str]:
    """Return how many photos something is true of, and the first of their names."""
    return [f"{what}: {len(names)} ({few(names, _NAMED)})"] if names else []
