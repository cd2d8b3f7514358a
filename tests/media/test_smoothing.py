"""Smoothing: the closed form, whatever the frame rate; far fewer switches of a noisy label."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import exp

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from facial_expressions.inference.contracts import Detection
from facial_expressions.inference.detectors.centerface import CenterFaceDetector
from facial_expressions.inference.options import RecognizerOptions
from facial_expressions.inference.recognizer import ExpressionRecognizer
from facial_expressions.media.analysis import FrameAnalyzer, analyze_video
from facial_expressions.media.frames import Frame
from facial_expressions.results import Box, Face, Prediction

Rows = NDArray[np.float64]
Smoothed = Callable[[Rows, Sequence[float], float], NDArray[np.float64]]


def pairs(values: ArrayLike) -> Rows:
    """Return rows of a probability and what is left of 1."""
    first = np.asarray(values, np.float64)
    return np.stack([first, 1 - first], axis=1)


class Scripted(ExpressionRecognizer):
    """Sees one face in each frame, and answers with rows that are set."""

    rows: Iterator[Rows]

    def detect(
        self, image: NDArray[np.uint8], *, near: Sequence[Box] | None = None
    ) -> list[Detection]:
        return [Detection(Box(0, 0, 30, 30), 0.9)]

    def classify(self, image: NDArray[np.uint8], detections: Sequence[Detection]) -> list[Face]:
        values = next(self.rows)
        prediction = Prediction(tuple(map(str, range(len(values)))), tuple(map(float, values)))
        return [Face(one.box, one.score, (), prediction) for one in detections]


@pytest.fixture
def smoothed(recognizer: ExpressionRecognizer) -> Smoothed:
    """Smooth the answers of one track, seen at given times."""
    detector = CenterFaceDetector(RecognizerOptions(threads=1))

    def follow(values: Rows, times_s: Sequence[float], tau_s: float) -> NDArray[np.float64]:
        scripted = Scripted(recognizer.classifier, detector)
        scripted.rows = iter(values)
        analyzer = FrameAnalyzer(scripted, smooth_s=tau_s)
        frames = [
            Frame(i, time_s, np.zeros((32, 32, 3), np.uint8)) for i, time_s in enumerate(times_s)
        ]
        results = [analyzer.analyze(frame) for frame in frames]
        return np.array([one.faces[0].prediction.values for one in results])

    return follow


@pytest.mark.parametrize("rate", [5, 25, 120])
def test_step_answer_is_the_closed_form(smoothed: Smoothed, rate: int) -> None:
    """A step from 0 to 1 comes through as 1 - exp(-t / tau)."""
    times = [index / rate for index in range(2 * rate + 1)]
    values = smoothed(pairs([0.0] + [1.0] * (2 * rate)), times, 0.5)
    assert values[:, 0].tolist() == pytest.approx([1 - exp(-t / 0.5) for t in times], abs=1e-12)


def test_uneven_times_give_the_sum_of_weights(smoothed: Smoothed) -> None:
    """Worked out by hand: each value weighs what is left of it after the later steps."""
    got = smoothed(pairs([0.2, 0.9, 0.4, 0.7]), [0.0, 0.1, 0.5, 0.55], 0.3)[-1, 0]
    keep = [exp(-0.1 / 0.3), exp(-0.4 / 0.3), exp(-0.05 / 0.3)]
    expected = (
        0.2 * keep[0] * keep[1] * keep[2]
        + 0.9 * (1 - keep[0]) * keep[1] * keep[2]
        + 0.4 * (1 - keep[1]) * keep[2]
        + 0.7 * (1 - keep[2])
    )
    assert got == pytest.approx(expected)


def test_rows_keep_their_sum(smoothed: Smoothed) -> None:
    rows = np.random.default_rng(0).dirichlet(np.ones(7), size=50)
    assert smoothed(rows, [index / 25 for index in range(50)], 0.4).sum(1) == pytest.approx(1)


def test_noisy_label_switches_at_least_five_times_less(smoothed: Smoothed) -> None:
    """A steady face that leans to one of two expressions, 60 s at 25 frames a second."""
    random = np.random.default_rng(1)
    noisy = pairs(np.clip(0.55 + 0.15 * random.standard_normal(1500), 0, 1))
    even = smoothed(noisy, [index / 25 for index in range(1500)], 0.5)
    before = np.count_nonzero(np.diff(noisy[:, 0] > 0.5))
    after = np.count_nonzero(np.diff(even[:, 0] > 0.5))
    assert before > 500
    assert after * 5 <= before


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_impossible_time_constant_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="smooth_s: must be 0 seconds or more"):
        analyze_video("clip.mp4", smooth_s=value)
