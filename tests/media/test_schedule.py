"""When the detector runs: every n frames, or whenever there is time."""

from __future__ import annotations

import pytest

from facial_expressions.media.schedule import Schedule


def run_auto(work_s: float, detection_s: float, *, n_frames: int = 250) -> tuple[int, float]:
    """Play a video of 25 frames a second on a made clock; return detections and seconds behind."""
    now_s = 0.0
    schedule = Schedule("auto", interval_s=0.04, clock=lambda: now_s)
    n_detections = 0
    for index in range(n_frames):
        if schedule.is_due(index, index * 0.04):
            n_detections += 1
            now_s += detection_s
        now_s += work_s
    return n_detections, now_s - n_frames * 0.04


def test_auto_detects_on_every_frame_when_there_is_time() -> None:
    assert run_auto(0.01, 0.02)[0] == 250


def test_auto_holds_real_time_when_the_detector_is_slow() -> None:
    """0.01 s a frame leaves 7.5 s for detections of 0.12 s: 62 of them."""
    n_detections, behind_s = run_auto(0.01, 0.12)
    assert 60 <= n_detections <= 64
    assert behind_s <= 0.16


def test_auto_still_detects_twice_a_second_when_all_is_too_slow() -> None:
    assert 19 <= run_auto(0.1, 0.1)[0] <= 21


def test_zero_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must be .*, not 0"):
        Schedule(0, interval_s=0.04)
