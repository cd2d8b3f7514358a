"""The script that fills measured figures into the pages."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from facial_expressions.data.dataset import Split
from facial_expressions.evaluation.report import evaluate
from facial_expressions.labels import FER2013
from scripts.update_figures import Report, Reports, fill

PAGE = "before\n<!-- figures: {name} happy -->\nold\n<!-- /figures -->\nafter\n"


class _AlwaysHappy:
    labels = FER2013

    def predict_proba(self, crops: NDArray[np.uint8], /) -> NDArray[np.float32]:
        return np.tile(np.eye(7, dtype=np.float32)[3], (len(crops), 1))


@pytest.fixture
def reports() -> Reports:
    """A report of four pictures, three of them happy, two of them of the private test."""
    pictures = np.zeros((4, 48, 48), np.uint8)
    usages = np.array(["PublicTest", "PublicTest", "PrivateTest", "PrivateTest"])
    split = Split("test", pictures, np.array([3, 3, 3, 5]), usages, tuple("abcd"))
    report: Report = evaluate(_AlwaysHappy(), split).to_dict()
    return {"happy": report, "happier": report, "happy-views": report}


def test_only_the_block_changes(reports: Reports) -> None:
    filled = fill(PAGE.format(name="summary"), reports)
    assert filled.startswith("before\n<!-- figures: summary happy -->\n| ")
    assert filled.endswith("\n<!-- /figures -->\nafter\n")
    assert "old" not in filled


def test_filling_twice_changes_nothing_more(reports: Reports) -> None:
    once = fill(PAGE.format(name="details"), reports)
    assert fill(once, reports) == once


def test_summary_has_the_accuracies(reports: Reports) -> None:
    """Three of four are right, both public ones, one of two private ones."""
    filled = fill(PAGE.format(name="summary"), reports)
    assert "| accuracy, all 4 | 45.85 % | 75.00 % (" in filled
    assert "| accuracy, PublicTest (2) |  | 100.00 % (" in filled
    assert "| accuracy, PrivateTest (2) |  | 50.00 % (" in filled


def test_details_have_classes_and_confusion(reports: Reports) -> None:
    filled = fill(PAGE.format(name="details"), reports)
    assert "| happy | 0.750 | 1.000 | 0.857 | 3 |" in filled
    assert "| sad | 0 | 0 | 0 | 1 | 0 | 0 | 0 |" in filled


def test_unknown_block_is_refused(reports: Reports) -> None:
    with pytest.raises(KeyError, match="weather"):
        fill(PAGE.format(name="weather"), reports)


def test_models_stand_side_by_side_with_their_other_reports(reports: Reports) -> None:
    filled = fill("<!-- figures: summary happier happy -->\n<!-- /figures -->", reports)
    assert "| FER-2013 test pictures | seed | happier | happy |" in filled
    assert filled.count("75.00 % (") == 3  # both models on all pictures, one of them with views
    assert "| accuracy, mean of ten views, all 7,178 |  |  | 75.00 % (" in filled


def test_a_model_without_a_report_is_refused(reports: Reports) -> None:
    with pytest.raises(KeyError, match="sad"):
        fill("<!-- figures: details sad -->\n<!-- /figures -->", reports)
