"""The catalogue's videos, V01 to V12, that the tests in ``tests/media`` leave over."""

from __future__ import annotations

import struct
import time
from pathlib import Path
from typing import Final

import numpy as np
import pytest

pytest.importorskip("av", reason="the extra video is not installed")

import av

from facial_expressions.errors import VideoError
from facial_expressions.media.video_file import VideoFile
from tests.catalogue.image_files import encode, photo
from tests.media.videos import even_times, write_video

NOISE: Final = np.random.default_rng(0).integers(0, 256, (12, 64, 96, 3), np.uint8)
NO_VIDEOS: Final = {
    "V01-empty": b"",
    "V01-text": b"this is a text\n" * 99,
    "V01-png": encode(photo(), "PNG"),
    "V01-gif": encode(photo(), "GIF"),
    "V01-zip": b"PK\x03\x04" + bytes(500),
    "V02-header-only": b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(8),
    "V11-playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://192.0.2.1/a.ts\n",
    "V11-concat-list": b"ffconcat version 1.0\nfile /etc/hostname\n",
    "V11-dash": b"<?xml version='1.0'?><MPD><BaseURL>http://192.0.2.1/</BaseURL></MPD>",
    "V11-sdp": b"v=0\r\no=- 0 0 IN IP4 192.0.2.1\r\nm=video 5004 RTP/AVP 96\r\n",
}


@pytest.mark.parametrize("content", NO_VIDEOS.values(), ids=NO_VIDEOS.keys())
@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi", "clip.mkv", "clip.m3u8"])
def test_what_is_no_video_is_refused_soon(content: bytes, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    start = time.process_time()
    with (
        pytest.raises(VideoError, match=r"not a video|empty file"),
        VideoFile(path) as video,
    ):
        list(video)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    "url",
    ["http://192.0.2.1/a.mp4", "rtsp://192.0.2.1/a", "file:///etc/hostname", "tcp://192.0.2.1:9",
     "concat:a|b", "data:video/mp4;base64,AAAA", "pipe:0",
     "subfile,,start,0,end,9,,:/etc/hostname"],
)  # fmt: skip
def test_v11_an_address_is_refused_and_not_asked(url: str) -> None:
    """The tests' network guard would end any connection with another error."""
    with pytest.raises(VideoError):
        VideoFile(url)


AVI_CLAIMS: Final = {
    "V04-a-thousand-million-frames": ("avih", 16, 1_000_000_000),
    "V04-no-frames": ("avih", 16, 0),
    "V04-minus-one-frames": ("avih", 16, 0xFFFF_FFFF),
    "V04-no-time-per-frame": ("avih", 0, 0),
    "V04-no-rate": ("strh", 24, 0),
    "V04-no-scale": ("strh", 20, 0),
    "V04-a-million-a-second": ("strh", 24, 1_000_000),
    "V04-length-of-years": ("strh", 32, 0x7FFF_FFFF),
}


@pytest.mark.parametrize(("chunk", "offset", "value"), AVI_CLAIMS.values(), ids=AVI_CLAIMS.keys())
def test_what_a_header_claims_is_not_believed(
    chunk: str, offset: int, value: int, tmp_path: Path
) -> None:
    path = write_video(tmp_path / "clip.avi", NOISE, even_times(12))
    content = bytearray(path.read_bytes())
    place = content.index(chunk.encode()) + 8 + offset
    content[place : place + 4] = struct.pack("<I", value)
    path.write_bytes(content)
    start = time.process_time()
    try:
        with VideoFile(path) as video:
            times = [frame.time_s for frame in video]
            assert np.isfinite(video.frame_interval_s)
            assert video.frame_interval_s > 0
    except VideoError:
        times = []
    assert len(times) <= 12
    assert times == sorted(times)
    assert np.isfinite(times).all()
    assert time.process_time() - start < 5


def test_v06_times_never_go_back(tmp_path: Path) -> None:
    """Two streams of transport packets put one after the other: the second begins at 0 again."""
    first = write_video(tmp_path / "a.ts", NOISE, even_times(12)).read_bytes()
    (tmp_path / "both.ts").write_bytes(first + first)
    with VideoFile(tmp_path / "both.ts") as video:
        times = [frame.time_s for frame in video]
    assert len(times) >= 12
    assert times == sorted(times)


def test_v07_a_size_that_changes_in_the_middle_is_followed(tmp_path: Path) -> None:
    small = write_video(tmp_path / "a.ts", NOISE, even_times(12)).read_bytes()
    large = [np.kron(one, np.ones((2, 2, 1), np.uint8)) for one in NOISE]
    write_video(tmp_path / "b.ts", large, [1 + one for one in even_times(12)])
    (tmp_path / "both.ts").write_bytes(small + (tmp_path / "b.ts").read_bytes())
    with VideoFile(tmp_path / "both.ts") as video:
        shapes = {frame.image.shape for frame in video}
    assert shapes == {(64, 96, 3), (128, 192, 3)}


def test_v09_sound_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=16_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 16_000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    with pytest.raises(VideoError, match=r"no video stream, only streams of kind audio"):
        VideoFile(path)


def test_v10_an_unknown_codec_is_refused_in_words(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", NOISE, even_times(12))
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(VideoError, match=r"codec"), VideoFile(path) as video:
        list(video)


def test_v12_a_file_that_is_deleted_while_it_is_read_ends_well(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", NOISE, even_times(12))
    with VideoFile(path) as video:
        frames = iter(video)
        next(frames)
        path.unlink()
        assert 1 <= 1 + len(list(frames)) <= 12


def test_v03_two_hundred_flipped_bytes_give_frames_or_a_refusal(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mkv", NOISE, even_times(12))
    whole, random = path.read_bytes(), np.random.default_rng(1)
    for _ in range(200):
        content = bytearray(whole)
        for position in random.integers(len(content), size=4):
            content[position] ^= random.integers(1, 256)
        path.write_bytes(content)
        try:
            with VideoFile(path) as video:
                n_frames = sum(1 for _ in video)
        except VideoError:
            continue
        assert n_frames <= 40
