"""Test-time views: moved and mirrored pixels, and the mean of the answers to them."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.special
import scipy.stats

from facial_expressions.calibration import Calibration, TopLabelMap
from facial_expressions.inference.classifier import (
    ExpressionClassifier,
    load_classifier,
    views_of,
)
from facial_expressions.inference.recognizer import load_recognizer
from tests.tiny_model import HEAD, metadata_of, tiny_graph, write_mapped_model, write_tiny_model

CROP = np.array([[[1, 2, 3], [4, 5, 6], [7, 8, 9]]], np.uint8)


def test_views_by_hand() -> None:
    still, up, down = [1, 2, 3], [4, 5, 6], [7, 8, 9]
    mirrored = [[3, 2, 1], [6, 5, 4], [9, 8, 7]]
    assert [view[0].tolist() for view in views_of(CROP)] == [
        [still, up, down],
        mirrored,
        [up, down, down],
        [mirrored[1], mirrored[2], mirrored[2]],
        [still, still, up],
        [mirrored[0], mirrored[0], mirrored[1]],
        [[2, 3, 3], [5, 6, 6], [8, 9, 9]],
        [[2, 1, 1], [5, 4, 4], [8, 7, 7]],
        [[1, 1, 2], [4, 4, 5], [7, 7, 8]],
        [[3, 3, 2], [6, 6, 5], [9, 9, 8]],
    ]


def test_crops_themselves_stay_as_they_are() -> None:
    before = CROP.copy()
    assert len([*views_of(CROP)]) == 10
    assert np.array_equal(CROP, before)


def test_ten_different_views_of_which_one_is_plain() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (1, 8, 8)).astype(np.uint8)
    assert len({view.tobytes() for view in views_of(crop)}) == 10
    assert np.array_equal(next(views_of(crop)), crop)


def test_average_over_the_views_does_not_change_when_the_crop_is_mirrored() -> None:
    crop = np.random.default_rng(1).integers(0, 256, (1, 8, 8)).astype(np.uint8)
    plain, mirrored = (
        {view.tobytes() for view in views_of(start)} for start in (crop, crop[:, :, ::-1])
    )
    assert plain == mirrored


CROPS = np.random.default_rng(5).integers(0, 256, (6, 48, 48), dtype=np.uint8)


@pytest.fixture
def tiny(tmp_path: Path) -> ExpressionClassifier:
    """A model without a map of confidences."""
    return load_classifier(write_tiny_model(tmp_path / "tiny.onnx"), threads=1)


def several_of(classifier: ExpressionClassifier) -> ExpressionClassifier:
    return ExpressionClassifier(classifier.session, classifier.head.name, tta=True)


def test_the_answer_is_the_mean_of_logits_over_the_views(tiny: ExpressionClassifier) -> None:
    answers = [tiny.predict_proba(shown) for shown in views_of(CROPS)]
    assert np.abs(answers[0] - answers[1]).max() > 0.1
    several = several_of(tiny)
    expected = scipy.stats.gmean(answers, axis=0)  # a mean of logits, but for the sum of 1
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(several.predict_proba(CROPS), expected, atol=1e-6)
    assert (several.n_views, several.labels, several.path) == (10, tiny.labels, tiny.path)
    assert (several.metadata, several.head) == (tiny.metadata, tiny.head)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_answers_do_not_depend_on_the_batch(tiny: ExpressionClassifier, batch_size: int) -> None:
    several = several_of(tiny)
    parts = several.predict_proba(CROPS, batch_size=batch_size)
    np.testing.assert_allclose(parts, several.predict_proba(CROPS), atol=1e-6)
    assert several.predict_proba(CROPS[:0]).shape == (0, 7)


def test_the_mean_goes_through_the_map_of_confidences_once(tmp_path: Path) -> None:
    """The file says that its answers went through a map; the mean is of what was before it."""
    halved = TopLabelMap((0.5,) * 7, (0.0,) * 7)
    metadata = metadata_of(replace(HEAD, calibration=Calibration(top_label=halved)))
    path = tmp_path / "mapped.onnx"
    path.write_bytes(tiny_graph(metadata).SerializeToString())
    member = load_classifier(path, threads=1)
    half = np.random.default_rng(5).integers(0, 256, (40, 6, 3), np.uint8)
    blocks = np.concatenate([half, half[:, :, ::-1]], axis=2)  # much the same in all views
    crops = np.kron(blocks, np.ones((1, 8, 8), np.uint8))
    logits = [np.log(member.predict_proba(view)) for view in views_of(crops)]

    def squared_odds(one: np.ndarray) -> np.ndarray:
        """Undo by hand what halves the answer's log-odds against all others."""
        p = np.exp(one)
        top, rows = p.argmax(axis=1), np.arange(len(p))
        odds = (p[rows, top] / (1 - p[rows, top])) ** 2
        before = p * ((1 / (1 + odds)) / (1 - p[rows, top]))[:, None]
        before[rows, top] = odds / (1 + odds)
        return np.asarray(before)

    mean = np.mean([np.log(squared_odds(one)) for one in logits], axis=0)
    expected = scipy.special.softmax(halved.apply(mean), axis=1)
    clear = np.all([np.exp(one).max(axis=1) > 0.55 for one in logits], axis=0)
    assert clear.any()  # elsewhere the map may have had to keep the answer in the lead
    answers = several_of(member).predict_proba(crops)
    np.testing.assert_allclose(answers[clear], expected[clear], atol=1e-5)
    assert np.abs(answers - np.exp(logits).mean(axis=0)).max() > 1e-3


def test_larger_crops_are_scaled_before_they_are_moved(tiny: ExpressionClassifier) -> None:
    large = np.repeat(np.repeat(CROPS, 2, axis=1), 2, axis=2)
    several = several_of(tiny)
    np.testing.assert_allclose(
        several.predict_proba(large), several.predict_proba(CROPS), atol=1e-6
    )


def test_maps_are_those_of_the_crop_as_it_is(tmp_path: Path, tiny: ExpressionClassifier) -> None:
    member = load_classifier(write_mapped_model(tmp_path / "mapped.onnx"), threads=1)
    several = several_of(member)
    assert several.explains
    assert np.array_equal(several.explain(CROPS), member.explain(CROPS))
    assert not several_of(tiny).explains


def test_a_copy_by_pickle_answers_the_same(tiny: ExpressionClassifier) -> None:
    several = several_of(tiny)
    copy = pickle.loads(pickle.dumps(several))
    assert copy.n_views == 10
    assert np.array_equal(copy.predict_proba(CROPS), several.predict_proba(CROPS))
    assert "10 views" in repr(copy)


def test_they_are_an_option_of_whatever_is_loaded() -> None:
    plain, several = load_classifier(), load_classifier(tta=True)
    assert (plain.n_views, several.n_views) == (1, 10)
    mirrored = CROPS[:, :, ::-1].copy()
    there, back = several.predict_proba(CROPS), several.predict_proba(mirrored)
    np.testing.assert_allclose(there, back, atol=1e-5)
    assert np.abs(plain.predict_proba(CROPS) - plain.predict_proba(mirrored)).max() > 1e-3
    assert load_recognizer(tta=True).classifier.n_views == 10


def test_they_can_answer_by_another_head(tmp_path: Path) -> None:
    path = write_mapped_model(tmp_path / "mapped.onnx")
    first = several_of(load_classifier(path))
    second = several_of(load_classifier(path, labels="ferplus"))
    other = first.for_labels("ferplus")
    assert (other.n_views, other.head) == (10, second.head)
    assert np.array_equal(other.predict_proba(CROPS), second.predict_proba(CROPS))
