"""A camera that goes and comes back: FFmpeg's made sources stand in for devices."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from facial_expressions.errors import CameraError
from facial_expressions.media.camera import Camera, CameraDevice
from tests.media.conftest import Clock

SHORT = "testsrc=size=64x48:rate=20:duration=0.2"
LONG = "testsrc=size=64x48:rate=20:duration=1"


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


@pytest.mark.usefixtures("clock")
def test_f11_frames_and_times_go_on_when_it_comes_back() -> None:
    """Four frames, a quarter of a second before each of three attempts, then the others."""
    find = Finder(SHORT, None, None, LONG)
    with Camera(find, patience_s=30, pause_s=0.25) as camera:
        frames = list(itertools.islice(camera, 10))
    assert find.asked == 4
    assert [frame.frame for frame in frames] == list(range(10))
    assert [frame.time_s for frame in frames] == [0.0] * 4 + [0.75] * 6


def test_f11_it_may_go_more_than_once(clock: Clock) -> None:
    start_s = clock.now_s
    with Camera(Finder(SHORT, SHORT, LONG), patience_s=30, pause_s=0.25) as camera:
        assert len(list(itertools.islice(camera, 12))) == 12
    assert clock.now_s - start_s == 2 * 0.25


def test_f11_a_camera_that_stays_away_is_given_up(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    find, start_s = Finder(SHORT), clock.now_s
    seen: list[int] = []
    with (
        Camera(find, patience_s=0.5, pause_s=0.125) as camera,
        pytest.raises(CameraError, match=r"it ended.*did not come back within 0\.5 s"),
    ):
        seen.extend(frame.frame for frame in camera)
    assert seen == [0, 1, 2, 3]
    assert find.asked == 1 + 4
    assert clock.now_s - start_s == 0.5
    assert "looking for it again" in caplog.text


def test_f11_one_that_comes_back_without_images_is_given_up_too(clock: Clock) -> None:
    """What is found again ends at once, over and over: the time away is counted in one."""
    nothing = "testsrc=size=64x48:rate=20:duration=0"
    find, start_s = Finder(SHORT, *[nothing] * 99), clock.now_s
    with (
        Camera(find, patience_s=0.5, pause_s=0.125) as camera,
        pytest.raises(CameraError, match="did not come back"),
    ):
        list(camera)
    assert find.asked == 1 + 4
    assert clock.now_s - start_s == 0.5


def test_a_camera_that_is_not_there_at_the_start_is_said_at_once(clock: Clock) -> None:
    start_s = clock.now_s
    with pytest.raises(CameraError, match="no camera webcam:0"):
        Camera(Finder(), patience_s=30)
    broken = CameraDevice("webcam:0", "/dev/null", "v4l2")
    with (
        Camera(lambda: broken, patience_s=30) as camera,
        pytest.raises(CameraError, match="gives no images"),
    ):
        list(camera)
    assert clock.now_s == start_s
