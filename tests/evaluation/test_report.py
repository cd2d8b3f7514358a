"""The report: figures of known answers, subsets, JSON, and what may differ between two runs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from facial_expressions.calibration import Calibration, TopLabelMap
from facial_expressions.evaluation import EvaluationSettings, evaluate
from facial_expressions.evaluation.provenance import Provenance, source_commit, split_digest
from facial_expressions.evaluation.report import Report, build_report
from facial_expressions.evaluation.splits import fer2013_subsets
from facial_expressions.labels import FER2013
from tests.evaluation.fakes import (
    PAIR,
    TRIO,
    PixelClassifier,
    pixel_split,
    predictions_of,
    random_case,
)
from tests.tiny_model import HEAD

ROWS = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4], [0.2, 0.5, 0.3], [0.6, 0.1, 0.3]]
TRUTH = [0, 1, 2, 0, 1]
KEYS_OF_THE_PRODUCT = {
    "model", "dataset", "protocol", "split", "n", "accuracy", "accuracy_ci95", "balanced_accuracy",
    "macro_f1", "weighted_f1", "nll", "brier", "ece", "per_class", "confusion_matrix", "labels",
    "subsets", "latency_ms", "command",
}  # fmt: skip


def three_of_five(**options: Any) -> Report:  # noqa: ANN401
    return evaluate(PixelClassifier(TRIO, ROWS), pixel_split(TRUTH), **options)


def test_figures_of_known_answers() -> None:
    """Answers red, green, blue, green, red to red, green, blue, red, green: three of five."""
    report = three_of_five()
    assert (report.headline.n, report.accuracy) == (5, 0.6)
    assert report.scores.confusion == ((1, 1, 0), (1, 1, 0), (0, 0, 1))
    assert [s.recall for s in report.scores.per_class] == [0.5, 0.5, 1.0]
    assert report.headline.macro_f1 == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert report.scores.balanced_accuracy == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert report.probabilities is not None
    nll = -np.mean(np.log([0.7, 0.8, 0.4, 0.2, 0.1]))
    assert report.probabilities.nll == pytest.approx(nll, rel=1e-6)


def test_json_has_every_key_that_was_promised() -> None:
    data = json.loads(three_of_five().to_json())
    assert set(data) >= KEYS_OF_THE_PRODUCT
    assert set(data["per_class"]["green"]) == {"precision", "recall", "f1", "support"}
    assert data["confusion_matrix"][0] == [1, 1, 0]
    assert data["labels"] == ["red", "green", "blue"]
    assert data["accuracy_ci95"][0] < 0.6 < data["accuracy_ci95"][1]


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_two_runs_differ_in_latency_and_run_only(batch_size: int) -> None:
    first = three_of_five().to_dict()
    second = three_of_five(settings=EvaluationSettings(batch_size=batch_size)).to_dict()
    for data in (first, second):
        del data["latency_ms"], data["run"]
    assert first == second


def test_run_holds_the_only_time_stamps() -> None:
    report = three_of_five()
    assert set(report.run) == {"started", "seconds", "machine"}
    assert report.to_dict()["run"] == dict(report.run)


def test_subsets_are_those_of_the_usages_and_of_copies_in_training() -> None:
    """Images 0 and 3 are in training too; of the others (1, 2, 4) two answers are right."""
    split = pixel_split(TRUTH, usages=["PublicTest"] * 2 + ["PrivateTest"] * 3)
    train = split.take(np.array([0, 3]))
    report = evaluate(PixelClassifier(TRIO, ROWS), split, train=train)
    assert {name: (s.n, s.accuracy) for name, s in report.subsets.items()} == {
        "public": (2, 1.0),
        "private": (3, pytest.approx(1 / 3)),
        "no_train_duplicate": (3, pytest.approx(2 / 3)),
    }


def test_a_subset_has_the_figures_of_an_evaluation_of_its_own() -> None:
    split = pixel_split(TRUTH, usages=["PublicTest", "PrivateTest"] * 2 + ["PublicTest"])
    classifier = PixelClassifier(TRIO, ROWS)
    public = evaluate(classifier, split).subsets["public"]
    assert public == evaluate(classifier, split.take(np.array([0, 2, 4]))).headline


def test_empty_subsets_are_left_out() -> None:
    assert three_of_five().subsets == {}


def test_without_training_images_no_copies_are_looked_for() -> None:
    assert set(fer2013_subsets(pixel_split([0]), None)) == {"public", "private"}


def test_coverage_ends_with_all_answers_and_uncertain_is_the_models_own() -> None:
    """Of the confidences 0.7, 0.8, 0.4, 0.5, 0.6 three reach 0.55, two of them right."""
    predictions = predictions_of(TRIO, TRUTH, ROWS)
    figures = build_report(predictions, calibration=Calibration(uncertain_below=0.55)).probabilities
    assert figures is not None
    assert figures.coverage[-1].coverage == 1
    assert figures.coverage[-1].accuracy == 0.6
    assert figures.uncertain.coverage == pytest.approx(3 / 5)
    assert figures.uncertain.accuracy == pytest.approx(2 / 3)


def test_the_coverage_curve_is_thinned_to_a_hundred_points() -> None:
    truth, rows, _ = random_case(3000, 7, 0)
    figures = build_report(predictions_of(FER2013, truth.tolist(), rows.tolist())).probabilities
    assert figures is not None
    assert len(figures.coverage) == 100
    assert [p.coverage for p in figures.coverage] == pytest.approx(
        np.arange(1, 101) / 100, abs=1e-3
    )


def test_a_threshold_that_nothing_reaches_covers_nothing() -> None:
    figures = build_report(
        predictions_of(TRIO, TRUTH, ROWS), calibration=Calibration(uncertain_below=0.99)
    ).probabilities
    assert figures is not None
    assert (figures.uncertain.coverage, figures.uncertain.accuracy) == (0, 0)


def test_figures_before_calibration_are_those_without_it() -> None:
    """Logits of odds 4 divided by 2 give odds 2; before that the answer had 0.8."""
    rows = [[2 / 3, 1 / 3]] * 4
    report = build_report(
        predictions_of(PAIR, [0, 0, 0, 1], rows), calibration=Calibration(temperature=2.0)
    )
    assert report.probabilities is not None
    raw = report.probabilities.uncalibrated
    assert raw is not None
    assert raw.temperature == 2
    assert raw.nll == pytest.approx(-(3 * np.log(0.8) + np.log(0.2)) / 4, rel=1e-5)
    assert raw.ece == pytest.approx(0.8 - 0.75, abs=1e-6)
    assert raw.brier == pytest.approx((3 * 2 * 0.04 + 2 * 0.64) / 4, abs=1e-6)
    assert report.probabilities.ece == pytest.approx(0.75 - 2 / 3, abs=1e-6)
    assert report.to_dict()["uncalibrated"]["ece"] == pytest.approx(0.05, abs=1e-6)


def test_a_map_of_confidences_is_taken_out_too() -> None:
    """Odds of 4 against the rest, halved as logarithms, are odds of 2."""
    calibration = Calibration(top_label=TopLabelMap((0.5, 1.0), (0.0, 0.0)))
    report = build_report(predictions_of(PAIR, [0], [[2 / 3, 1 / 3]]), calibration=calibration)
    assert report.probabilities is not None
    raw = report.probabilities.uncalibrated
    assert raw is not None
    assert raw.nll == pytest.approx(-np.log(0.8), rel=1e-5)


def test_without_calibration_there_is_nothing_before_it() -> None:
    assert three_of_five().to_dict()["uncalibrated"] is None


def test_images_without_answer_count_as_wrong_and_not_in_probabilities() -> None:
    nan = float("nan")
    report = build_report(predictions_of(PAIR, [0, 1, 1], [[nan, nan], [0.2, 0.8], [0.4, 0.6]]))
    assert report.accuracy == pytest.approx(2 / 3)
    assert report.n_unanswered == 1
    assert report.probabilities is not None
    assert report.probabilities.nll == pytest.approx(-np.mean(np.log([0.8, 0.6])), rel=1e-6)
    assert report.scores.confusion == ((0, 0), (0, 2))


def test_a_report_without_any_answer_has_no_probabilities_and_still_is_json() -> None:
    report = build_report(predictions_of(PAIR, [0], [[float("nan")] * 2]))
    data = json.loads(report.to_json())
    assert (data["accuracy"], data["nll"], data["coverage"]) == (0, None, [])


class SeveralViews(PixelClassifier):
    """Says that it has averaged views, of a network with a temperature."""

    n_views = 4
    head = replace(HEAD, calibration=Calibration(temperature=2.0))


class Tempered(PixelClassifier):
    """The same for one view."""

    head = replace(HEAD, calibration=Calibration(temperature=2.0))


def test_views_are_counted_and_give_no_logits_back() -> None:
    split = pixel_split([0, 1, 2])
    one, four = (evaluate(kind(TRIO, ROWS), split) for kind in (Tempered, SeveralViews))
    assert (one.n_views, four.n_views) == (1, 4)
    assert one.probabilities is not None
    assert four.probabilities is not None
    assert one.probabilities.uncalibrated is not None
    assert four.probabilities.uncalibrated is None


def test_origin_comes_from_the_caller_or_the_classifier() -> None:
    origin = Provenance(model="mine", dataset="fer2013", command="facial-expressions evaluate")
    data = three_of_five(provenance=origin).to_dict()
    assert (data["model"], data["dataset"], data["command"]) == (
        "mine", "fer2013", "facial-expressions evaluate",
    )  # fmt: skip
    assert three_of_five().provenance.model == "PixelClassifier"


def test_split_digest_changes_with_images_and_labels() -> None:
    split = pixel_split([0, 1, 2])
    other_label = replace(split, labels=np.array([0, 1, 1]))
    other_pixel = replace(split, images=split.images + np.uint8(1))
    digests = {split_digest(s) for s in (split, other_label, other_pixel)}
    assert len(digests) == 3
    assert split_digest(pixel_split([0, 1, 2], name="validation")) == split_digest(split)


def test_the_commit_is_a_digest_or_nothing() -> None:
    commit = source_commit().removesuffix("+changes")
    assert commit == "" or (len(commit) == 40 and int(commit, 16) >= 0)
