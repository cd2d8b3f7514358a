"""The page of a video in a real browser: with the marked video beside it, and without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.media.videos import even_times, write_video
from tests.pages.test_video_page import Faces, page_of
from tests.server.browser import NEEDS_BROWSER, open_browser, until

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

pytestmark = NEEDS_BROWSER


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    folder = tmp_path_factory.mktemp("browser")
    driver = open_browser(folder / "none.mjpeg", folder)
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser: WebDriver, tmp_path: Path) -> Callable[[str], WebDriver]:
    """Open the page of two tracks, one after the other from a cut at two of four seconds."""

    def opened(player: str) -> WebDriver:
        frames: list[Faces] = [{1: (0.9, 20)}] * 4 + [{2: (0.55, 20)}] * 4
        html, _ = page_of(frames, start_s=0.0, cuts=(4,), player=player)
        (tmp_path / "page.html").write_text(html, "utf-8")
        browser.get((tmp_path / "page.html").as_uri())
        return browser

    return opened


def test_a_click_jumps_in_the_video_and_shows_the_values(
    opened: Callable[[str], WebDriver], tmp_path: Path
) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    images = [np.full((48, 64, 3), 90, np.uint8)] * 40
    write_video(tmp_path / "a b.mp4", images, even_times(40, rate=10))
    page = opened("a%20b.mp4")
    until(lambda: page.execute_script("return document.querySelector('video').readyState > 0"))
    (timeline, *_) = page.find_elements("css selector", ".plot")
    quarter = -round(timeline.rect["width"] / 4)
    ActionChains(page).move_to_element_with_offset(timeline, quarter, 0).click().perform()
    assert played(page) == pytest.approx(1.0, abs=0.05)
    first, second = (one.text for one in page.find_elements("css selector", ".values"))
    assert first.split()[2:] == ["happy", "90%", "sad", "10%"]
    assert second.split()[:2] == ["not", "seen"]
    timeline.send_keys("\ue00f")  # page down
    assert played(page) == pytest.approx(2.0, abs=0.05)
    second = page.find_elements("css selector", ".values")[1].text
    assert second.split() == ["2.00", "s,", "uncertain", "happy", "55%", "sad", "45%"]


def test_without_a_video_keys_show_the_values(opened: Callable[[str], WebDriver]) -> None:
    page = opened("")
    assert page.find_elements("css selector", "video") == []
    page.find_elements("css selector", ".plot")[0].send_keys("\ue010")  # end
    assert page.find_element("id", "readout").text == "At 4.00 s: track 2."


def test_a_video_that_is_gone_is_said(opened: Callable[[str], WebDriver]) -> None:
    page = opened("gone.mp4")
    until(lambda: "no longer beside" in page.find_element("css selector", ".player").text)


def played(page: WebDriver) -> float:
    return float(page.execute_script("return document.querySelector('video').currentTime"))
