"""Read a camera live: the newest frames, and an error in words when none come any more.

A thread of its own reads the camera, because a read can block for ever. Frames wait in a short
queue; when it is full the oldest is dropped, so the image stays live. A camera that gives no new
image for three seconds (none at all, or the same one over and over) counts as stuck. Where that
is asked for, a camera that gives none any more (unplugged, stuck, taken away) is looked for again.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.errors import CameraError
from facial_expressions.media.frames import Frame, FrameSource
from facial_expressions.media.pyav import av
from facial_expressions.media.upright import Upright

__all__ = ["Camera", "CameraDevice", "camera_position", "find_camera"]

_STUCK_S: Final = 3.0
_QUEUE: Final = 3
_PAUSE_S: Final = 2.0

_LOGGER: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CameraDevice:
    """What FFmpeg needs to open a camera.

    Attributes:
        name: What rows and messages call it.
        file: The device, in the words of the input format.
        format: FFmpeg's name of the operating system's camera interface.
        options: Options of that input format.
    """

    name: str
    file: str
    format: str
    options: dict[str, str] = field(default_factory=dict)


def find_camera(number: str = "", *, platform: str = sys.platform) -> CameraDevice:
    """Find a camera of this machine.

    Args:
        number: ``""`` or ``0`` for the first, ``1`` for the second, and so on.
        platform: The operating system, as ``sys.platform`` calls it.

    Raises:
        CameraError: There is no such camera, or the number is none.
    """
    position = camera_position(number)
    name = f"webcam:{position}"
    if platform == "darwin":
        return CameraDevice(name, f"{position}:none", "avfoundation", {"framerate": "30"})
    if platform == "win32":
        devices = [
            one.name
            for one in av.device.enumerate_input_devices("dshow")
            if "video" in one.media_types
        ]
        if position >= len(devices):
            raise _no_camera(name, devices)
        return CameraDevice(name, f"video={devices[position]}", "dshow")
    paths = sorted(Path("/dev").glob("video*"))
    path = Path(f"/dev/video{position}")
    if path not in paths:
        raise _no_camera(name, [str(one) for one in paths])
    return CameraDevice(name, str(path), "v4l2")


def camera_position(number: str) -> int:
    """Read a camera's number.

    Args:
        number: What stands after ``webcam:``; nothing is the first camera.

    Raises:
        CameraError: It is no number of up to three digits.

    Examples:
        >>> camera_position(""), camera_position("1")
        (0, 1)
    """
    if number and not (number.isascii() and number.isdigit() and len(number) <= 3):
        raise CameraError(
            f"a camera is webcam, webcam:1 and so on; received webcam:{number}; give its number"
        )
    return int(number or 0)


def _no_camera(name: str, found: list[str]) -> CameraError:
    return CameraError(
        f"there is no camera {name}; found {', '.join(found) or 'none'}; plug one in, "
        "or give a video file"
    )


class Camera(FrameSource):
    """The frames of a camera, live, in a ``with`` block.

    Numbers of frames and their times go on when it comes back, so rows and tracks do as well.

    Args:
        find: Finds the camera; asked again each time, for it may come back under another name.
        patience_s: When it gives no more images it is looked for again, so many seconds long.
        pause_s: Seconds from one attempt to the next.
        stuck_s: After so many seconds without a new image it counts as stuck.

    Raises:
        CameraError: There is no such camera.
    """

    frame_interval_s = 1 / 30  # most cameras give thirty frames a second

    def __init__(
        self,
        find: Callable[[], CameraDevice],
        *,
        patience_s: float = 0.0,
        pause_s: float = _PAUSE_S,
        stuck_s: float = _STUCK_S,
    ) -> None:
        self._find = find
        self._patience_s = patience_s
        self._pause_s = pause_s
        self._stuck_s = stuck_s
        device = find()
        self.name = device.name
        self._reader = _Reader(device, stuck_s)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames as they come; times count from the first.

        Raises:
            CameraError: The camera cannot be opened, ends, or is stuck, or was away for too long.
        """
        start_s: float | None = None
        lost_s, index = 0.0, 0
        while True:
            try:
                taken_s, image = self._reader.take()
            except CameraError as error:
                if start_s is None or not self._patience_s:
                    raise
                lost_s = lost_s or time.monotonic()
                self._find_again(lost_s, error)
                continue
            lost_s = 0.0
            start_s = taken_s if start_s is None else start_s
            yield Frame(index, taken_s - start_s, image)
            index += 1

    def close(self) -> None:
        """Let the camera go."""
        self._reader.is_closed = True

    def _find_again(self, lost_s: float, error: CameraError) -> None:
        """Open the camera again, or raise when it has been away for too long."""
        self.close()
        _LOGGER.warning("%s; looking for it again", error)
        while time.monotonic() - lost_s < self._patience_s:
            time.sleep(self._pause_s)
            try:
                self._reader = _Reader(self._find(), self._stuck_s)
            except CameraError:
                continue
            return
        raise CameraError(
            f"the camera did not come back; received no image for {self._patience_s:g} s after: "
            f"{error}"
        ) from error


class _Reader:
    """Reads an open camera in a thread, until it ends or ``is_closed`` is set."""

    def __init__(self, device: CameraDevice, stuck_s: float) -> None:
        self._device = device
        self._stuck_s = stuck_s
        self._waiting: deque[tuple[float, NDArray[np.uint8]]] = deque(maxlen=_QUEUE)
        self._changed = threading.Condition()
        self._failure = ""
        self.is_closed = False
        self._fresh_s = time.monotonic()
        threading.Thread(target=self._read, name=device.name, daemon=True).start()

    def take(self) -> tuple[float, NDArray[np.uint8]]:
        """Return the oldest image that waits, and when it was taken."""
        name = self._device.name
        with self._changed:
            while True:
                left_s = self._fresh_s + self._stuck_s - time.monotonic()
                if self._failure and not self._waiting:
                    raise CameraError(
                        f"the camera gives no images; received from {name}: "
                        f"{self._failure}; check that it is plugged in, allowed and not in use"
                    )
                if left_s <= 0:
                    raise CameraError(
                        f"the camera is stuck; received no new image from {name} for "
                        f"{self._stuck_s:g} s; plug it in again, or end the program that uses it"
                    )
                if self._waiting:
                    return self._waiting.popleft()
                self._changed.wait(min(left_s, 0.25))

    def _read(self) -> None:
        """Read until the camera ends or is let go; runs in a thread."""
        failure = "it ended"
        try:
            self._read_frames()
        except (av.error.FFmpegError, OSError, ValueError) as error:
            failure = str(error) or type(error).__name__
        with self._changed:
            self._failure = failure
            self._changed.notify()

    def _read_frames(self) -> None:
        device = self._device
        last_sum, upright = None, Upright()
        with av.open(device.file, format=device.format, options=device.options) as container:
            for decoded in container.decode(video=0):
                if self.is_closed:
                    return
                image = upright(decoded)
                check_sum = zlib.adler32(image.data)
                with self._changed:
                    now_s = time.monotonic()
                    if check_sum != last_sum:
                        self._fresh_s = now_s
                    self._waiting.append((now_s, image))
                    self._changed.notify()
                last_sum = check_sum
