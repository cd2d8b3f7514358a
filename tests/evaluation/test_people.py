"""Answers against people's votes: hand-worked figures, all the images, and what is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from facial_expressions.errors import DatasetError
from facial_expressions.evaluation import evaluate
from facial_expressions.evaluation.report import Report
from facial_expressions.evaluation.splits import majority_split
from facial_expressions.labels import FER2013, FERPLUS, FERPLUS_COLUMNS, LabelSet
from tests.evaluation.fakes import TRIO, PixelClassifier, pixel_split

HAPPY, NEUTRAL, SAD = (FER2013.id_of(name) for name in ("happy", "neutral", "sad"))

VOTES = (
    {"neutral": 8, "sad": 2},
    {"happy": 10},
    {"neutral": 5, "sad": 5},  # no majority
    {"contempt": 10},  # none of the seven
    {"sad": 6, "neutral": 2, "contempt": 2},
)
TRUTH = [SAD, HAPPY, NEUTRAL, NEUTRAL, SAD]
ANSWERS: tuple[dict[str, float], ...] = (
    {"neutral": 0.75, "sad": 0.25},
    {"happy": 0.5, "neutral": 0.25, "fear": 0.25},
    {"sad": 0.75, "neutral": 0.25},
    {"neutral": 1.0},
    {"neutral": 0.625, "sad": 0.375},
)
"""Answers that are right by majority in 0 and 1, by label in 1 and 3."""


def votes_of(*rows: dict[str, int]) -> NDArray[np.uint8]:
    return np.array([[row.get(name, 0) for name in FERPLUS_COLUMNS] for row in rows], np.uint8)


def classifier(labels: LabelSet = FER2013) -> PixelClassifier:
    return PixelClassifier(labels, [[row.get(name, 0) for name in labels] for row in ANSWERS])


def measured() -> Report:
    return evaluate(
        classifier(),
        pixel_split(TRUTH, usages=["PublicTest"] * 2 + ["PrivateTest"] * 3),
        train=pixel_split([0]),
        votes=votes_of(*VOTES),
    )


def test_the_strict_majority_is_the_truth_of_the_report() -> None:
    """Of images 0, 1 and 4 the last is answered neutral where six of ten say sad."""
    report = measured()
    assert report.headline.n == 3
    assert report.accuracy == pytest.approx(2 / 3)
    assert report.scores.balanced_accuracy == pytest.approx((1 + 1 + 0) / 3)
    assert [s.support for s in report.scores.per_class] == [0, 0, 0, 1, 1, 1, 0]
    assert report.predictions.sources == ("image 0", "image 1", "image 4")


def test_figures_against_the_votes_by_hand() -> None:
    """Images 0, 1, 2 and 4 have votes: (.8 .2), 1, (.5 .5), and (.75 sad, .25 neutral)."""
    votes = measured().votes
    assert votes is not None
    nll = -(
        0.8 * math.log(0.75) + 0.2 * math.log(0.25) + math.log(0.5)
        + 0.5 * math.log(0.75) + 0.5 * math.log(0.25)
        + 0.75 * math.log(0.375) + 0.25 * math.log(0.625)
    ) / 4  # fmt: skip
    entropy = -(
        0.8 * math.log(0.8) + 0.2 * math.log(0.2) + math.log(0.5) + 0.75 * math.log(0.75)
        + 0.25 * math.log(0.25)
    ) / 4  # fmt: skip
    brier = (2 * 0.05**2 + 0.5**2 + 2 * 0.25**2 + 2 * 0.25**2 + 2 * 0.375**2) / 4
    assert votes.n == 4
    assert votes.nll == pytest.approx(nll, rel=1e-6)
    assert votes.kl == pytest.approx(nll - entropy, rel=1e-6)
    assert votes.brier == pytest.approx(brier, rel=1e-6)


def test_calibration_against_the_votes_by_hand() -> None:
    """Confidence and share: .75 to .8 and .75 to .5 in one bin, .5 to 1, .625 to .25."""
    votes = measured().votes
    assert votes is not None
    assert votes.ece == pytest.approx((abs(0.8 + 0.5 - 2 * 0.75) + 0.5 + 0.375) / 4, rel=1e-6)
    full = {round(row.confidence, 3): row for row in votes.reliability if row.count}
    assert len(votes.reliability) == 15
    assert [full[key].count for key in (0.5, 0.625, 0.75)] == [1, 1, 2]
    assert full[0.75].accuracy == pytest.approx(0.65)


def test_the_same_answers_against_the_labels_and_the_mean_of_the_four() -> None:
    """All five images: happy 1 of 1, neutral 1 of 2, sad 0 of 2."""
    report = measured()
    assert report.against_labels is not None
    assert (report.against_labels.n, report.against_labels.accuracy) == (5, 0.4)
    assert report.against_labels.balanced_accuracy == pytest.approx(0.5)
    assert report.people_criterion == pytest.approx((2 / 3 + 2 / 3 + 0.4 + 0.5) / 4)


def test_subsets_are_those_of_the_images_with_a_majority() -> None:
    """Image 0 is the training image too; 1 is right, 4 is not."""
    subsets = measured().subsets
    assert {name: (one.n, one.accuracy) for name, one in subsets.items()} == {
        "public": (2, 1.0),
        "private": (1, 0.0),
        "no_train_duplicate": (2, 0.5),
    }


def test_a_head_with_its_own_order_of_the_seven_has_the_same_figures() -> None:
    backwards = LabelSet("backwards", FER2013.names[::-1])
    truth = [backwards.id_of(FER2013.names[label]) for label in TRUTH]
    other = evaluate(classifier(backwards), pixel_split(truth), votes=votes_of(*VOTES))
    assert other.votes is not None
    expected = measured().votes
    assert expected is not None
    assert (other.votes.nll, other.votes.kl) == pytest.approx((expected.nll, expected.kl))
    assert other.accuracy == measured().accuracy
    assert other.against_labels == measured().against_labels


def test_json_has_the_figures_rounded_and_nothing_without_votes() -> None:
    data = json.loads(measured().to_json())
    assert set(data["votes"]) == {"n", "nll", "brier", "ece", "kl", "reliability"}
    assert data["against_labels"] == {"n": 5, "accuracy": 0.4, "balanced_accuracy": 0.5}
    assert data["people_criterion"] == 0.558333
    plain = json.loads(evaluate(classifier(), pixel_split(TRUTH)).to_json())
    assert (plain["votes"], plain["against_labels"], plain["people_criterion"]) == (None,) * 3


def test_votes_of_other_length_are_refused() -> None:
    with pytest.raises(DatasetError, match=r"votes: 4 rows for the 5 images of split 'test'"):
        evaluate(classifier(), pixel_split(TRUTH), votes=votes_of(*VOTES[:4]))


@pytest.mark.parametrize("row", [{}, {"contempt": 10}, {"happy": 5, "sad": 5}])
def test_votes_without_any_majority_are_refused(row: dict[str, int]) -> None:
    received = sum(row.values()) * 5
    message = f"split 'test': no image has a strict majority .* in {received} votes on 5"
    with pytest.raises(DatasetError, match=message):
        evaluate(classifier(), pixel_split(TRUTH), votes=votes_of(*[row] * 5))


@pytest.mark.parametrize("labels", [FERPLUS, TRIO])
def test_votes_need_the_seven_expressions(labels: LabelSet) -> None:
    with pytest.raises(DatasetError, match=r"votes need a classifier of the seven expressions"):
        majority_split(pixel_split([0]), votes_of({"happy": 9}), labels)
