"""Where frames come from: open whatever a source's name stands for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from facial_expressions.errors import VideoError
from facial_expressions.limits import MAX_PIXELS
from facial_expressions.media import image_frames
from facial_expressions.media.frames import FrameSource

_WEBCAM: Final = "webcam"
_PATIENCE_S: Final = 30.0
"""A camera that went away is looked for so long, where that is asked for."""

_STREAM_STUCK_S: Final = 10.0
"""A network camera may be silent for so long: connecting alone takes seconds."""

_DEVICE: Final = re.compile(r"(?:/dev/video)?(\d{1,3})")


def is_live(source: str | Path) -> bool:
    """Say whether a source is a camera or an address, whose frames come when they come.

    Examples:
        >>> is_live("webcam:1"), is_live("rtsp://camera/1"), is_live("./webcam"), is_live("a.mp4")
        (True, True, False, False)
    """
    return isinstance(source, str) and ("://" in source or source.partition(":")[0] == _WEBCAM)


def check_source(source: str | Path) -> None:
    """Refuse what can be no source, with what was probably meant; opens nothing.

    Raises:
        VideoError: There is no such file, or it is a device.
        CameraError: It names a camera that cannot be.

    Examples:
        >>> check_source("0")
        Traceback (most recent call last):
        facial_expressions.errors.VideoError: 0: file not found. For a camera, give webcam
    """
    if is_live(source):
        from facial_expressions.media.camera import live_finder

        live_finder(str(source))
        return
    text = str(source)
    number = _DEVICE.fullmatch(text)
    if number and (text.startswith("/dev/") or not Path(text).exists()):
        camera = _WEBCAM if int(number[1]) == 0 else f"{_WEBCAM}:{int(number[1])}"
        what = "a camera" if text.startswith("/") else "file not found. For a camera"
        raise VideoError(f"{text}: {what}, give {camera}")
    if text == "-":
        raise VideoError("-: video is not read from stdin. Give a file, or webcam for a camera")
    if not Path(text).exists() and not image_frames.is_pattern(text):
        raise VideoError(f"{text}: file not found")


def open_source(
    source: str | Path,
    *,
    reconnect: bool = False,
    max_pixels: int = MAX_PIXELS,
    fps: float | None = None,
) -> FrameSource:
    """Open a video file, an animation, numbered images, a camera or a live stream.

    Args:
        source: A path; a folder of images, or a pattern for their names (``shot-%04d.png``,
            ``shot-*.png``); ``webcam``, or ``webcam:1`` for the second camera; or the address of a
            camera (``rtsp://``, ``http://``). A file called webcam is reached as ``./webcam``.
        reconnect: Whether a camera or stream that gives no more images is retried.
        max_pixels: Larger frames are refused.
        fps: Frames a second of numbered images (25 if None) and of raw streams.

    Raises:
        VideoError: The file is missing or no video, or has times of its own beside ``fps``.
        CameraError: There is no such camera.
        MissingExtraError: PyAV is not installed.
    """
    if is_live(source):
        from facial_expressions.media.camera import STUCK_S, Camera, live_finder

        stuck_s = _STREAM_STUCK_S if "://" in str(source) else STUCK_S
        patience_s = _PATIENCE_S if reconnect else 0.0
        return Camera(live_finder(str(source)), patience_s=patience_s, stuck_s=stuck_s)
    check_source(source)
    if Path(source).is_dir() or image_frames.is_pattern(source):
        return image_frames.NumberedImages(source, fps=fps, max_pixels=max_pixels)
    kind = image_frames.image_kind(source)
    if kind in image_frames.ANIMATED:
        if fps is not None:
            raise VideoError(f"{source}: has times of its own. Leave fps out")
        return image_frames.Animation(source, max_pixels=max_pixels)
    from facial_expressions.media.video_file import VideoFile

    try:
        return VideoFile(source, max_pixels=max_pixels, fps=fps)
    except VideoError as error:
        raise image_frames.not_a_video(source) if kind else error from error
