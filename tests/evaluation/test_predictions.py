"""Predictions: what the classifier is asked, what it may answer, and their file."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facial_expressions.errors import DatasetError, ModelError
from facial_expressions.evaluation.predictions import (
    Predictions,
    measure_latency,
    predict_split,
    read_predictions,
    write_predictions,
)
from facial_expressions.labels import LabelSet
from tests.evaluation.fakes import (
    PAIR,
    TRIO,
    BrightnessClassifier,
    PixelClassifier,
    pixel_split,
    predictions_of,
)

ROWS = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4], [0.2, 0.5, 0.3], [0.6, 0.1, 0.3]]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 100])
def test_answers_do_not_depend_on_batch_size(batch_size: int) -> None:
    predictions = predict_split(
        PixelClassifier(TRIO, ROWS), pixel_split([0, 1, 2, 0, 1]), batch_size=batch_size
    )
    assert np.array_equal(predictions.probabilities, np.array(ROWS, np.float32))
    assert predictions.predicted.tolist() == [0, 1, 2, 1, 0]
    assert predictions.right.tolist() == [True, True, True, False, False]


def test_answers_do_not_depend_on_order_or_neighbours() -> None:
    classifier, split = PixelClassifier(TRIO, ROWS), pixel_split([0, 1, 2, 0, 1])
    order = np.array([3, 0, 4])
    whole = predict_split(classifier, split, batch_size=4)
    part = predict_split(classifier, split.take(order), batch_size=2)
    assert np.array_equal(part.probabilities, whole.probabilities[order])
    assert part.sources == ("image 3", "image 0", "image 4")


def test_batches_have_at_most_the_size_asked_for() -> None:
    classifier = PixelClassifier(TRIO, ROWS)
    predict_split(classifier, pixel_split([0] * 5), batch_size=2)
    assert classifier.batch_sizes == [2, 2, 1]


def test_progress_ends_with_all_images() -> None:
    seen: list[tuple[int, int]] = []
    predict_split(
        PixelClassifier(TRIO, ROWS),
        pixel_split([0] * 5),
        batch_size=2,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(2, 5), (4, 5), (5, 5)]


def test_an_image_without_answer_is_wrong_and_has_no_confidence() -> None:
    nan = float("nan")
    predictions = predictions_of(PAIR, [0, 1], [[nan, nan], [0.25, 0.75]])
    assert predictions.predicted.tolist() == [-1, 1]
    assert predictions.answered.tolist() == [False, True]
    assert predictions.right.tolist() == [False, True]
    assert predictions.confidence.tolist() == [0.0, 0.75]


def test_predictions_survive_their_file_exactly(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.ones(3), 40).astype(np.float32)
    rows[7] = np.nan
    before = Predictions(
        TRIO,
        tuple(f'straße/ß "{i}", x.jpg' for i in range(40)),
        rng.integers(0, 3, 40),
        rows,
    )
    write_predictions(before, tmp_path / "predictions.csv")
    after = read_predictions(tmp_path / "predictions.csv")
    assert after.labels.names == TRIO.names
    assert after.sources == before.sources
    assert np.array_equal(after.truth, before.truth)
    assert np.array_equal(after.probabilities, before.probabilities, equal_nan=True)


def test_c16_labels_of_a_predictions_file_are_no_formulas(tmp_path: Path) -> None:
    """Labels are the names of folders, or of a stranger's model file."""
    path = tmp_path / "predictions.csv"
    labels = LabelSet("odd", ("=1+1", "\uff1dcmd", "\n=2", "a\x1b[31m", "-"))
    write_predictions(predictions_of(labels, [0], [[0.5, 0.5, 0, 0, 0]]), path)
    header, row = csv.reader(io.StringIO(path.read_text("utf-8"), newline=""))
    assert header[4:] == ["'=1+1", "'\uff1dcmd", "'\n=2", "a\\u001b[31m", "-"]
    assert row[1:3] == ["'=1+1", "'=1+1"]
    assert read_predictions(path).labels.names == tuple(header[4:])


def test_predictions_file_names_truth_and_answer(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    write_predictions(predictions_of(PAIR, [0], [[0.25, 0.75]]), path)
    assert path.read_text(encoding="utf-8") == (
        "source,truth,prediction,confidence,no,yes\n0,no,yes,0.75,0.25,0.75\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b\n",
        "source,truth,prediction,confidence,no,yes\n",
        "source,truth,prediction,confidence,no,yes\nx,maybe,no,1,1,0\n",
        "source,truth,prediction,confidence,no,yes\nx,no,no,1,one,0\n",
        "source,truth,prediction,confidence,no,yes\nx,no,no,1,1\n",
    ],
    ids=["empty", "columns", "no rows", "label", "number", "short row"],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match="not a predictions file"):
        read_predictions(tmp_path / "p.csv")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="not a predictions file"):
        read_predictions(tmp_path / "none.csv")


def test_an_empty_split_is_refused() -> None:
    with pytest.raises(DatasetError, match="no images"):
        predict_split(PixelClassifier(TRIO, ROWS), pixel_split([]))


def test_a_label_the_classifier_lacks_is_refused() -> None:
    with pytest.raises(DatasetError, match="label ids 0 to 3"):
        predict_split(PixelClassifier(TRIO, ROWS), pixel_split([0, 3]))


@pytest.mark.parametrize(
    "rows",
    [[[0.5, 0.5]], [[0.5, 0.6, 0.0]], [[2.0, -1.0, 0.0]], [[float("nan")] * 3]],
    ids=["columns", "sum", "negative", "nan"],
)
def test_an_output_that_is_no_probabilities_is_refused(rows: list[list[float]]) -> None:
    with pytest.raises(ModelError, match=r"^classifier: .* instead of "):
        predict_split(PixelClassifier(TRIO, rows), pixel_split([0]))


def test_a_batch_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="batch_size: must be 1 or more, not 0"):
        predict_split(PixelClassifier(TRIO, ROWS), pixel_split([0]), batch_size=0)


@pytest.mark.parametrize(
    ("truth", "rows"), [([0], [[0.5, 0.5]]), ([0, 1], [[0.2, 0.3, 0.5]]), ([], [])]
)
def test_predictions_need_a_row_per_image(truth: list[int], rows: list[list[float]]) -> None:
    with pytest.raises(ValueError, match=r"^predictions: "):
        predictions_of(LabelSet("trio", ("a", "b", "c")), truth, rows)


class Timed(BrightnessClassifier):
    """Answers and moves its clock by some milliseconds a crop."""

    def __init__(self, ms_per_crop: float) -> None:
        self.now, self.calls, self._ms = 0.0, 0, ms_per_crop

    def predict_proba(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.now += self._ms / 1000 * len(crops)
        self.calls += 1
        return super().predict_proba(crops)


def test_latency_is_the_median_of_calls_after_a_warm_up() -> None:
    """The clock moves by 2 ms in a call with one crop and by 8 ms in a call with four."""
    timed = Timed(2)
    latency = measure_latency(timed, np.zeros((4, 8, 8), np.uint8), clock=lambda: timed.now)
    assert latency.per_crop == pytest.approx(2)
    assert latency.per_batch == pytest.approx(8)
    assert latency.batch_size == 4
    assert timed.calls == 1 + 30 + 1 + 5


def test_a_slow_classifier_is_timed_on_fewer_calls() -> None:
    """0.6 s a crop: of each kind a warm-up and the two calls that pass one second."""
    timed = Timed(600)
    latency = measure_latency(timed, np.zeros((2, 8, 8), np.uint8), clock=lambda: timed.now)
    assert latency.per_crop == pytest.approx(600)
    assert latency.per_batch == pytest.approx(1200)
    assert timed.calls == 1 + 2 + 1 + 2
