"""Videos and the camera on the page: timeline, rows and what is left when the camera stops."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from facial_expressions.labels import FER2013
from tests.media.videos import even_times, write_video
from tests.server.browser import (
    NEEDS_BROWSER,
    add,
    click,
    count,
    downloaded,
    keep_shot,
    text,
    until,
)  # fmt: skip

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

pytestmark = NEEDS_BROWSER

ANY_COLOR = (
    "const c = document.getElementById('history'); return c.getContext('2d')"
    ".getImageData(0, 0, c.width, c.height).data.some((value) => value > 0)"
)


@pytest.fixture
def clip(tmp_path: Path, portrait: bytes) -> Path:
    """Two seconds at 25 frames/s: a face in the first, nothing in the second."""
    pytest.importorskip("av", reason="the extra video is not installed")
    face = np.full((240, 320, 3), 90, np.uint8)
    face[20:220, 60:260] = np.asarray(Image.open(io.BytesIO(portrait)).convert("RGB"))
    frames = [face] * 25 + [np.full_like(face, 90)] * 25
    return write_video(tmp_path / "clip.mp4", frames, even_times(50))


def seek(page: WebDriver, time_s: float) -> None:
    page.execute_script("document.getElementById('video').currentTime = arguments[0]", time_s)


def test_a_video_is_read_with_timeline_and_rows(
    page: WebDriver, clip: Path, downloads: Path
) -> None:
    add(page, clip)
    until(lambda: page.find_element("id", "timeline").is_displayed())
    until(lambda: not page.find_element("id", "progress").is_displayed())
    click(page, "csv")
    content = downloaded(downloads, "expressions.csv").decode()
    rows = list(csv.DictReader(io.StringIO(content)))
    assert [float(row["time_s"]) for row in rows] == pytest.approx(np.arange(10) * 0.2)
    assert [row["expression"] in FER2013.names for row in rows] == [True] * 5 + [False] * 5
    assert {row["source"] for row in rows} == {"clip.mp4"}
    assert page.execute_script(ANY_COLOR)
    click(page, "json")
    saved = json.loads(downloaded(downloads, "expressions.json"))
    assert [row["time_s"] for row in saved] == [float(row["time_s"]) for row in rows]
    keep_shot(page, "page-video")


def test_boxes_words_and_marked_image_follow_the_time_of_a_video(
    page: WebDriver, clip: Path, downloads: Path
) -> None:
    add(page, clip)
    until(
        lambda: (
            page.find_element("id", "progress").get_attribute("hidden")
            and count(page, "video[src]")
        )
    )
    seek(page, 0.5)
    until(lambda: count(page, ".box") == 1)
    assert text(page, "status").startswith("1 face: ")
    video, box = (page.find_element("css selector", one).rect for one in ("#video", ".box"))
    assert video["width"] / video["height"] == pytest.approx(320 / 240, abs=0.02)
    assert 60 <= (box["x"] - video["x"]) * 320 / video["width"] <= 200  # on the portrait
    click(page, "marked")
    saved = Image.open(io.BytesIO(downloaded(downloads, "clip-marked.png")))
    assert saved.size == (320, 240)
    seek(page, 1.5)
    until(lambda: count(page, ".box") == 0)
    assert text(page, "status") == "No face in this frame."


def test_a_video_that_the_browser_cannot_play_says_so(page: WebDriver, tmp_path: Path) -> None:
    (tmp_path / "odd.mp4").write_bytes(b"\0\0\0\x18ftypmp42 and no more")
    add(page, tmp_path / "odd.mp4")
    until(lambda: "cannot play this video" in text(page, "reason"))
    assert not page.find_element("id", "progress").is_displayed()
    assert count(page, ".card") == 0


def test_a_file_of_another_kind_is_named(page: WebDriver, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("words")
    add(page, tmp_path / "notes.txt")
    until(lambda: text(page, "alert") == "notes.txt is not an image or video.")
    assert page.find_element("id", "empty").is_displayed()


def test_the_camera_is_a_mirror_and_its_rows_are_not(page: WebDriver, downloads: Path) -> None:
    """The face is in the left of the camera's image; it is shown on the right."""
    page.execute_script(
        "const canvas = document.createElement('canvas'); canvas.width = 640; canvas.height = 240;"
        "const context = canvas.getContext('2d'); const photo = new Image();"
        "photo.src = 'astronaut.jpg';"
        "const paint = () => context.drawImage(photo, 0, (performance.now() / 50) % 4, 240, 240);"
        "setInterval(paint, 40);"
        "navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(25);"
    )
    click(page, "camera")
    click(page, "agree")
    until(lambda: count(page, ".box") == 1)
    image, box = (page.find_element("css selector", one).rect for one in ("#frame", ".box"))
    assert box["x"] > image["x"] + image["width"] / 2
    click(page, "camera")
    click(page, "json")
    saved = json.loads(downloaded(downloads, "expressions.json"))
    boxes = [face["box"] for row in saved for face in row["faces"]]
    assert boxes
    assert all(right < 320 for _, _, right, _ in boxes)


def test_a_stopped_camera_leaves_its_last_frame_with_all_that_belongs_to_it(
    page: WebDriver, photo: Path
) -> None:
    """Image, boxes, cards, words, timeline and rows; a photo can be chosen beside it."""
    add(page, photo)
    until(lambda: count(page, ".box") == 1)
    click(page, "camera")
    click(page, "agree")
    until(lambda: "frames/s" in text(page, "speed"))
    until(lambda: count(page, ".box") == 1)
    click(page, "camera")
    assert page.find_element("id", "photo").is_displayed()
    assert not page.find_element("id", "video").is_displayed()
    assert text(page, "caption") == "Camera"
    assert text(page, "speed") == ""
    assert count(page, ".box") == count(page, ".card")
    assert text(page, "status").startswith("1 face: ") == (count(page, ".card") == 1)
    assert page.find_element("id", "timeline").is_displayed()
    assert page.execute_script(ANY_COLOR)
    assert count(page, ".strip button") == 2
    page.find_elements("css selector", ".strip button")[0].click()
    assert text(page, "caption") == photo.name
    assert not page.find_element("id", "timeline").is_displayed()
    click(page, "clear")
    assert page.find_element("id", "empty").is_displayed()
    assert text(page, "status") == "No image yet."
    assert not page.find_element("id", "save").is_displayed()


def test_what_is_said_of_the_camera_is_what_its_cards_say(page: WebDriver) -> None:
    """Ten times within a second, always read at the same moment."""
    click(page, "camera")
    click(page, "agree")
    until(lambda: count(page, ".card") == 1)
    read = (
        "const card = document.querySelector('.card');"
        "return [document.getElementById('status').textContent, card ?"
        " `${card.querySelector('.name').textContent} ${card.querySelector('.sure').textContent}`"
        " : '']"
    )
    for _ in range(10):
        said, card = page.execute_script(read)
        assert said == (f"1 face: {card}" if card else "No face in this frame.")
    click(page, "camera")
