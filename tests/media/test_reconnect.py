"""A camera that goes and comes back: FFmpeg's made sources stand in for devices."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import pytest

from facial_expressions.errors import CameraError
from facial_expressions.media.camera import Camera, CameraDevice

SHORT = "testsrc=size=64x48:rate=20:duration=0.2,realtime"
LONG = "testsrc=size=64x48:rate=20,realtime"


class Finder:
    """Finds the given sources one after the other; None is no camera; then none any more."""

    def __init__(self, *sources: str | None) -> None:
        self._sources: Iterator[str | None] = iter(sources)
        self.asked = 0

    def __call__(self) -> CameraDevice:
        self.asked += 1
        source = next(self._sources, None)
        if source is None:
            raise CameraError("there is no camera webcam:0; found none; plug one in")
        return CameraDevice("webcam:0", source, "lavfi")


def test_f11_frames_and_times_go_on_when_it_comes_back() -> None:
    find = Finder(SHORT, None, None, LONG)
    with Camera(find, patience_s=30, pause_s=0.2) as camera:
        frames = list(itertools.islice(camera, 10))
    assert find.asked == 4
    assert [frame.frame for frame in frames] == list(range(10))
    times = [frame.time_s for frame in frames]
    assert times[0] == pytest.approx(0, abs=0.05)
    assert times == sorted(times)
    longest_s = max(after - before for before, after in itertools.pairwise(times))
    assert 0.3 < longest_s < 30  # three attempts


def test_f11_it_may_go_more_than_once() -> None:
    with Camera(Finder(SHORT, SHORT, LONG), patience_s=30, pause_s=0.05) as camera:
        assert len(list(itertools.islice(camera, 12))) == 12


def test_f11_a_camera_that_stays_away_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    find = Finder(SHORT)
    start = time.monotonic()
    seen: list[int] = []
    with (
        Camera(find, patience_s=0.5, pause_s=0.1) as camera,
        pytest.raises(CameraError, match=r"it ended.*did not come back within 0\.5 s"),
    ):
        seen.extend(frame.frame for frame in camera)
    assert seen == list(range(len(seen)))  # four, or fewer where the reader came late
    assert seen
    assert find.asked > 2
    assert time.monotonic() - start < 20
    assert "looking for it again" in caplog.text


def test_f11_one_that_comes_back_without_images_is_given_up_too() -> None:
    """What is found again ends at once, over and over: the time away is counted in one."""
    nothing = "testsrc=size=64x48:rate=20:duration=0"
    with (
        Camera(Finder(SHORT, *[nothing] * 99), patience_s=0.6, pause_s=0.1) as camera,
        pytest.raises(CameraError, match="did not come back"),
    ):
        list(camera)


def test_a_camera_that_is_not_there_at_the_start_is_said_at_once() -> None:
    with pytest.raises(CameraError, match="no camera webcam:0"):
        Camera(Finder(), patience_s=30)
    start = time.monotonic()
    broken = CameraDevice("webcam:0", "/dev/null", "v4l2")
    with (
        Camera(lambda: broken, patience_s=30) as camera,
        pytest.raises(CameraError, match="gives no images"),
    ):
        list(camera)
    assert time.monotonic() - start < 20  # of the 30 s of patience without an order
