"""Cameras: FFmpeg's made sources stand in for a device; what is stuck or missing is said."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable

import pytest

from facial_expressions.errors import CameraError
from facial_expressions.media import camera as cameras
from facial_expressions.media.camera import Camera, CameraDevice, find_camera, live_finder
from facial_expressions.media.frames import Frame
from tests.media.conftest import Clock


def device(source: str, kind: str = "lavfi", name: str = "webcam:0") -> Callable[[], CameraDevice]:
    return lambda: CameraDevice(name, source, kind)


def wait_until_ended(name: str) -> None:
    """Wait for the thread that reads a camera; other tests have cameras of other names."""
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join()


def test_live_frames_come_in_order_and_on_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has the time at which it came, so none has one that is still to come."""
    monkeypatch.setattr(cameras, "_QUEUE", None)
    frames: list[Frame] = []
    elapsed: list[float] = []
    start = time.monotonic()
    with Camera(device("testsrc=size=160x120:rate=20,realtime"), stuck_s=60) as camera:
        for frame in itertools.islice(camera, 8):
            frames.append(frame)
            elapsed.append(time.monotonic() - start)
    times = [frame.time_s for frame in frames]
    assert [frame.frame for frame in frames] == list(range(8))
    assert [frame.pts_s for frame in frames] == [index / 20 for index in range(8)]
    assert times[0] == 0
    assert times == sorted(set(times))
    assert all(time_s <= elapsed_s for time_s, elapsed_s in zip(times, elapsed, strict=True))
    assert frames[0].image.shape == (120, 160, 3)


def test_slow_reader_gets_new_frames_not_a_queue() -> None:
    """The camera gives fifty frames before the first is asked for: the last three are there."""
    with Camera(device("testsrc=size=64x48:rate=50:duration=1", name="webcam:1")) as camera:
        wait_until_ended("webcam:1")
        frames = list(itertools.islice(camera, 3))
        assert [frame.pts_s for frame in frames] == [47 / 50, 48 / 50, 49 / 50]
        with pytest.raises(CameraError, match="it ended"):
            next(iter(camera))


def test_last_frames_of_a_camera_that_ended_wait_for_a_slow_reader(clock: Clock) -> None:
    """A minute between two looks is the reader's fault, not a camera that is stuck."""
    with Camera(device("testsrc=size=64x48:rate=50:duration=0.1", name="webcam:2")) as camera:
        frames = iter(camera)
        first = next(frames)
        wait_until_ended("webcam:2")
        clock.now_s += 60
        assert [frame.pts_s for frame in [first, *itertools.islice(frames, 4)]] == [
            index / 50 for index in range(5)
        ]


def test_v14_camera_that_gives_nothing_is_noticed(clock: Clock) -> None:
    """A frame every twenty seconds; half a second is four looks at the clock."""
    with Camera(device("testsrc=size=64x48:rate=0.05,realtime=limit=60"), stuck_s=0.5) as camera:
        frames = iter(camera)
        next(frames)
        first_s, clock.step_s = clock.now_s, 0.125
        with pytest.raises(CameraError, match=r"webcam:0.*stuck"):
            next(frames)
    assert clock.now_s - first_s == 4 * 0.125


def test_v15_camera_that_repeats_one_image_is_noticed() -> None:
    with (
        Camera(device("color=red:size=64x48:rate=20,realtime"), stuck_s=0.5) as camera,
        pytest.raises(CameraError, match=r"no new image"),
    ):
        list(camera)


@pytest.mark.usefixtures("clock")
def test_camera_that_ends_or_cannot_be_opened_says_why() -> None:
    with (
        Camera(device("testsrc=size=64x48:rate=20:duration=0.2")) as camera,
        pytest.raises(CameraError, match="it ended"),
    ):
        list(camera)
    with (
        Camera(device("/dev/null", "v4l2")) as camera,
        pytest.raises(CameraError, match="gives no images"),
    ):
        list(camera)


@pytest.mark.parametrize("number", ["x", "-1", "1.5", "²"])
def test_number_that_is_none_is_refused(number: str) -> None:
    with pytest.raises(CameraError, match="not a camera"):
        live_finder(f"webcam:{number}")


def test_missing_camera_is_said_and_devices_are_named_by_the_system() -> None:
    with pytest.raises(CameraError, match="webcam:999: no such camera"):
        find_camera(999, platform="linux")
    assert find_camera(1, platform="darwin").file == "1:none"
