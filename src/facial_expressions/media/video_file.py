"""Read a video file frame by frame, with the stream's own times, in flat memory.

Few container formats are let near a demuxer, and none that names other files (playlists); a path is
never taken for a URL. Frames come upright and of square pixels. Their times count from the video's
start and continue where the stream's own go back. Damaged frames are left out and counted; a
truncated file ends with its last whole frame.
"""

from __future__ import annotations

import math
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from facial_expressions.errors import VideoError, first_line
from facial_expressions.images import MAX_SIDE
from facial_expressions.limits import MAX_PIXELS
from facial_expressions.media.frames import Frame, FrameSource
from facial_expressions.media.pyav import av
from facial_expressions.media.upright import Upright
from facial_expressions.plain_text import shown

_RAW: Final = ("h264", "hevc", "mpegvideo", "m4v", "mjpeg", "av1", "obu")
"""Streams without a container, and so without times."""

_FORMATS: Final = ",".join(
    ("mov,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf,mxf,ivf,nut,dv,yuv4mpegpipe", *_RAW)
)
_MOST_FAILURES: Final = 100
"""After so many packets in a row that cannot be decoded the file counts as ended."""

_FALLBACK_RATE: Final = 25.0
_RATES: Final = (0.01, 1000.0)
_MICROSECOND: Final = 1e-6
_LEAST_JUMP_S: Final = 0.1
_INTERVALS: Final = 3
"""Times that go back by less than so many frames are out of order, not a new beginning."""


class VideoFile(FrameSource):
    """The frames of a video file, to be read once, in a ``with`` block.

    Args:
        path: The file.
        max_pixels: A video with more pixels a frame is refused.
        fps: Frames a second of a raw stream; None takes what it says, or 25.

    Raises:
        VideoError: The file is missing, empty, no video or too large, has no video stream, or has
            times of its own beside ``fps``.
        MissingExtraError: PyAV is not installed.
    """

    def __init__(
        self, path: str | Path, *, max_pixels: int = MAX_PIXELS, fps: float | None = None
    ) -> None:
        self._path = Path(path)
        self.name = str(self._path)
        self._max_pixels = max_pixels
        self._container = open_container(path)
        self._is_raw = self._container.format.name in _RAW
        try:
            self._stream = _video_stream(self._container, self._path)
            self._check_size(self._stream.width, self._stream.height)
        except BaseException:
            self._container.close()
            raise
        self._stream.thread_type = "AUTO"
        self._stream.codec_context.copy_opaque = True  # an image has what its packet was given
        if fps is not None and not self._is_raw:
            self._container.close()
            raise VideoError(f"{self.name}: has times of its own. Leave fps out")
        self.frame_interval_s = 1 / fps if fps else frame_interval_s(self._stream)
        self._clock = Clock(start_s(self._container), self.frame_interval_s)
        duration = self._container.duration
        if duration is not None and duration > 0:
            self.duration_s = duration * _MICROSECOND
        self._is_cut = _reaches_past_end(self._stream, self._path)
        self._upright = Upright(self._stream)
        self._n_damaged = 0

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames.

        Raises:
            VideoError: Not one frame can be decoded, or a frame is too large.
        """
        index, time_s = 0, 0.0
        for image in self._images():
            self._check_size(*self._upright.size(image))
            pts_s = None if self._is_raw else _pts_s(image, self._stream)
            if pts_s is not None:
                given = image.opaque
                shift_s = given[0] if isinstance(given, list) else self._clock.shifts_s[-1]
                time_s = max(time_s, pts_s + shift_s)
            elif index:
                time_s += self.frame_interval_s
            yield Frame(index, time_s, self._upright(image), pts_s=pts_s)
            index += 1
        if index == 0:
            raise VideoError(
                f"{shown(self._path)}: no frame of the video can be decoded (codec "
                f"{self._stream.codec_context.name}). Copy the file again, or convert it"
            )
        faults = [f"{self.name} is cut short: its frames end at {time_s:.2f} s"] * self._is_cut
        if self._n_damaged:
            faults.append(f"{self.name} is damaged: {self._n_damaged} packets or frames left out")
        self.note = "; ".join(faults)

    def close(self) -> None:
        """Close the file; more frames cannot be read."""
        self._container.close()

    def _images(self) -> Iterator[av.VideoFrame]:
        """Decode; damaged packets are counted and left out."""
        failures = 0
        last_s = 0.0
        for packet in self._packets():
            last_s = max(last_s, _packet_end_s(packet))
            if packet.stream.index != self._stream.index:
                continue
            packet.opaque = [self._clock.shift_s(packet)]  # PyAV tells objects by their address
            try:
                images = self._stream.decode(packet)
            except av.error.FFmpegError:
                failures += 1
                self._n_damaged += 1
                if failures >= _MOST_FAILURES:
                    self._is_cut = True
                    return
                continue
            for image in images:
                failures = 0
                if image.is_corrupt:
                    self._n_damaged += 1
                else:
                    yield image
        self._is_cut = self._is_cut or self._lacks_end(last_s)

    def _packets(self) -> Iterator[av.Packet[av.stream.Stream]]:
        """Demux every stream; an error in the file is counted and passed over."""
        for _ in range(_MOST_FAILURES):
            try:
                yield from self._container.demux()
            except av.error.FFmpegError:
                self._n_damaged += 1
            else:
                return
        self._is_cut = True

    def _lacks_end(self, last_s: float) -> bool:
        """Whether the packets end clearly before the length that the header claims."""
        is_indexed = "mov" in self._container.format.name.split(",")  # its index was looked at
        if is_indexed or self.duration_s is None:
            return False
        missing_s = start_s(self._container) + self.duration_s - last_s
        return missing_s > max(0.15, 3 * self.frame_interval_s)

    def _check_size(self, width: int, height: int) -> None:
        if max(width, height) > MAX_SIDE or width * height > self._max_pixels:
            raise VideoError(
                f"{shown(self._path)}: the video is too large with {width}x{height} pixels. "
                f"Allowed are {self._max_pixels:,} in all and {MAX_SIDE:,} a side. Shrink it first"
            )


def open_container(path: str | Path) -> av.container.InputContainer:
    """Open a video file, by its content and as a file, whatever its name looks like.

    Raises:
        VideoError: The file is missing, empty, not readable or no video.
    """
    file = Path(path)
    if "://" in str(path):
        raise VideoError(
            f"{shown(path)}: addresses are not fetched. Download the video, then give its path"
        )
    fault = ""
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            fault = "a folder or device, not a video file"
        else:
            with file.open("rb") as opened:
                fault = "" if opened.read(1) else "empty file. Copy it again"
    except FileNotFoundError:
        fault = "file not found"
    except (OSError, ValueError) as error:
        fault = f"cannot be read: {first_line(error)}. Check its permissions and name"
    if fault:
        raise VideoError(f"{shown(file)}: {fault}")
    try:
        return av.open(f"file:{file}", options={"format_whitelist": _FORMATS})
    except (av.error.FFmpegError, ValueError) as error:
        raise VideoError(
            f"{shown(file)}: not a video, or truncated so that it has no index. Supported: MP4, "
            "MOV, MKV, WebM, AVI, MPEG"
        ) from error


def _video_stream(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """Return the first video stream that is not a cover image."""
    cover = av.stream.Disposition.attached_pic
    streams = [one for one in container.streams.video if not one.disposition & cover]
    if not streams:
        kinds = sorted({str(stream.type) for stream in container.streams}) or ["none"]
        raise VideoError(
            f"{shown(path)}: no video stream, only streams of kind {', '.join(kinds)}. Give a file "
            "with moving images"
        )
    if streams[0].codec_context is None:
        raise VideoError(f"{shown(path)}: video codec not supported. Convert it to H.264")
    return streams[0]


def _reaches_past_end(stream: av.VideoStream, path: Path) -> bool:
    """Whether the file's index names bytes that the file does not have."""
    entries = stream.index_entries
    if not len(entries):
        return False
    last = entries[len(entries) - 1]
    return last.pos + last.size > path.stat().st_size


def frame_interval_s(stream: av.VideoStream) -> float:
    """Return the seconds from frame to frame, on average, where the file says something likely."""
    is_raw = stream.container.format.name in _RAW  # its average rate is made up
    rate = float((stream.codec_context.framerate if is_raw else stream.average_rate) or 0)
    return 1 / (rate if _RATES[0] <= rate <= _RATES[1] else _FALLBACK_RATE)


def start_s(container: av.container.InputContainer) -> float:
    """Return the time that players show as 0: the first of all streams."""
    return (container.start_time or 0) * _MICROSECOND


def _packet_end_s(packet: av.Packet[Any]) -> float:
    time_s = packet_time_s(packet)
    return 0.0 if time_s is None else time_s + float((packet.duration or 0) * packet.time_base)


def _pts_s(image: av.VideoFrame, stream: av.VideoStream) -> float | None:
    time_base = image.time_base or stream.time_base
    return None if image.pts is None or not time_base else float(image.pts * time_base)


class Clock:
    """Says what to add to the times of a stream's packets to get the time since the video's start.

    Where a stream begins again (files joined end to end, a camera that was restarted), the times go
    on one interval after the last frame.

    Args:
        start_s: The container's first time, which players show as 0.
        interval_s: Seconds from frame to frame.

    Attributes:
        shifts_s: What to add, one value for each run of rising times.
    """

    def __init__(self, start_s: float, interval_s: float) -> None:
        self.shifts_s = [-start_s]
        self._interval_s = interval_s
        self._last_s = self._end_s = -math.inf

    def shift_s(self, packet: av.Packet[Any]) -> float:
        """Take the next packet of the video stream; return what to add to its time."""
        order, time_s = packet_time_s(packet, in_order=True), packet_time_s(packet)
        if order is None or time_s is None:
            return self.shifts_s[-1]
        if self.goes_back(order, self._last_s):
            end_s = self._end_s + self.shifts_s[-1]
            self.shifts_s.append(end_s + self._interval_s - time_s)
            self._end_s = -math.inf
        self._last_s, self._end_s = order, max(self._end_s, time_s)
        return self.shifts_s[-1]

    def goes_back(self, time_s: float, last_s: float) -> bool:
        """Say whether a time is so far before the one ahead of it that the stream began again."""
        return time_s < last_s - max(_LEAST_JUMP_S, _INTERVALS * self._interval_s)


def packet_time_s(packet: av.Packet[Any], *, in_order: bool = False) -> float | None:
    """Return when a packet is to be shown, or decoded, in order; None where it does not say."""
    first, second = (packet.dts, packet.pts) if in_order else (packet.pts, packet.dts)
    tick = second if first is None else first
    return None if tick is None or not packet.time_base else float(tick * packet.time_base)
