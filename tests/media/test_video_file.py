"""Video files: the stream's times, upright images, cut and damaged files, what is refused."""

from __future__ import annotations

import gc
import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facial_expressions.errors import VideoError
from facial_expressions.media.pyav import av
from facial_expressions.media.sinks import open_sink
from facial_expressions.media.upright import Upright
from facial_expressions.media.video_file import VideoFile
from facial_expressions.results import FrameResult
from tests.media.videos import even_times, read_back, write_video

Image = NDArray[np.uint8]
RED, BLUE = (220, 20, 20), (20, 20, 220)


def corner_image(width: int = 96, height: int = 64) -> Image:
    """Grey, red in the top left quarter, blue in the top right one."""
    image = np.full((height, width, 3), 128, np.uint8)
    image[: height // 2, : width // 2] = RED
    image[: height // 2, width // 2 :] = BLUE
    return image


def noise(count: int) -> Iterator[Image]:
    """Images that hardly compress, so that a cut falls into a frame."""
    random = np.random.default_rng(0)
    for _ in range(count):
        yield random.integers(0, 256, (64, 96, 3), np.uint8)


def test_times_of_a_variable_frame_rate_are_the_streams(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.1, 0.35, 0.36, 1.2, 3.001]
    path = write_video(tmp_path / "vfr.mp4", [corner_image()] * 7, times)
    with VideoFile(path) as video:
        frames = list(video)
    assert [frame.time_s for frame in frames] == pytest.approx(times, abs=1e-9)
    assert [frame.frame for frame in frames] == list(range(7))
    assert video.note == ""


@pytest.mark.parametrize(
    ("matrix", "red_at", "blue_at"),
    [
        ((65536, 0, 0, 0, 65536, 0), "top left", "top right"),
        ((0, 65536, 0, -65536, 0, 0), "top right", "bottom right"),  # a phone held upright
        ((-65536, 0, 0, 0, -65536, 0), "bottom right", "bottom left"),
        ((0, -65536, 0, 65536, 0, 0), "bottom left", "top left"),
        ((-65536, 0, 0, 0, 65536, 0), "top right", "top left"),  # mirrored
    ],
)
def test_v08_display_matrix_is_applied(
    matrix: tuple[int, ...], red_at: str, blue_at: str, tmp_path: Path
) -> None:
    """QuickTime's matrix sends (x, y) to (a x + c y, b x + d y); worked out by hand."""
    whole = (*matrix, 0, 0, 1 << 30)
    path = write_video(tmp_path / "turned.mp4", [corner_image()] * 2, [0, 0.04], matrix=whole)
    with VideoFile(path) as video:
        image = next(iter(video)).image
    assert image.shape == ((96, 64, 3) if matrix[0] == 0 else (64, 96, 3))
    assert np.abs(at(image, red_at) - np.array(RED)).max() < 40
    assert np.abs(at(image, blue_at) - np.array(BLUE)).max() < 40


def at(image: Image, corner: str) -> NDArray[np.float64]:
    """Mean color of a small square in a corner."""
    vertical, horizontal = corner.split()
    rows = slice(4, 16) if vertical == "top" else slice(-16, -4)
    columns = slice(4, 16) if horizontal == "left" else slice(-16, -4)
    return np.asarray(image[rows, columns].mean((0, 1)), np.float64)


def test_odd_size_is_kept(tmp_path: Path) -> None:
    path = write_video(tmp_path / "odd.mp4", [corner_image(97, 65)] * 3, even_times(3))
    with VideoFile(path) as video:
        assert [frame.image.shape for frame in video] == [(65, 97, 3)] * 3


@pytest.mark.parametrize(
    ("name", "options"), [("cut.mp4", {"movflags": "faststart"}), ("cut.mkv", {})]
)
def test_cut_file_gives_its_frames_and_a_note(
    name: str, options: dict[str, str], tmp_path: Path
) -> None:
    path = write_video(tmp_path / name, noise(50), even_times(50), options=options)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    with VideoFile(path) as video:
        frames = list(video)
    assert 20 <= len(frames) <= 32
    assert [frame.time_s for frame in frames] == pytest.approx(even_times(len(frames)), abs=0.002)
    assert "cut short" in video.note


@pytest.mark.parametrize("name", ["whole.mp4", "whole.mkv", "whole.ts", "whole.avi"])
def test_whole_file_has_no_note(name: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / name, noise(12), even_times(12))
    with VideoFile(path) as video:
        assert len(list(video)) == 12
    assert video.note == ""


def test_damage_in_the_middle_is_passed_over_and_noted(tmp_path: Path) -> None:
    path = write_video(tmp_path / "damaged.mkv", noise(50), even_times(50))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = bytes(3000)
    path.write_bytes(content)
    with VideoFile(path) as video:
        frames = list(video)
    assert 30 <= len(frames) <= 50
    assert frames[-1].time_s == pytest.approx(49 / 25, abs=0.002)
    assert len(frames) == 50 or video.note


@pytest.mark.parametrize(
    "content", [b"", b"hello, I am a text\n" * 40, b"#EXTM3U\nfile:///etc/hostname\n"]
)
def test_file_that_is_no_video_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"clip\.mp4"):
        VideoFile(path)


def test_image_named_as_video_is_refused(tmp_path: Path, astronaut: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(astronaut.read_bytes())
    with pytest.raises(VideoError, match="not a video"):
        VideoFile(path)


def test_file_without_index_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", noise(20), even_times(20))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(VideoError, match="no index"):
        VideoFile(path)


def test_missing_file_and_address_are_refused() -> None:
    with pytest.raises(VideoError, match="file not found"):
        VideoFile("nowhere.mp4")
    with pytest.raises(VideoError, match="addresses are not fetched"):
        VideoFile("http://192.0.2.1/clip.mp4")


def test_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=str(tmp_path.name)):
        VideoFile(tmp_path)


def test_name_is_never_taken_for_a_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_video(tmp_path / "concat:été.mp4", [corner_image()] * 2, even_times(2))
    monkeypatch.chdir(tmp_path)
    with VideoFile("concat:été.mp4") as video:
        assert len(list(video)) == 2


def test_too_large_video_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", [corner_image()] * 2, even_times(2))
    with pytest.raises(VideoError, match="96x64"):
        VideoFile(path, max_pixels=96 * 64 - 1)


@pytest.mark.parametrize("first_row", [(65536, 0, 0, 0, 65536, 0), (0, 65536, 0, -65536, 0, 0)])
def test_frames_are_let_go_at_once_not_when_python_looks_for_cycles(
    tmp_path: Path, first_row: tuple[int, ...]
) -> None:
    """A minute of video kept 160 MB of frames in memory until then."""
    matrix = (*first_row, 0, 0, 1 << 30)
    path = write_video(tmp_path / "clip.mp4", [corner_image()] * 40, even_times(40), matrix=matrix)
    before = {id(one) for one in gc.get_objects() if isinstance(one, av.VideoFrame)}
    gc.disable()
    try:
        with VideoFile(path) as video:
            assert len(list(video)) == 40
        live = [one for one in gc.get_objects() if isinstance(one, av.VideoFrame)]
    finally:
        gc.enable()
    assert sum(id(one) not in before for one in live) <= 3  # the first, and those being decoded


@pytest.mark.parametrize("width", [2, 62, 64, 250, 320, 398])
def test_pixels_lie_without_gaps_at_any_width(width: int) -> None:
    """FFmpeg pads rows to 64 bytes or so; what reads the bytes as they lie must not see that."""
    image = av.VideoFrame.from_ndarray(np.full((8, width, 3), 90, np.uint8), format="rgb24")
    stream = av.open(io.BytesIO(), "w", format="mp4").add_stream("mpeg4", rate=25)
    assert isinstance(stream, av.VideoStream)
    pixels = Upright(stream)(image.reformat(format="yuv420p"))
    assert pixels.shape == (8, width, 3)
    assert pixels.flags.c_contiguous


def test_times_count_from_the_start_and_the_streams_own_are_given_beside_them(
    tmp_path: Path,
) -> None:
    """Transport streams of an hour into a programme."""
    times = [3600 + one for one in even_times(12)]
    path = write_video(tmp_path / "late.ts", noise(12), times)
    with VideoFile(path) as video:
        frames = list(video)
    assert [frame.time_s for frame in frames] == pytest.approx(even_times(12), abs=1e-4)
    assert frames[0].pts_s is not None
    own = [frame.pts_s - frames[0].pts_s for frame in frames if frame.pts_s is not None]
    assert own == pytest.approx(even_times(12), abs=1e-4)
    assert 3600 <= frames[0].pts_s < 3603


def joined(tmp_path: Path, n_parts: int, sound: str = "") -> Path:
    """Two seconds of 25 images each, end to end, as ``cat`` does it."""
    part = write_video(tmp_path / "part.ts", noise(50), even_times(50), sound=sound)
    path = tmp_path / "joined.ts"
    path.write_bytes(part.read_bytes() * n_parts)
    return path


@pytest.mark.parametrize("n_parts", [2, 3])
@pytest.mark.parametrize("sound", ["", "aac", "mp2"])
def test_joined_transport_streams_go_on_from_the_last_time(
    sound: str, n_parts: int, tmp_path: Path
) -> None:
    with VideoFile(joined(tmp_path, n_parts, sound)) as video:
        frames = list(video)
    start_s = frames[0].time_s
    times = [frame.time_s - start_s for frame in frames]
    assert times == pytest.approx(even_times(50 * n_parts), abs=1e-3)
    assert start_s < 0.1, "the sound starts a little before the images"


@pytest.mark.parametrize("sound", ["aac", "mp2"])
def test_sound_of_joined_transport_streams_stays_beside_its_images(
    sound: str, tmp_path: Path
) -> None:
    """The tone of each part lasts 1.96 s; the second begins with the second part's images."""
    path = joined(tmp_path, 2, sound)
    with (
        VideoFile(path) as video,
        open_sink(tmp_path / "m.mp4", source=str(path), labels=("happy",)) as sink,
    ):
        starts = []
        for frame in video:
            starts.append(frame.time_s)
            result = FrameResult(frame.frame, frame.time_s, *frame.size)
            sink.write(frame, result)
    with av.open(str(tmp_path / "m.mp4")) as container:
        packets = [one for one in container.demux(audio=0) if one.pts is not None]
        times = [float(one.pts * one.time_base) for one in packets if one.pts is not None]
    images_s, _ = read_back(tmp_path / "m.mp4")
    assert images_s == pytest.approx(starts, abs=1e-3)
    assert times == sorted(set(times))
    assert np.diff(times).max() < 0.13, "no hole but the end of the first part's tone"
    assert times[-1] == pytest.approx(starts[50] + 1.96, abs=0.13)


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        (Fraction(2), (192, 64)),
        (Fraction(64, 45), (137, 64)),  # 96 x 64 / 45 = 136.5
        (Fraction(8, 9), (96, 72)),
        (Fraction(1, 2), (96, 128)),
        (Fraction(1), (96, 64)),
        (Fraction(0, 1), (96, 64)),
        (Fraction(500), (96, 64)),
    ],
)
@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_pixels_that_are_not_square_are_made_so(
    name: str, shape: Fraction, size: tuple[int, int], tmp_path: Path
) -> None:
    path = write_video(tmp_path / name, [corner_image()] * 2, even_times(2), pixel_shape=shape)
    with VideoFile(path) as video:
        image = next(iter(video)).image
    assert image.shape == (size[1], size[0], 3)
    assert np.abs(at(image, "top left") - np.array(RED)).max() < 40
    assert np.abs(at(image, "top right") - np.array(BLUE)).max() < 40


def test_pixels_are_made_square_before_the_image_is_turned(tmp_path: Path) -> None:
    whole = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
    path = write_video(
        tmp_path / "clip.mp4",
        [corner_image()] * 2,
        even_times(2),
        matrix=whole,
        pixel_shape=Fraction(2),
    )
    with VideoFile(path) as video:
        assert next(iter(video)).image.shape == (192, 64, 3)
