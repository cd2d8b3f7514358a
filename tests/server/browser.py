"""A real browser: Chromium, headless, with a fake camera that shows a moving photograph."""

from __future__ import annotations

import base64
import io
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

__all__ = [
    "NEEDS_BROWSER", "add", "click", "count", "downloaded", "keep_shot", "logged", "open_browser",
    "open_page", "resized", "text", "until", "write_film",
]  # fmt: skip

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_DRIVER = shutil.which("chromedriver")
NEEDS_BROWSER = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not (_CHROMIUM and _DRIVER),
        reason="there is no browser here; on Debian: apt-get install chromium chromium-driver",
    ),
]


def open_browser(film: Path, downloads: Path) -> WebDriver:
    """Start a browser whose camera shows a video of JPEG images."""
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = _CHROMIUM or ""
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options=options, service=Service(_DRIVER))
    driver.switch_to.new_window("tab")  # the first one stays empty: see ``open_page``
    driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)}
    )
    return driver


def open_page(browser: WebDriver, url: str) -> WebDriver:
    """Open the page of a server and wait until it is ready, in another tab if this one crashed."""
    from selenium.common.exceptions import WebDriverException

    try:
        browser.get(url)
    except WebDriverException as error:
        if "tab crashed" not in str(error):
            raise
        browser.switch_to.window(browser.window_handles[0])
        browser.switch_to.new_window("tab")
        browser.get(url)
    until(lambda: browser.execute_script("return document.documentElement.dataset.ready"))
    return browser


def write_film(path: Path, portrait: bytes) -> Path:
    """Write a video of JPEG images: a face that moves over a background."""
    face = Image.open(io.BytesIO(portrait))
    with path.open("wb") as video:
        for step in range(20):
            image = Image.new("RGB", (320, 240), (90, 110, 130))
            image.paste(face, (10 + 5 * step, 20))
            image.save(video, "JPEG", quality=90)
    return path


def until(condition: Callable[[], object], *, seconds: float = 60) -> None:
    """Wait for what is bound to happen."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def text(page: WebDriver, id_: str) -> str:
    """What is to be read in an element."""
    return str(page.execute_script("return document.getElementById(arguments[0]).innerText", id_))


def count(page: WebDriver, selector: str) -> int:
    """How many elements there are."""
    return len(page.find_elements("css selector", selector))


def add(page: WebDriver, *photos: Path) -> None:
    """Choose files."""
    page.find_element("id", "files").send_keys("\n".join(map(str, photos)))


def click(page: WebDriver, id_: str) -> None:
    """Click on an element."""
    page.find_element("id", id_).click()


def logged(page: WebDriver, kind: str) -> list[dict[str, Any]]:
    """Return and forget what the browser logged."""
    entries: list[dict[str, Any]] = page.get_log(kind)  # type: ignore[no-untyped-call]
    return entries


def downloaded(folder: Path, name: str) -> bytes:
    """Return what was saved, and take the file away: the browser's folder serves all tests."""
    path = folder / name
    until(path.is_file)
    content = path.read_bytes()
    path.unlink()
    return content


@contextmanager
def resized(page: WebDriver, width: int, scheme: str = "light") -> Iterator[None]:
    """Show the page in a window of a width, light or dark."""
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        yield
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def keep_shot(page: WebDriver, name: str) -> None:
    """Keep a screenshot in build/screenshots, to be looked at."""
    shot: dict[str, Any] = page.execute_cdp_cmd("Page.captureScreenshot", {})
    folder = Path(__file__).parents[2] / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))
