"""Read a camera or a live stream: the newest frames, and an error in words when none come any more.

A thread of its own reads it, because a read can block forever. Frames wait in a short
queue; when it is full the oldest is dropped, so the image stays live. A camera that gives no new
image for three seconds (none at all, or the same one over and over) counts as stuck; a stream gets
ten. Where that is asked for, one that gives none any more (unplugged, stuck, taken away) is
retried. Of a stream's address neither user nor password appears in rows or messages.
"""

from __future__ import annotations

import errno
import logging
import sys
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from facial_expressions.errors import CameraError, first_line
from facial_expressions.media.frames import Frame, FrameSource
from facial_expressions.media.pyav import av
from facial_expressions.media.upright import Upright
from facial_expressions.plain_text import shown

STUCK_S: Final = 3.0
"""A camera without a new image for so long is stuck."""

_QUEUE: Final = 3
_PAUSE_S: Final = 2.0

_CONNECT_S: Final = 10.0
_PROTOCOLS: Final = {
    "rtsp": "rtsp,rtp,udp,tcp",
    "rtsps": "rtsp,rtsps,rtp,udp,tcp,tls",
    "http": "http,tcp",
    "https": "https,http,tls,tcp",
}
"""Beginnings of addresses, each with the protocols that it may lead to."""

_STREAM_FORMATS: Final = "rtsp,rtp,sdp,mpjpeg,mjpeg,mpegts,flv,matroska,webm,ogg,asf,mov,h264,hevc"

_LOGGER: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CameraDevice:
    """What FFmpeg needs to open a camera.

    Attributes:
        name: What rows and messages call it.
        file: The device, in the words of the input format, or a stream's address.
        format: FFmpeg's name of the operating system's camera interface; None for a stream.
        options: Its options.
    """

    name: str
    file: str
    format: str | None
    options: dict[str, str] = field(default_factory=dict)


def live_finder(source: str) -> Callable[[], CameraDevice]:
    """Return what finds the camera of a name, or the stream of an address; asks nobody yet.

    Raises:
        CameraError: It is the name of no camera, or no address of a stream.

    Examples:
        >>> live_finder("rtsp://me:secret@camera.local/1")().name
        'rtsp://camera.local/1'
    """
    if "://" in source:
        stream = find_stream(source)
        return lambda: stream
    number = source.partition(":")[2]
    if number and not (number.isascii() and number.isdigit() and len(number) <= 3):
        raise CameraError(f"webcam:{shown(number)}: not a camera. Give webcam, webcam:1 and so on")
    return partial(find_camera, int(number or 0))


def find_camera(position: int, *, platform: str = sys.platform) -> CameraDevice:
    """Find a camera of this machine, the first at position 0.

    Raises:
        CameraError: There is no such camera.
    """
    name = f"webcam:{position}"
    if platform == "darwin":
        return CameraDevice(name, f"{position}:none", "avfoundation", {"framerate": "30"})
    if platform == "win32":
        kind, listed = "dshow", av.device.enumerate_input_devices("dshow")
        names = [one.name for one in listed if "video" in one.media_types]
        files = {str(place): f"video={one}" for place, one in enumerate(names)}
    else:
        kind, paths = "v4l2", sorted(Path("/dev").glob("video*"))
        names = list(map(str, paths))
        files = {path.name.removeprefix("video"): str(path) for path in paths}
    if str(position) not in files:
        raise CameraError(
            f"{name}: no such camera. Found: {', '.join(names) or 'none'}. Plug one in, or give a "
            "video file"
        )
    return CameraDevice(name, files[str(position)], kind)


def find_stream(address: str) -> CameraDevice:
    """Describe a live stream.

    Only protocols and formats of cameras are allowed, none that names other files or addresses.

    Raises:
        CameraError: It begins with something else, or names no host.
    """
    kind, _, rest = address.partition("://")
    place, slash, path = rest.partition("/")
    host = place.rpartition("@")[2]
    name = f"{kind}://{host}{slash}{path}"
    if kind.lower() not in _PROTOCOLS or not host:
        raise CameraError(
            f"{shown(name)}: not a live stream. Give {', '.join(_PROTOCOLS)}://HOST/..."
        )
    options = {"protocol_whitelist": _PROTOCOLS[kind.lower()], "format_whitelist": _STREAM_FORMATS}
    if kind.lower().startswith("rtsp"):
        options["rtsp_transport"] = "tcp"
    return CameraDevice(name, address, None, options)


@dataclass(eq=False, repr=False)
class Camera(FrameSource):
    """The frames of a camera, live, in a ``with`` block.

    Numbers of frames and their times continue when it comes back, so rows and tracks do as well.

    Args:
        find: Finds the camera; asked again each time, for it may come back under another name.
        patience_s: Seconds for which a camera that gives no more images is retried.
        pause_s: Seconds from one attempt to the next.
        stuck_s: After so many seconds without a new image it counts as stuck.

    Raises:
        CameraError: There is no such camera.
    """

    frame_interval_s = 1 / 30  # most cameras give thirty frames a second

    find: Callable[[], CameraDevice]
    _: KW_ONLY
    patience_s: float = 0.0
    pause_s: float = _PAUSE_S
    stuck_s: float = STUCK_S

    def __post_init__(self) -> None:
        device = self.find()
        self.name = device.name
        self._reader = _Reader(device, self.stuck_s)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames as they come; times count from the first.

        Raises:
            CameraError: The camera cannot be opened, ends, or is stuck, or was away for too long.
        """
        start_s: float | None = None
        lost_s, index = 0.0, 0
        while True:
            try:
                taken = self._reader.take()
            except CameraError as error:
                if start_s is None or not self.patience_s:
                    raise
                lost_s = lost_s or time.monotonic()
                self._find_again(lost_s, error)
                continue
            lost_s = 0.0
            start_s = taken.time_s if start_s is None else start_s
            yield replace(taken, frame=index, time_s=taken.time_s - start_s)
            index += 1

    def close(self) -> None:
        """Let the camera go."""
        self._reader.is_closed = True

    def _find_again(self, lost_s: float, error: CameraError) -> None:
        """Open the camera again, or raise when it has been away for too long."""
        self.close()
        _LOGGER.warning("%s; looking for it again", error)
        while time.monotonic() - lost_s < self.patience_s:
            time.sleep(self.pause_s)
            try:
                self._reader = _Reader(self.find(), self.stuck_s)
            except CameraError:
                continue
            return
        raise CameraError(
            f"{error}. The camera did not come back within {self.patience_s:g} s"
        ) from error


_REASONS: Final[dict[type[Exception], str]] = {
    av.error.HTTPUnauthorizedError: "it asks for a user and a password (http://USER:PASSWORD@...)",
    av.error.HTTPForbiddenError: "it forbids this address",
    av.error.HTTPNotFoundError: "it knows no such address",
    av.error.ExitError: "it does not answer",
    av.error.InvalidDataError: "it sends no video that is read",
    av.error.ArgumentError: "it sends no video that is read",
}


class _Reader:
    """Reads an open camera in a thread, until it ends or ``is_closed`` is set."""

    def __init__(self, device: CameraDevice, stuck_s: float) -> None:
        self._device = device
        self._stuck_s = stuck_s
        self._waiting: deque[Frame] = deque(maxlen=_QUEUE)
        self._changed = threading.Condition()
        self._failure = ""
        self.is_closed = False
        self._fresh_s = time.monotonic()
        threading.Thread(target=self._read, name=device.name, daemon=True).start()

    def take(self) -> Frame:
        """Return the oldest image that waits, with the time at which it was taken."""
        name = self._device.name
        with self._changed:
            while True:
                left_s = self._fresh_s + self._stuck_s - time.monotonic()
                if self._waiting and (self._failure or left_s > 0):
                    return self._waiting.popleft()
                if self._failure:
                    remedy = "plugged in, allowed and not in use"
                    if "://" in name:
                        remedy = "switched on, and that the address is right"
                    raise CameraError(
                        f"{shown(name)}: the camera gives no images: {self._failure}. Check that "
                        f"it is {remedy}"
                    )
                if left_s <= 0:
                    raise CameraError(
                        f"{shown(name)}: the camera is stuck: no new image for {self._stuck_s:g} "
                        "s. Plug it in again, or end the program that uses it"
                    )
                self._changed.wait(min(left_s, 0.25))

    def _read(self) -> None:
        """Read until the camera ends or is let go; runs in a thread."""
        failure = "it ended"
        try:
            self._read_frames()
        except (av.error.FFmpegError, OSError, ValueError) as error:
            failure = _reason(error)
        with self._changed:
            self._failure = failure
            self._changed.notify()

    def _read_frames(self) -> None:
        device, last_sum = self._device, None
        with _opened(device) as container:
            if device.format is None and (container.duration or 0) > 0:
                raise ValueError("it is a file, which has an end. Download it first")
            stream = container.streams.video[0]
            upright = Upright(stream)
            for decoded in container.decode(stream):
                if self.is_closed:
                    return
                image = upright(decoded)
                check_sum = zlib.adler32(image.data)
                with self._changed:
                    now_s = time.monotonic()
                    if check_sum != last_sum:
                        self._fresh_s = now_s
                    self._waiting.append(Frame(0, now_s, image, pts_s=decoded.time))
                    self._changed.notify()
                last_sum = check_sum


def _opened(device: CameraDevice) -> av.container.InputContainer:
    timeout = None if device.format else (_CONNECT_S, _CONNECT_S)
    container = av.open(device.file, format=device.format, options=device.options, timeout=timeout)
    if not container.streams.video:
        container.close()
        raise ValueError("it has no images")
    return container


def _reason(error: Exception) -> str:
    """Say in words why a device or a stream cannot be read; never with its address."""
    if type(error) in _REASONS:
        return _REASONS[type(error)]
    if getattr(error, "errno", None) == errno.EIO:
        return "it broke off"
    return first_line(error)
