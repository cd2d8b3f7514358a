"""The corruption table: known answers, and what it may not depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from facial_expressions.data.dataset import Split
from facial_expressions.evaluation import EvaluationSettings, evaluate
from facial_expressions.evaluation.robustness import (
    CORRUPTIONS,
    Robustness,
    measure_robustness,
)
from facial_expressions.labels import FER2013
from tests import builders
from tests.evaluation.fakes import PAIR

SHIFT, BLUR = (next(k for k in CORRUPTIONS if k.name == name) for name in ("shift", "blur"))


class MeanClassifier:
    """Says ``yes`` when the mean of an image is 100 or more."""

    labels = PAIR

    def predict_proba(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        bright = crops.mean(axis=(1, 2)) >= 100
        return np.stack([~bright, bright], axis=1).astype(np.float32)


def grey_split(*greys: int, truth: int = 1) -> Split:
    """Images of one grey each; all have the same label."""
    n = len(greys)
    images = np.stack([np.full((48, 48), grey, np.uint8) for grey in greys])
    return Split("test", images, np.full(n, truth), np.full(n, ""), tuple(map(str, greys)))


def by_name(robustness: Robustness) -> dict[str, tuple[float, ...]]:
    return {kind.name: shares for kind, shares in robustness.accuracies.items()}


def measure(split: Split, *, batch_size: int = 256) -> Robustness:
    settings = EvaluationSettings(batch_size=batch_size)
    return measure_robustness(MeanClassifier(), split, settings=settings, clean_accuracy=1.0)


def test_low_light_by_hand() -> None:
    """Of 75, 60, 45, 30 and 20% of 140, 180 and 250 three, two, one, none and none reach 100."""
    table = by_name(measure(grey_split(140, 180, 250)))
    assert table["low_light"] == pytest.approx((1, 2 / 3, 1 / 3, 0, 0))


@pytest.mark.parametrize("name", ["shift", "scale", "rotation", "box_jitter", "blur", "contrast"])
def test_what_leaves_a_grey_image_as_it_is_costs_nothing(name: str) -> None:
    assert by_name(measure(grey_split(120, 200)))[name] == (1,) * 5


def test_the_table_does_not_depend_on_batches_or_order() -> None:
    images = np.stack([builders.draw_face(label, 0) for label in FER2013])
    truth = (images.mean(axis=(1, 2)) >= 100).astype(np.int64)
    split = Split("test", images, truth, np.full(7, ""), tuple("abcdefg"))
    one = measure(split)
    assert measure(split, batch_size=2) == one
    assert measure(split.take(np.arange(6, -1, -1))) == one


def test_summary_figures_by_hand() -> None:
    """Table of 0.4 (box) and 0.2: mean 0.3, which is 0.6 of 0.5; the box costs 0.1."""
    robustness = Robustness(0.5, {SHIFT: (0.6, 0.5, 0.4, 0.3, 0.2), BLUR: (0.2,) * 5})
    assert robustness.mean_accuracy == pytest.approx(0.3)
    assert robustness.relative_accuracy == pytest.approx(0.6)
    assert robustness.box_loss == pytest.approx(0.1)
    assert robustness.to_dict()["kinds"]["shift"]["mean"] == pytest.approx(0.4)


def test_nothing_right_is_no_division_by_zero() -> None:
    assert replace(measure(grey_split(0)), clean_accuracy=0.0).relative_accuracy == 0


def test_the_report_measures_it_when_asked_to() -> None:
    split = grey_split(140, 180, 250, 50)
    plain = evaluate(MeanClassifier(), split)
    asked = evaluate(MeanClassifier(), split, settings=EvaluationSettings(has_robustness=True))
    assert plain.robustness is None
    assert plain.to_dict()["robustness"] is None
    assert asked.robustness is not None
    assert asked.robustness.clean_accuracy == asked.accuracy == 0.75
    data = asked.to_dict()["robustness"]
    assert data["kinds"]["low_light"]["accuracy"] == [0.75, 0.5, 0.25, 0, 0]
    assert data["kinds"]["low_light"]["levels"] == [75, 60, 45, 30, 20]


def test_progress_ends_with_every_corrupted_image() -> None:
    calls: list[tuple[int, int]] = []
    measure_robustness(
        MeanClassifier(),
        grey_split(0, 255),
        settings=EvaluationSettings(),
        clean_accuracy=0.5,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls[-1] == (110, 110)
    assert len(calls) == 55
