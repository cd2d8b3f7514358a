"""The sound of a video, carried over into a marked one; it never costs the images anything."""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from facial_expressions.errors import first_line
from facial_expressions.media.pyav import av
from facial_expressions.media.video_file import (
    Clock,
    frame_interval_s,
    open_container,
    packet_time_s,
    start_s,
)

_COPIED: Final = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"})
"""Sound that an MP4 can hold as it is; other sound becomes AAC."""

_AAC_RATES: Final = (
    8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000,
)  # fmt: skip
_MOST_HELD: Final = 1000
"""Packets that wait for the images to begin again; then the sound continues by itself."""

_LOGGER: Final = logging.getLogger(__name__)

Timed = tuple[float, "av.Packet[av.AudioStream]"]


class Sound:
    """The first sound stream of a video file, on the clock of its images.

    A packet that does not come after the one before is dropped; a gap stays one. Where the sound
    cannot continue, the video does without, and a warning says from when.

    Raises:
        VideoError: The file cannot be read.
    """

    def __init__(self, path: str | Path, output: av.container.OutputContainer) -> None:
        self._name = str(path)
        self._container = open_container(path)
        self._output = output
        self._target: av.AudioStream | None = None
        self._packets: Iterator[Timed] = iter(())
        self._next: Timed | None = None
        self._start_s = self._end_s = -math.inf
        self._unpack: Callable[[av.Packet[Any]], Iterable[av.Packet[Any]]] | None = None
        for source in self._container.streams.audio[:1]:
            with self._or_silence():
                self._open(source)
                self._packets = self._timed(source)
                self._next = next(self._packets, None)

    def copy(self, *, until_s: float) -> None:
        """Write the sound up to a time of the images."""
        with self._or_silence():
            while self._next is not None and self._next[0] <= until_s:
                self._write(*self._next)
                self._next = next(self._packets, None)

    def finish(self) -> None:
        """Write what an encoder still holds."""
        if self._target is not None and not self._is_copied:
            with self._or_silence():
                self._output.mux(self._target.encode(None))

    def close(self) -> None:
        """Close the file that the sound comes from."""
        self._container.close()

    def _open(self, source: av.AudioStream) -> None:
        """Add the stream that the sound goes into."""
        context = source.codec_context
        if context is None or context.sample_rate <= 0:
            raise ValueError("its codec is not read")
        self._is_copied = context.name in _COPIED
        if self._is_copied:
            self._target = self._output.add_stream_from_template(source)
            if context.name == "aac" and not context.extradata:  # each packet has a header
                self._unpack = av.bitstream.BitStreamFilterContext("aac_adtstoasc", source).filter
            return
        rate = min(_AAC_RATES, key=lambda one: abs(one - context.sample_rate))
        layout = "mono" if context.layout.nb_channels == 1 else "stereo"
        self._target = self._output.add_stream("aac", rate=rate, layout=layout)

    @contextlib.contextmanager
    def _or_silence(self) -> Iterator[None]:
        """Continue without sound where it cannot be carried over, and say so."""
        try:
            yield
        except (av.error.FFmpegError, ValueError) as error:
            since = f" from {self._end_s:.2f} s on" if self._end_s > 0 else ""
            _LOGGER.warning(
                "the marked video has no sound%s: that of %s cannot be carried over (%s)",
                since, self._name, first_line(error),
            )  # fmt: skip
            self._next = self._target = None

    def _timed(self, source: av.AudioStream) -> Iterator[Timed]:
        """Yield the packets that have a content, with their times on the images' clock.

        Where images begin again before their sound does, or after it, both continue together.
        """
        images = self._container.streams.video[0]
        clock = Clock(start_s(self._container), frame_interval_s(images))
        held: deque[tuple[int, float, av.Packet[av.AudioStream]]] = deque()
        run, last_s = 0, -math.inf
        for packet in itertools.chain(self._readable(images, source), (None,)):
            if packet is None:
                pass
            elif packet.stream.index == images.index:
                clock.shift_s(packet)
            elif packet.size and (time_s := packet_time_s(packet)) is not None:
                run += clock.goes_back(time_s, last_s)
                last_s = time_s
                held.append((run, time_s, packet))
            is_overdue = packet is None or len(held) > _MOST_HELD
            while held and (held[0][0] < len(clock.shifts_s) or is_overdue):
                number, time_s, one = held.popleft()
                if number >= len(clock.shifts_s):
                    clock.shifts_s.append(self._end_s - time_s)
                yield time_s + clock.shifts_s[number], one

    def _readable(self, *streams: Any) -> Iterator[av.Packet[Any]]:  # noqa: ANN401 - of two kinds
        """Demux as far as the file can be read."""
        try:
            yield from self._container.demux(*streams)
        except av.error.FFmpegError:
            return

    def _write(self, time_s: float, packet: av.Packet[av.AudioStream]) -> None:
        length_s = float((packet.duration or 0) * packet.time_base)
        if self._target is None or time_s < self._end_s - length_s / 2 or time_s <= self._start_s:
            return  # at a time that has its sound already
        self._start_s, self._end_s = time_s, time_s + length_s
        if self._is_copied:
            packet.pts = packet.dts = round(time_s / packet.time_base)
            for one in self._unpack(packet) if self._unpack else (packet,):
                one.stream = self._target
                self._output.mux(one)
            return
        try:
            sounds = packet.stream.decode(packet)
        except av.error.FFmpegError:  # a damaged packet
            return
        for sound in sounds:
            sound.time_base = Fraction(1, sound.sample_rate)
            sound.pts = round(time_s * sound.sample_rate)
            time_s += sound.samples / sound.sample_rate
            self._output.mux(self._target.encode(sound))
