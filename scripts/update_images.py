"""Make the images of README and documentation from NASA's photograph of an astronaut.

``docs/assets/astronaut.webp`` is what ``examples/moving_image.py`` makes of it.
``docs/assets/astronaut.jpg`` is part of the photograph, then marked, then with its heat map;
``docs/assets/page.jpg`` the web page with it, in a headless Chromium (skipped where there is none).

    python -m scripts.update_images
"""

from __future__ import annotations

import io
import shutil
import sys
import time
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

import facial_expressions as fx
from benchmarks.page import browser, wait_for
from benchmarks.server_process import serving
from examples import moving_image
from facial_expressions.media.heat import blend_heat
from scripts.pages import ROOT

PHOTO: Final = ROOT / "examples" / "astronaut.jpg"
ASSETS: Final = ROOT / "docs" / "assets"


def main() -> None:
    """Make the images."""
    moving_image.main([str(ASSETS / "astronaut.webp")])
    triptych().save(ASSETS / "astronaut.jpg", quality=85, optimize=True)
    if shutil.which("chromium") and shutil.which("chromedriver"):
        photograph_page(ASSETS / "page.jpg")
    else:
        print("no chromium with chromedriver here: page.jpg stays as it is", file=sys.stderr)


def triptych() -> Image.Image:
    """Return the photograph, the marked one and the heat map, side by side."""
    recognizer = fx.load_recognizer()
    faces, explanations = zip(*recognizer.explain(PHOTO), strict=True)
    photo = Image.open(PHOTO).convert("RGB")
    heat = Image.fromarray(blend_heat(np.asarray(photo), explanations))
    parts = [whole.crop((70, 0, 450, 330)) for whole in (photo, fx.draw_faces(photo, faces), heat)]
    width, height = parts[0].size
    whole = Image.new("RGB", (len(parts) * width, height))
    for index, part in enumerate(parts):
        whole.paste(part, (index * width, 0))
    return whole


def photograph_page(path: Path) -> None:
    """Give the page of a server the photograph and save what it shows."""
    with serving() as (_, port), browser(window=(1100, 880)) as page:
        page.get(f"http://127.0.0.1:{port}")
        page.find_element("id", "files").send_keys(str(PHOTO))
        wait_for(page, "return document.querySelectorAll('.box').length > 0")
        time.sleep(1)  # bars grow
        shot = Image.open(io.BytesIO(page.get_screenshot_as_png())).convert("RGB")
        shot.save(path, quality=88, optimize=True)


if __name__ == "__main__":
    main()
