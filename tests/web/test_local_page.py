"""The page without a server, in Chromium: it answers, asks nobody else, and works offline."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

import facial_expressions as fx
from benchmarks.trace import longest_task_ms
from tests.media.videos import even_times, write_video
from tests.server.browser import (
    NEEDS_BROWSER,
    add,
    click,
    count,
    keep_shot,
    logged,
    open_page,
    resized,
    text,
    until,
)  # fmt: skip
from tests.web.static_host import StaticHost

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

pytestmark = NEEDS_BROWSER


@pytest.fixture
def page(shared_page: WebDriver) -> WebDriver:
    """The page without images, once more."""
    if shared_page.find_element("id", "clear").is_displayed():
        click(shared_page, "clear")
    return shared_page


def test_a_photo_is_answered_as_in_python(page: WebDriver, photo: Path) -> None:
    (face,) = fx.recognize(photo)
    add(page, photo)
    until(lambda: count(page, ".box") == 1)
    words = f"{face.expression} {round(face.confidence * 100)}%"
    assert text(page, "status").startswith(f"1 face: {words}")
    bars = [bar.text for bar in page.find_elements("css selector", ".bar .word")]
    assert bars == list(face.probabilities)
    assert not page.find_element("id", "load").is_displayed()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("words.png", b"words", "cannot read this file as an image"),
        ("empty.jpg", b"", "empty, damaged or truncated"),
        ("cut.jpg", "cut", "truncated"),
        ("huge.png", "huge", "too many pixels"),
        ("notes.txt", b"words", "is not an image or video"),
        ("clip.mp4", b"\0\0\0\x18ftypmp42 and no more", "cannot play this video"),
    ],
)
def test_a_bad_file_is_told_in_words(
    page: WebDriver, tmp_path: Path, photo: Path, name: str, content: bytes | str, words: str
) -> None:
    path = tmp_path / name
    if content == "huge":
        Image.new("1", (20_000, 50)).save(path)
    elif content == "cut":
        Image.open(photo).save(path, quality=95)
        path.write_bytes(path.read_bytes()[:5000])
    else:
        path.write_bytes(bytes(content))  # type: ignore[arg-type]
    add(page, path)
    until(lambda: words in text(page, "reason") + text(page, "alert"))
    add(page, photo)  # and the next one is answered
    until(lambda: count(page, ".box") == 1)


def test_a_dropped_video_is_read(page: WebDriver, photo: Path, tmp_path: Path) -> None:
    pytest.importorskip("av", reason="the extra video is not installed")
    frame = np.asarray(Image.open(photo))
    clip = write_video(tmp_path / "clip.mp4", [frame] * 15, even_times(15))
    script = """
        const bytes = Uint8Array.from(atob(arguments[0]), (letter) => letter.charCodeAt(0));
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([bytes], "clip.mp4", { type: "video/mp4" }));
        const event = new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true });
        document.body.dispatchEvent(event);"""
    page.execute_script(script, base64.b64encode(clip.read_bytes()).decode())
    until(lambda: page.find_element("id", "timeline").is_displayed())
    until(lambda: not page.find_element("id", "progress").is_displayed())
    assert text(page, "reason") == ""
    page.execute_script("document.getElementById('video').currentTime = 0.3")
    until(lambda: count(page, ".box") == 1)


def test_the_camera_starts_after_its_notice_is_read_and_may_be_lost(page: WebDriver) -> None:
    click(page, "camera")
    notice = page.find_element("id", "notice").text
    assert "stay in this browser, and nothing is stored" in notice
    assert "Art. 5(1)(f)" in notice
    click(page, "agree")
    until(lambda: "frames/s" in text(page, "speed") and count(page, ".box") == 1)
    page.execute_script(
        "document.getElementById('video').srcObject.getVideoTracks()[0].dispatchEvent("
        "new Event('ended'))"
    )
    until(lambda: "unplugged" in text(page, "alert"))
    assert text(page, "camera") == "Start camera"


@pytest.mark.parametrize("name", ["NotAllowedError", "NotFoundError", "NotReadableError"])
def test_a_camera_that_cannot_be_had_is_told_in_words(page: WebDriver, name: str) -> None:
    had = "navigator.mediaDevices.getUserMedia"
    page.execute_script(
        f"window.had = {had}; {had} = async () => {{ throw new DOMException('', arguments[0]); }}",
        name,
    )
    click(page, "camera")
    click(page, "agree")
    words = {"NotAllowedError": "did not allow", "NotFoundError": "no camera"}
    until(lambda: words.get(name, "another program") in text(page, "alert"))
    page.execute_script(f"{had} = window.had")


@pytest.mark.parametrize("width", [360, 768, 1280, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_at_any_width(page: WebDriver, photo: Path, width: int, scheme: str) -> None:
    with resized(page, width, scheme):
        keep_shot(page, f"local-empty-{width}-{scheme}")
        add(page, photo)
        until(lambda: count(page, ".box") == 1)
        assert page.execute_script("return document.documentElement.scrollWidth") <= width
        keep_shot(page, f"local-{width}-{scheme}")


def test_two_tabs_answer_beside_each_other(page: WebDriver, photo: Path) -> None:
    first = page.current_window_handle
    address = page.current_url
    page.switch_to.new_window("tab")
    try:
        open_page(page, address)
        add(page, photo)
        until(lambda: count(page, ".box") == 1)
    finally:
        page.close()
        page.switch_to.window(first)
    add(page, photo)
    until(lambda: count(page, ".box") == 1)


def test_a_large_photo_does_not_hold_up_the_page(
    page: WebDriver, portrait: bytes, tmp_path: Path
) -> None:
    """Counted in processor time. Decoded on the page's own thread, this photo takes 70 ms."""
    path = tmp_path / "large.jpg"
    Image.open(io.BytesIO(portrait)).resize((4000, 4000)).save(path, quality=90)

    def show() -> None:
        add(page, path)
        until(lambda: page.find_element("id", "marked").is_displayed())

    assert longest_task_ms(page, show) < 50


def test_no_request_leaves_the_origin(
    page: WebDriver, shared_host: StaticHost, photo: Path
) -> None:
    """Of the page, since it was opened, and of its worker: that host alone was asked."""
    add(page, photo)
    until(lambda: count(page, ".box") == 1)
    events = [json.loads(entry["message"])["message"] for entry in logged(page, "performance")]
    asked = [one for one in events if one["method"] == "Network.requestWillBeSent"]
    urls = {one["params"]["request"]["url"] for one in asked}
    assert f"{shared_host.url}app.js" in urls
    own = (shared_host.url, f"blob:{shared_host.origin}", "data:")
    assert {url for url in urls if not url.startswith(own)} == set()
    assert {path for path in shared_host.asked if not path.startswith(shared_host.path)} == set()


def test_a_reload_without_the_host_works(
    page: WebDriver, shared_host: StaticHost, photo: Path
) -> None:
    until(lambda: text(page, "offline") == "Works offline now.")
    shared_host.is_gone = True
    try:
        open_page(page, shared_host.url)
        add(page, photo)
        until(lambda: count(page, ".box") == 1)
        assert text(page, "alert") == ""
    finally:
        shared_host.is_gone = False
