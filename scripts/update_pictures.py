"""Make the pictures of README and documentation anew, from NASA's photograph of an astronaut.

``docs/assets/astronaut.jpg`` is part of the photograph, then marked, then with its heat map;
``docs/assets/page.jpg`` the web page with it, in a headless Chromium (skipped where there is none).

Example:
    python scripts/update_pictures.py
"""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

import facial_expressions as fx
from facial_expressions.media.heat import blend_heat

ROOT: Final = Path(__file__).resolve().parents[1]
PHOTO: Final = ROOT / "examples" / "astronaut.jpg"
ASSETS: Final = ROOT / "docs" / "assets"
PART: Final = (70, 0, 450, 330)
WINDOW: Final = (1100, 880)
PATIENCE_S: Final = 60


def main() -> int:
    """Make both pictures."""
    triptych().save(ASSETS / "astronaut.jpg", quality=85, optimize=True)
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser and driver:
        with served() as address:
            photograph_page(address, ASSETS / "page.jpg", browser, driver)
    else:
        print("no chromium with chromedriver here: page.jpg stays as it is", file=sys.stderr)
    return 0


def triptych() -> Image.Image:
    """Return the photograph, the marked one and the heat map, side by side."""
    recognizer = fx.load_recognizer()
    faces, explanations = zip(*recognizer.explain(PHOTO), strict=True)
    photo = Image.open(PHOTO).convert("RGB")
    heat = Image.fromarray(blend_heat(np.asarray(photo), explanations))
    parts = [whole.crop(PART) for whole in (photo, fx.draw_faces(photo, faces), heat)]
    width, height = parts[0].size
    whole = Image.new("RGB", (len(parts) * width, height))
    for index, part in enumerate(parts):
        whole.paste(part, (index * width, 0))
    return whole


@contextlib.contextmanager
def served() -> Iterator[str]:
    """Run the server; yield its address."""
    words = [sys.executable, "-m", "facial_expressions", "serve", "--port", "0"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stderr
        try:
            for line in process.stderr:
                address = re.search(r"http://\S+:\d+", line)
                if address:
                    yield address.group()
                    return
            raise SystemExit("the server did not start")
        finally:
            process.terminate()


def photograph_page(address: str, path: Path, browser: str, driver: str) -> None:
    """Give the page the photograph and save what it shows.

    Args:
        address: Of the server.
        path: Where the picture goes.
        browser: Chromium.
        driver: Its driver.
    """
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", f"--window-size={WINDOW[0]},{WINDOW[1]}"):
        options.add_argument(argument)
    page = Chrome(options=options, service=Service(driver))
    try:
        page.get(address)
        page.find_element("id", "files").send_keys(str(PHOTO))
        until = time.monotonic() + PATIENCE_S
        while not page.find_elements("css selector", ".box"):
            if time.monotonic() > until:
                raise SystemExit("the page found no face")
            time.sleep(0.1)
        time.sleep(1)  # bars grow
        shot = Image.open(io.BytesIO(page.get_screenshot_as_png())).convert("RGB")
        shot.save(path, quality=88, optimize=True)
    finally:
        page.quit()


if __name__ == "__main__":
    sys.exit(main())
