"""Write an annotated H.264 video, frame by frame at the frames' own times, with the sound kept.

The file is written in fragments of two seconds, so that it can be played up to there after a kill
or on a full disk; at its proper end it becomes a plain MP4.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.files import GrowingFile
from facial_expressions.media.draw import draw_faces
from facial_expressions.media.frames import Frame
from facial_expressions.media.pyav import av
from facial_expressions.media.sound import Sound
from facial_expressions.results import FrameResult

_CLOCK: Final = Fraction(1, 90_000)
_NOMINAL_RATE: Final = 25
_ENCODER: Final = {"preset": "veryfast", "crf": "20"}
_MUXER: Final = {"movflags": "hybrid_fragmented+delay_moov", "frag_duration": "2000000"}
_SOUND_TAIL_S: Final = 1.0
"""The sound may continue so long after the last frame."""


class VideoSink(AbstractContextManager["VideoSink"]):
    """An MP4 with the faces drawn in; on leaving the ``with`` block it becomes a plain one.

    A side of odd length grows by one pixel, as the format asks; if the size changes in the middle,
    frames are brought to that of the first. Without a frame there is no file, and no sound where
    no file is named whose sound is kept.

    Raises:
        MissingExtraError: PyAV is not installed.
        StorageError: The file cannot be written.
        VideoError: The file with the sound cannot be read.
    """

    def __init__(self, path: Path, *, sound_from: str | None, overwrite: bool) -> None:
        self._path, self._file = path, GrowingFile(path, overwrite=overwrite)
        self._output = av.open(self._file, "w", format="mp4", options=_MUXER)
        self._sound = None if sound_from is None else Sound(sound_from, self._output)
        self._stream: av.VideoStream | None = None
        self._end_s = 0.0
        self._last_tick = -1

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Draw the faces into a copy of the frame and encode it."""
        if self._stream is None:
            self._stream = self._add_stream(frame)
        stream = self._stream
        pixels = np.asarray(draw_faces(frame.image, result.faces))
        image = av.VideoFrame.from_ndarray(_fitted(pixels, stream.width, stream.height))
        image.time_base = _CLOCK
        self._last_tick = image.pts = max(round(frame.time_s / _CLOCK), self._last_tick + 1)
        bt709 = image.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        self._output.mux(stream.encode(bt709))
        self._end_s = frame.time_s
        if self._sound:
            self._sound.copy(until_s=frame.time_s)

    def _add_stream(self, frame: Frame) -> av.VideoStream:
        codec = "libx264" if "libx264" in av.codecs_available else "h264"
        options = _ENCODER if codec == "libx264" else None
        stream = self._output.add_stream(codec, rate=_NOMINAL_RATE, options=options)
        if not isinstance(stream, av.VideoStream):
            raise TypeError(f"{codec}: made a stream of kind {stream.type}, not video")
        stream.width, stream.height = (side + side % 2 for side in frame.size)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = _CLOCK
        stream.codec_context.colorspace = 1  # BT.709, and so the next two
        stream.codec_context.color_primaries = 1
        stream.codec_context.color_trc = 1
        stream.codec_context.color_range = 1  # limited
        return stream

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        with ExitStack() as stack:
            stack.push(self._remove_unplayable)
            stack.callback(self._file.close)
            if self._sound:
                stack.callback(self._sound.close)
            if self._stream is None:
                self._file.remove()
                return
            stack.callback(self._output.close)
            self._output.mux(self._stream.encode())
            if self._sound:
                self._sound.copy(until_s=self._end_s + (_SOUND_TAIL_S if kind is None else 0))
                self._sound.finish()

    def _remove_unplayable(self, kind: type[BaseException] | None, *_: object) -> None:
        """Take away what cannot be played: writing failed in the first fragment."""
        try:
            if kind is not None:
                with av.open(f"file:{self._path}") as written:
                    next(written.decode(video=0))
        except (av.FFmpegError, OSError, StopIteration):
            self._file.remove()


def _fitted(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Bring an image to the video's size: odd sides by repeating the border, others by scaling."""
    missing_rows, missing_columns = height - pixels.shape[0], width - pixels.shape[1]
    if missing_rows in (0, 1) and missing_columns in (0, 1):
        return np.pad(pixels, ((0, missing_rows), (0, missing_columns), (0, 0)), mode="edge")
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR))
