"""The page without a server against Python on the same machine: answers, times, camera.

The made pictures of ``tests/web`` are recognised by both, with the default network and with the one
of floats; so are two photos of the astronaut, in turns, Python with one thread as in the browser.
Then the camera runs, 640x480 with one face, on the page as ``make web`` builds it. The last lines
are the table of ``docs/web.md``.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PIL import Image

from benchmarks.page import browser, wait_for, write_film
from benchmarks.record import astronaut, seconds, write_results
from facial_expressions.images import load_image
from facial_expressions.inference.model_store import resolve
from facial_expressions.inference.recognizer import load_recognizer
from facial_expressions.server.answers import recognize_image
from tests.web.engine_page import call, packed
from tests.web.pictures import encoded, made_pictures
from tests.web.static_host import StaticHost, static_host
from web.build import build
from web.export_facts import facts

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

MODELS: Final = {"8 bits": "compact-int8", "floats": "compact"}
ROUNDS: Final = 5

_OPEN: Final = """
const { localRecognizer } = await load("local.js");
window.recognizer = localRecognizer({ base: given });
await window.recognizer.describe();
let last = performance.now();
window.longest = 0;
setInterval(() => {
  window.longest = Math.max(window.longest, performance.now() - last);
  last = performance.now();
});
"""
_ASK: Final = """
const image = new Blob([bytesOf(given)]);
await new Promise((resolve) => { setTimeout(resolve, 50); });
window.longest = 0;
const began = performance.now();
const { row } = await window.recognizer.recognize(image);
return [row, performance.now() - began, window.longest];
"""
_SPEED: Final = "return parseFloat(document.getElementById('speed').textContent) || 0"


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="how long the camera runs")
    parser.add_argument("--quick", action="store_true", help="a short trial; nothing is written")
    options = parser.parse_args()
    n_seconds = 5 if options.quick else options.seconds
    with tempfile.TemporaryDirectory() as folder:
        film, built = write_film(Path(folder) / "camera.mjpeg"), Path(folder) / "page"
        build(built)
        (built / "empty.html").write_text("<!doctype html><title>Empty</title>", "utf-8")
        with browser(film) as page, static_host(built) as host:
            figures: dict[str, Any] = {
                name: _agreement(page, host, model) for name, model in MODELS.items()
            }
            figures["times"] = _times(page, host)
            figures["camera"] = _camera(page, host, n_seconds)
    write_results("web", figures, keep=not options.quick)
    print("\n".join(_table(figures)))


def _open(page: WebDriver, host: StaticHost) -> None:
    page.get(f"{host.url}empty.html")
    call(page, _OPEN, host.url)


def _agreement(page: WebDriver, host: StaticHost, model: str) -> dict[str, float]:
    """Compare every face of the made pictures."""
    whole = {name: (host.folder / name).read_bytes() for name in ("classifier.bin", "model.json")}
    _put(host.folder, model)
    _open(page, host)
    recognizer = load_recognizer(model, threads=1)
    found = {"faces": 0, "same": 0, "probability": 0.0, "box_px": 0.0}
    for content in made_pictures(astronaut()).values():
        row, *_ = call(page, _ASK, packed(content))
        wanted = recognize_image(recognizer, load_image(content))
        for got, face in zip(row["faces"], wanted["faces"], strict=True):
            found["faces"] += 1
            found["same"] += got["expression"] == face["expression"]
            off = [abs(got["probabilities"][name] - p) for name, p in face["probabilities"].items()]
            moved = [abs(a - b) for a, b in zip(got["box"], face["box"], strict=True)]
            found["probability"] = max(found["probability"], *off)
            found["box_px"] = max(found["box_px"], *moved)
    for name, content in whole.items():
        (host.folder / name).write_bytes(content)
    return {name: round(value, 6) for name, value in found.items()}


def _put(folder: Path, model: str) -> None:
    """Let the page of a folder answer by another model."""
    (folder / "classifier.bin").write_bytes(gzip.compress(resolve(model)[0].read_bytes(), 1))
    known = json.loads((folder / "model.json").read_bytes())
    (folder / "model.json").write_text(json.dumps(known | facts(model)), "utf-8")


def _times(page: WebDriver, host: StaticHost) -> dict[str, dict[str, float]]:
    """Time two photos, in turns with Python on one thread."""
    _open(page, host)
    recognizer = load_recognizer(MODELS["8 bits"], threads=1)
    found = {}
    blocked: list[float] = []
    for name, image in _photos().items():
        content = encoded(image, "JPEG", quality=90)
        ours: list[float] = []
        python: list[float] = []
        for _ in range(ROUNDS + 1):
            _, took_ms, longest_ms = call(page, _ASK, packed(content))
            ours.append(took_ms)
            blocked.append(longest_ms)
            python += seconds(partial(recognizer.recognize, content), repeats=1)
        ours_ms, python_ms = statistics.median(ours[1:]), 1000 * statistics.median(python[1:])
        found[name] = {
            "ms": round(ours_ms, 1),
            "python_ms": round(python_ms, 1),
            "times_as_long": round(ours_ms / python_ms, 2),
        }
    found["page blocked at most"] = {"ms": round(max(blocked), 1)}
    return found


def _photos() -> dict[str, Image.Image]:
    photo = Image.open(astronaut()).convert("RGB")
    crowd = Image.new("RGB", (1920, 1080), (90, 110, 130))
    head = photo.crop((100, 10, 340, 250)).resize((320, 320))
    for i in range(15):
        crowd.paste(head, (20 + i % 5 * 380, 20 + i // 5 * 350))
    return {"photo of 512x512, one face": photo, "photo of 1920x1080, 15 faces": crowd}


def _camera(page: WebDriver, host: StaticHost, n_seconds: int) -> dict[str, float]:
    """Count the frames that the page says it reads a second, once it is warm."""
    page.get(host.url)
    wait_for(page, "return document.documentElement.dataset.ready && !document.querySelector"
             "('#load:not([hidden])')")  # fmt: skip
    page.find_element("id", "camera").click()
    page.find_element("id", "agree").click()
    wait_for(page, "return document.querySelectorAll('.box').length === 1")
    time.sleep(3)
    speeds = []
    for _ in range(n_seconds):
        time.sleep(1)
        speeds.append(page.execute_script(_SPEED))
    return {"frames_per_s": round(statistics.median(speeds), 1), "seconds": n_seconds}


def _table(figures: dict[str, Any]) -> list[str]:
    """Return the figures as Markdown."""
    lines = ["| | browser | Python, one thread |", "| --- | ---: | ---: |"]
    for name in MODELS:
        one = figures[name]
        lines += [
            f"| same label, {name} | {one['same']} of {one['faces']} faces | |",
            f"| largest difference of a probability, {name} | {one['probability']:.6f} | |",
            f"| largest difference of a box, {name} | {one['box_px']:.2f} px | |",
        ]
    for name, one in figures["times"].items():
        python = f"{one['python_ms']:.0f} ms" if "python_ms" in one else ""
        lines.append(f"| {name} | {one['ms']:.0f} ms | {python} |")
    speed = figures["camera"]["frames_per_s"]
    return [*lines, f"| camera, 640x480, one face | {speed:.1f} frames/s | |"]


if __name__ == "__main__":
    main()
