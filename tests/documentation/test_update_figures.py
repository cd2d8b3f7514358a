"""The script that fills measured figures into the pages."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from facial_expressions.data.dataset import Split
from facial_expressions.evaluation.report import evaluate
from facial_expressions.labels import FER2013
from scripts.update_figures import Report, fill

PAGE = "before\n<!-- figures: {name} -->\nold\n<!-- /figures -->\nafter\n"


class _AlwaysHappy:
    labels = FER2013

    def predict_proba(self, crops: NDArray[np.uint8], /) -> NDArray[np.float32]:
        return np.tile(np.eye(7, dtype=np.float32)[3], (len(crops), 1))


@pytest.fixture
def report() -> Report:
    """A report of four pictures, three of them happy, two of them of the private test."""
    pictures = np.zeros((4, 48, 48), np.uint8)
    usages = np.array(["PublicTest", "PublicTest", "PrivateTest", "PrivateTest"])
    split = Split("test", pictures, np.array([3, 3, 3, 5]), usages, tuple("abcd"))
    return evaluate(_AlwaysHappy(), split).to_dict()


def test_only_the_block_changes(report: Report) -> None:
    filled = fill(PAGE.format(name="summary"), report)
    assert filled.startswith("before\n<!-- figures: summary -->\n| ")
    assert filled.endswith("\n<!-- /figures -->\nafter\n")
    assert "old" not in filled


def test_filling_twice_changes_nothing_more(report: Report) -> None:
    once = fill(PAGE.format(name="details"), report)
    assert fill(once, report) == once


def test_summary_has_the_accuracies(report: Report) -> None:
    """Three of four are right, both public ones, one of two private ones."""
    filled = fill(PAGE.format(name="summary"), report)
    assert "| accuracy, all 4 | 45.85 % | 75.00 % (" in filled
    assert "| accuracy, PublicTest (2) |  | 100.00 % (" in filled
    assert "| accuracy, PrivateTest (2) |  | 50.00 % (" in filled


def test_details_have_classes_and_confusion(report: Report) -> None:
    filled = fill(PAGE.format(name="details"), report)
    assert "| happy | 0.750 | 1.000 | 0.857 | 3 |" in filled
    assert "| sad | 0 | 0 | 0 | 1 | 0 | 0 | 0 |" in filled


def test_unknown_block_is_refused(report: Report) -> None:
    with pytest.raises(KeyError, match="weather"):
        fill(PAGE.format(name="weather"), report)
