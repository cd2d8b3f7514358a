"""How many frames a second the page answers with a camera, in a real browser on the same machine.

Chromium shows the page of a server of the shipped model; its camera is a video of a photograph that
moves to and fro, 640x480 at 30 frames a second. Counted are the answered requests of the page, as
the browser's own timing lists them. Browser, page and server share the machine's cores.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PIL import Image

from benchmarks.record import astronaut, write_results
from benchmarks.server_process import serving

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

SIZE: Final = (640, 480)
STEPS: Final = 60
"""Images of the video; it is repeated."""

_ANSWERED: Final = (
    "return performance.getEntriesByType('resource')"
    ".filter((one) => one.name.includes('/v1/recognize') && one.responseEnd > 0)"
    ".map((one) => one.duration)"
)
_READY: Final = "return document.documentElement.dataset.ready"
_FORGET: Final = (
    "performance.setResourceTimingBufferSize(100000); performance.clearResourceTimings()"
)


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="how long frames are counted")
    parser.add_argument("--model", default="default")
    parser.add_argument("--quick", action="store_true", help="a short trial; nothing is written")
    options = parser.parse_args()
    length_s = 5 if options.quick else options.seconds
    with tempfile.TemporaryDirectory() as folder:
        video = write_film(Path(folder) / "video.mjpeg")
        with serving("--model", options.model) as (_, port), browser(video) as page:
            page.get(f"http://127.0.0.1:{port}")
            wait_for(page, _READY)
            page.find_element("id", "camera").click()
            page.find_element("id", "agree").click()
            wait_for(page, "return document.querySelectorAll('.box').length === 1")
            time.sleep(3)
            page.execute_script(_FORGET)
            start = time.perf_counter()
            time.sleep(length_s)
            answers = page.execute_script(_ANSWERED)
            elapsed_s = time.perf_counter() - start
    figures = {
        "frames_per_s": round(len(answers) / elapsed_s, 1),
        "median_ms": round(statistics.median(answers), 1),
        "seconds": round(elapsed_s, 1),
        "camera": f"{SIZE[0]}x{SIZE[1]}",
    }
    write_results("page", figures, keep=not options.quick)


def write_film(path: Path) -> Path:
    """Write the camera's video: JPEG images, one after the other.

    Args:
        path: The ``.mjpeg`` file.
    """
    with path.open("wb") as video:
        for image in film_images():
            image.save(video, "JPEG", quality=90)
    return path


def film_images() -> Iterator[Image.Image]:
    """Yield the images of the camera's video: a face that moves to the right and back."""
    with Image.open(astronaut()) as opened:
        face = opened.convert("RGB").resize((400, 400))
    for step in range(STEPS):
        image = Image.new("RGB", SIZE, (90, 110, 130))
        image.paste(face, (10 + 7 * min(step, STEPS - step), 40))
        yield image


@contextmanager
def browser(
    video: Path | None = None, *, window: tuple[int, int] = (1280, 900)
) -> Iterator[WebDriver]:
    """Open a headless Chromium.

    Args:
        video: What its camera shows, JPEG images one after the other; None leaves it without one.
        window: Width and height in pixels.

    Raises:
        SystemExit: There is no browser, or no Selenium to drive it.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if not (chromium and driver):
        raise SystemExit("this needs Chromium with chromedriver; run: make browser")
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = chromium
    camera = (
        "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream=fps=30",
        f"--use-file-for-fake-video-capture={video}",
    )  # fmt: skip
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--hide-scrollbars", f"--window-size={window[0]},{window[1]}", *(camera if video else ()),
    ):  # fmt: skip
        options.add_argument(argument)
    page = Chrome(options=options, service=Service(driver))
    try:
        yield page
    finally:
        page.quit()


def wait_for(page: WebDriver, script: str, *, seconds: float = 60) -> None:
    """Wait until a script in the page returns something true.

    Raises:
        SystemExit: It does not happen in time.
    """
    deadline = time.monotonic() + seconds
    while not page.execute_script(script):
        if time.monotonic() > deadline:
            raise SystemExit(f"the page never came to: {script}")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
