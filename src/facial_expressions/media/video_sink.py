"""Write an annotated H.264 video, frame by frame at the frames' own times, with the sound kept."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.media.draw import draw_faces
from facial_expressions.media.pyav import av
from facial_expressions.media.video_file import open_container

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

    from facial_expressions.media.frames import Frame
    from facial_expressions.results import FrameResult

__all__ = ["VideoSink"]

_CLOCK: Final = Fraction(1, 90_000)
_NOMINAL_RATE: Final = 25
_ENCODER: Final = {"preset": "veryfast", "crf": "20"}
_COPIED: Final = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"})
"""Sound that an MP4 can hold as it is; other sound becomes AAC."""

_SOUND_TAIL_S: Final = 1.0
"""The sound may go on so long after the last frame."""

_MICROSECOND: Final = 1e-6


class VideoSink:
    """An MP4 with the faces drawn in; on leaving the ``with`` block it becomes playable.

    A side of odd length grows by one pixel, as the format asks; if the size changes in the middle,
    frames are brought to that of the first.

    Args:
        path: The file; replaced when it exists.
        sound_from: The video file whose sound is kept; None writes no sound.

    Raises:
        MissingExtraError: PyAV is not installed.
        OSError: The file cannot be written.
        VideoError: The file with the sound cannot be read.
    """

    def __init__(self, path: Path, *, sound_from: str | Path | None = None) -> None:
        with path.open("wb"):
            pass
        self._output: OutputContainer = av.open(f"file:{path}", "w", format="mp4")
        self._sound = None if sound_from is None else _Sound(sound_from, self._output)
        self._stream: VideoStream | None = None
        self._start_s = self._end_s = 0.0
        self._last_tick = -1

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Draw the faces into a copy of the frame and encode it.

        Args:
            frame: The frame's pixels.
            result: What was found in it.
        """
        if self._stream is None:
            self._start_s = min(frame.time_s, self._sound.start_s if self._sound else frame.time_s)
            self._stream = self._add_stream(frame)
        stream = self._stream
        pixels = np.asarray(draw_faces(frame.image, result.faces))
        image = av.VideoFrame.from_ndarray(_fitted(pixels, stream.width, stream.height))
        image.time_base = _CLOCK
        tick = round((frame.time_s - self._start_s) / _CLOCK)
        self._last_tick = image.pts = max(tick, self._last_tick + 1)
        bt709 = image.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        self._output.mux(stream.encode(bt709))
        self._end_s = frame.time_s
        if self._sound:
            self._sound.copy(until_s=frame.time_s, start_s=self._start_s)

    def _add_stream(self, frame: Frame) -> VideoStream:
        codec = "libx264" if "libx264" in av.codecs_available else "h264"
        options = _ENCODER if codec == "libx264" else None
        stream = self._output.add_stream(codec, rate=_NOMINAL_RATE, options=options)
        if not isinstance(stream, av.VideoStream):
            raise TypeError(f"{codec} is a video codec; received a stream of kind {stream.type}")
        stream.width = frame.width + frame.width % 2
        stream.height = frame.height + frame.height % 2
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = _CLOCK
        stream.codec_context.colorspace = 1  # BT.709, and so the next two
        stream.codec_context.color_primaries = 1
        stream.codec_context.color_trc = 1
        stream.codec_context.color_range = 1  # limited
        return stream

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        try:
            if self._stream is not None:
                self._output.mux(self._stream.encode())
                if self._sound:
                    until_s = self._end_s + (_SOUND_TAIL_S if kind is None else 0)
                    self._sound.copy(until_s=until_s, start_s=self._start_s)
                    self._sound.finish()
        finally:
            self._output.close()
            if self._sound:
                self._sound.close()


class _Sound:
    """The sound of a video file, copied into another one no further than the images are."""

    def __init__(self, path: str | Path, output: OutputContainer) -> None:
        self._container: InputContainer = open_container(path)
        self._output = output
        self.start_s = (self._container.start_time or 0) * _MICROSECOND
        self._target: AudioStream | None = None
        self._packets: Iterator[Packet[AudioStream]] = iter(())
        for source in self._container.streams.audio[:1]:
            context = source.codec_context
            self._is_copied = context.name in _COPIED
            if self._is_copied:
                self._target = output.add_stream_from_template(source)
            else:
                self._target = output.add_stream("aac", rate=context.sample_rate)
            self._packets = self._read(source)
        self._next = next(self._packets, None)

    def _read(self, source: AudioStream) -> Iterator[Packet[AudioStream]]:
        """Yield the packets that have a time and a content, as far as the file can be read."""
        with contextlib.suppress(av.error.FFmpegError):
            for packet in self._container.demux(source):
                if packet.pts is not None and packet.size:
                    yield packet

    def copy(self, *, until_s: float, start_s: float) -> None:
        """Write the sound up to a time; damaged packets are left out."""
        while self._next is not None and _time_s(self._next) <= until_s:
            self._write(self._next, start_s)
            self._next = next(self._packets, None)

    def _write(self, packet: Packet[AudioStream], start_s: float) -> None:
        if self._target is None:
            return
        shift = round(start_s / packet.time_base)
        if self._is_copied:
            packet.pts = (packet.pts or 0) - shift
            packet.dts = packet.pts
            packet.stream = self._target
            self._output.mux(packet)
            return
        try:
            sounds = packet.stream.decode(packet)
        except av.error.FFmpegError:
            return
        for sound in sounds:
            sound.pts = None if sound.pts is None else sound.pts - shift
            self._output.mux(self._target.encode(sound))

    def finish(self) -> None:
        """Write what an encoder still holds."""
        if self._target is not None and not self._is_copied:
            self._output.mux(self._target.encode(None))

    def close(self) -> None:
        """Close the file that the sound comes from."""
        self._container.close()


def _time_s(packet: Packet[AudioStream]) -> float:
    return float((packet.pts or 0) * packet.time_base)


def _fitted(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Bring an image to the video's size: odd sides by repeating the border, others by scaling."""
    missing_rows, missing_columns = height - pixels.shape[0], width - pixels.shape[1]
    if missing_rows in (0, 1) and missing_columns in (0, 1):
        return np.pad(pixels, ((0, missing_rows), (0, missing_columns), (0, 0)), mode="edge")
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR))
