"""What else is a video: animations, raw streams, numbered images, cameras by address; and hints."""

from __future__ import annotations

import io
import itertools
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from facial_expressions.errors import CameraError, VideoError
from facial_expressions.media.camera import Camera, find_stream
from facial_expressions.media.sources import check_source, is_live, open_source
from tests.media.conftest import Clock
from tests.media.videos import even_times, write_video

NOISE = np.random.default_rng(0).integers(0, 256, (12, 64, 96, 3), np.uint8)


def images(*greys: int) -> list[Image.Image]:
    return [Image.new("RGB", (96, 64), (grey, grey, grey)) for grey in greys]


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_animations_have_their_images_and_times(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"moving{suffix}"
    first, *rest = images(0, 80, 160, 240)
    lengths = [100, 40, 200, 100]
    first.save(path, save_all=True, append_images=rest, duration=lengths, loop=0)
    with open_source(path) as frames:
        shown = list(frames)
    assert [frame.time_s for frame in shown] == pytest.approx([0, 0.1, 0.14, 0.34])
    assert [int(frame.image.mean()) for frame in shown] == pytest.approx([0, 80, 160, 240], abs=3)
    assert frames.note == ""


def test_an_animation_without_times_is_shown_as_browsers_do(tmp_path: Path) -> None:
    path = tmp_path / "fast.gif"
    first, *rest = images(0, 100, 200)
    first.save(path, save_all=True, append_images=rest, duration=0)
    with open_source(path) as frames:
        assert [frame.time_s for frame in frames] == pytest.approx([0, 0.1, 0.2])


def test_an_animation_that_breaks_off_gives_its_whole_images(tmp_path: Path) -> None:
    path = tmp_path / "cut.gif"
    first, *rest = (Image.fromarray(one) for one in NOISE)
    first.save(path, save_all=True, append_images=rest, duration=40)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with open_source(path) as frames:
        n_shown = len(list(frames))
    assert 5 <= n_shown <= 9
    assert "cut.gif" in frames.note


@pytest.mark.parametrize(
    ("name", "codec", "rate", "size", "format_name"),
    [
        ("a.h264", "libx264", 30, (96, 64), "h264"),
        ("a.mjpeg", "mjpeg", 25, (96, 64), "mjpeg"),
        ("a.y4m", "rawvideo", 30, (96, 64), "yuv4mpegpipe"),
        ("a.dv", "dvvideo", 25, (720, 576), "dv"),
    ],
)
def test_raw_streams_are_read(
    name: str, codec: str, rate: int, size: tuple[int, int], format_name: str, tmp_path: Path
) -> None:
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    with av.open(str(tmp_path / name), "w", format=format_name) as output:
        stream = output.add_stream(codec, rate=rate)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        for index, one in enumerate(NOISE):
            frame = av.VideoFrame.from_ndarray(one).reformat(*size, format=pixels)
            frame.pts = index
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    with open_source(tmp_path / name) as frames:
        times = [frame.time_s for frame in frames]
    assert times == pytest.approx(even_times(12, rate=rate), abs=1e-3)
    if name in ("a.h264", "a.mjpeg"):
        with open_source(tmp_path / name, fps=5) as frames:
            assert [frame.time_s for frame in frames] == pytest.approx(even_times(12, rate=5))


def test_fps_beside_times_of_its_own_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", NOISE, even_times(12))
    with pytest.raises(VideoError, match="has times of its own"):
        open_source(path, fps=5)


@pytest.mark.parametrize("source", [".", "shot-%d.png", "shot-*.png"])
def test_numbered_images_come_in_the_order_of_their_numbers(source: str, tmp_path: Path) -> None:
    for number, image in zip((10, 9, 1, 2), images(200, 150, 50, 100), strict=True):
        image.save(tmp_path / f"shot-{number}.png")
    (tmp_path / "notes.txt").write_text("no image")
    with open_source(tmp_path / source, fps=10) as frames:
        shown = list(frames)
    assert [int(frame.image.mean()) for frame in shown] == [50, 100, 150, 200]
    assert [frame.time_s for frame in shown] == pytest.approx([0, 0.1, 0.2, 0.3])


def test_an_image_that_cannot_be_read_leaves_its_time_empty(tmp_path: Path) -> None:
    for number, image in enumerate(images(50, 100, 150)):
        image.save(tmp_path / f"{number:04}.png")
    (tmp_path / "0001.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with open_source(tmp_path / "%04d.png") as frames:
        assert [frame.time_s for frame in frames] == pytest.approx([0, 0.08])
    assert frames.note.startswith("1 image left out: ")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("0", "For a camera, give webcam"),
        ("1", "For a camera, give webcam:1"),
        ("/dev/video0", "a camera, give webcam"),
        ("/dev/video2", "a camera, give webcam:2"),
        ("-", "Give a file, or webcam for a camera"),
        ("nowhere.mp4", "file not found"),
        ("frames-%04d.png", "no images"),
    ],
)
def test_what_can_be_no_video_says_what_was_meant(
    source: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(VideoError, match=said):
        open_source(source)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "clip.mp4")
    with pytest.raises(VideoError, match="a folder or device, not a video file"):
        open_source(tmp_path / "clip.mp4")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP"])
def test_a_photo_is_sent_to_predict(kind: str, tmp_path: Path) -> None:
    images(90)[0].save(tmp_path / "photo", kind)
    with pytest.raises(VideoError, match=r"photo: an image, not a video\. .*predict"):
        open_source(tmp_path / "photo")


@pytest.mark.parametrize(
    "address", ["file:///etc/hostname", "tcp://127.0.0.1:9", "http://", "x://y"]
)
def test_addresses_of_other_kinds_are_refused(address: str) -> None:
    assert is_live(address)
    with pytest.raises(CameraError, match="not a live stream"):
        check_source(address)


class Serve(BaseHTTPRequestHandler):
    """An IP camera: /live gives images, /stall and /ends stop after the third, /404 has none."""

    def do_GET(self) -> None:
        if self.path == "/404":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for number in itertools.count():
            content = io.BytesIO()
            Image.fromarray(NOISE[number % 12]).save(content, "JPEG")
            if self.path == "/stall" and number == 3:
                time.sleep(60)
                return
            if self.path == "/ends" and number == 3:
                return
            head = (
                f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {content.tell()}\r\n\r\n"
            )
            try:
                self.wfile.write(head.encode() + content.getvalue() + b"\r\n")
            except OSError:
                return
            time.sleep(0.05)

    def log_message(self, *args: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Serve)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_an_ip_camera_gives_frames_and_its_password_stays_hidden(address: str) -> None:
    with open_source(f"http://me:secret@{address}/live") as camera:
        frames = list(itertools.islice(camera, 4))
    assert camera.name == f"http://{address}/live"
    assert [frame.frame for frame in frames] == [0, 1, 2, 3]
    assert frames[0].image.shape == (64, 96, 3)


def test_a_stream_that_stalls_is_noticed(clock: Clock, address: str) -> None:
    """Two seconds by the camera's clock, which stands still until the third frame is there."""
    start_s = clock.now_s
    with Camera(lambda: find_stream(f"http://{address}/stall"), stuck_s=2) as camera:
        frames = iter(camera)
        seen = list(itertools.islice(frames, 3))
        clock.step_s = 0.5
        with pytest.raises(CameraError, match="stuck"):
            next(frames)
    assert [frame.frame for frame in seen] == [0, 1, 2]
    assert clock.now_s - start_s == 2


@pytest.mark.parametrize(
    ("path", "said"), [("/404", "it knows no such address"), ("/ends", "it broke off|it ended")]
)
def test_a_stream_that_cannot_be_read_or_ends_says_why(path: str, said: str, address: str) -> None:
    with (
        open_source(f"http://me:secret@{address}{path}") as camera,
        pytest.raises(CameraError, match=said) as caught,
    ):
        list(camera)
    assert "secret" not in str(caught.value)


def test_a_stream_that_nobody_serves_says_so() -> None:
    for address in ("rtsp://me:secret@127.0.0.1:1/x", "http://me:secret@127.0.0.1:1/x"):
        with (
            open_source(address) as camera,
            pytest.raises(CameraError, match=r"refused\. Check .* address is right") as caught,
        ):
            list(camera)
        assert "secret" not in str(caught.value)
