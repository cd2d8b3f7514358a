"""The page without a server against Python on the same machine: answers, times, camera.

The made pictures of ``tests/web`` are recognised by both, with the default network and with the one
of floats. Two photos of the astronaut and the frames of a camera are timed by the processor time of
the one thread that works, in turns with Python with one thread: that holds on a busy machine too.
Then photos and the camera are shown on the page as ``make web`` builds it, and the trace tells how
long its own thread was held up at a time. The last lines are the tables of ``docs/web.md``.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PIL import Image

from benchmarks.page import browser, film_images, wait_for, write_film
from benchmarks.record import astronaut, write_results
from benchmarks.trace import longest_task_ms
from facial_expressions.images import load_image
from facial_expressions.inference.recognizer import load_recognizer
from facial_expressions.media.analysis import FULL_SEARCH_S
from facial_expressions.server.answers import recognize_image
from tests.web.engine_page import call, packed, put_model
from tests.web.pictures import encoded, made_pictures
from tests.web.static_host import StaticHost, static_host
from web.build import build

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

MODELS: Final = {"8 bits": "compact-int8", "floats": "compact"}
ROUNDS: Final = 5

FRAMES: Final = {
    "camera frame 640x480, searched near its face": 0.0,
    "the same, searched as a whole": FULL_SEARCH_S,
}
"""Seconds from frame to frame that bring about such a search."""

SEARCH_MS: Final = 1000 * FULL_SEARCH_S

_OPEN: Final = """
const { localRecognizer } = await load("local.js");
window.recognizer = localRecognizer({ base: given });
await window.recognizer.describe();
"""
_ASK: Final = """
const { row } = await window.recognizer.recognize(new Blob([bytesOf(given)]));
return row;
"""
_OPEN_HERE: Final = """
const { open } = await load("worker.js");
window.now = 0;
window.engine = await open(given, () => window.now);
"""
_KEEP: Final = "window.images = given.map((image) => new Blob([bytesOf(image)]));"
_RUN_HERE: Final = """
for (let i = 0; i < given.times; i += 1) {
  window.now += given.step_s;
  await window.engine.recognize(window.images[i % window.images.length], given.options);
}
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
            figures["held_up_ms"] = _held_up(page, host, Path(folder))
            figures["camera"] = _camera(page, host, n_seconds)
    figures["camera"]["affordable_per_s"] = _affordable(figures["times"])
    write_results("web", figures, keep=not options.quick)
    print("\n".join(_table(figures)))


def _open(page: WebDriver, host: StaticHost) -> None:
    page.get(f"{host.url}empty.html")
    call(page, _OPEN, host.url)


def _agreement(page: WebDriver, host: StaticHost, model: str) -> dict[str, float]:
    """Compare every face of the made pictures."""
    whole = {name: (host.folder / name).read_bytes() for name in ("classifier.bin", "model.json")}
    put_model(host.folder, model)
    _open(page, host)
    recognizer = load_recognizer(model, threads=1)
    found = {"faces": 0, "same": 0, "probability": 0.0, "box_px": 0.0}
    for content in made_pictures(astronaut()).values():
        row = call(page, _ASK, packed(content))
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


def _times(page: WebDriver, host: StaticHost) -> dict[str, dict[str, float]]:
    """Return processor times of photos, in turns with Python, and of frames of a camera."""
    page.get(f"{host.url}empty.html")
    call(page, _OPEN_HERE, host.url)
    page.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    recognizer = load_recognizer(MODELS["8 bits"], threads=1)
    found = {}
    for name, image in _photos().items():
        content = encoded(image, "JPEG", quality=90)
        call(page, _KEEP, [packed(content)])
        ours: list[float] = []
        python: list[float] = []
        for _ in range(ROUNDS + 1):
            ours.append(_processor_ms(page, times=1, step_s=0, options={}))
            began_s = time.process_time()
            recognizer.recognize(content)
            python.append(1000 * (time.process_time() - began_s))
        ours_ms, python_ms = statistics.median(ours[1:]), statistics.median(python[1:])
        found[name] = {"ms": round(ours_ms, 1), "python_ms": round(python_ms, 1)}
    frames = [packed(encoded(image, "JPEG", quality=85)) for image in film_images()]
    call(page, _KEEP, frames)
    for name, step_s in FRAMES.items():
        one = {"step_s": step_s, "options": {"session": "a camera"}}
        _processor_ms(page, times=10, **one)
        found[name] = {"ms": round(_processor_ms(page, times=len(frames), **one), 1)}
    return found


def _processor_ms(page: WebDriver, *, times: int, **given: object) -> float:
    """Return the processor time of the page's thread for one of some images."""
    before_s = _spent_s(page)
    call(page, _RUN_HERE, {"times": times, **given})
    return 1000 * (_spent_s(page) - before_s) / times


def _spent_s(page: WebDriver) -> float:
    """Return the processor time that the page's thread has had."""
    told = page.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return next(float(one["value"]) for one in told if one["name"] == "TaskDuration")


def _photos() -> dict[str, Image.Image]:
    photo = Image.open(astronaut()).convert("RGB")
    crowd = Image.new("RGB", (1920, 1080), (90, 110, 130))
    head = photo.crop((100, 10, 340, 250)).resize((320, 320))
    for i in range(15):
        crowd.paste(head, (20 + i % 5 * 380, 20 + i // 5 * 350))
    return {"photo of 512x512, one face": photo, "photo of 1920x1080, 15 faces": crowd}


def _held_up(page: WebDriver, host: StaticHost, folder: Path) -> dict[str, float]:
    """Return the longest task of the page's thread while it loads, and shows photos and camera."""
    found = {"while it loads": longest_task_ms(page, lambda: _load(page, host))}
    photos = _photos()
    photos["photo of 4000x3000, one face"] = photos["photo of 512x512, one face"].resize(
        (4000, 3000)
    )
    for name, image in photos.items():
        image.save(folder / "photo.jpg", quality=90)
        found[name] = longest_task_ms(page, lambda: _show(page, folder / "photo.jpg"))
        page.find_element("id", "clear").click()
    found["camera"] = longest_task_ms(page, lambda: _start_camera(page))
    found["longest"] = max(found.values())
    return {name: round(value, 1) for name, value in found.items()}


def _load(page: WebDriver, host: StaticHost) -> None:
    page.get(host.url)
    wait_for(page, "return document.documentElement.dataset.ready && !document.querySelector"
             "('#load:not([hidden])')")  # fmt: skip
    time.sleep(1)


def _show(page: WebDriver, photo: Path) -> None:
    page.find_element("id", "files").send_keys(str(photo))
    wait_for(page, "return document.querySelector('.box')")
    time.sleep(1)


def _start_camera(page: WebDriver) -> None:
    page.find_element("id", "camera").click()
    page.find_element("id", "agree").click()
    wait_for(page, "return document.querySelectorAll('.box').length === 1")
    time.sleep(3)


def _camera(page: WebDriver, host: StaticHost, n_seconds: int) -> dict[str, float]:
    """Count the frames that the page says it reads a second, and what they cost its thread."""
    _load(page, host)
    _start_camera(page)
    page.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    speeds, before_s = [], _spent_s(page)
    for _ in range(n_seconds):
        time.sleep(1)
        speeds.append(page.execute_script(_SPEED))
    return {
        "frames_per_s": round(statistics.median(speeds), 1),
        "page_ms_per_frame": round(1000 * (_spent_s(page) - before_s) / max(sum(speeds), 1), 1),
        "seconds": n_seconds,
    }


def _affordable(times: dict[str, dict[str, float]]) -> float:
    """Return the frames a second that a core has time for: one of each interval as a whole."""
    near_ms, whole_ms = (times[name]["ms"] for name in FRAMES)
    return round((1 + (SEARCH_MS - whole_ms) / near_ms) / FULL_SEARCH_S, 1)


def _table(figures: dict[str, Any]) -> list[str]:
    """Return the figures as Markdown."""
    both = [figures[name] for name in MODELS]
    rows = {
        "same label": [f"{one['same']} of {one['faces']}" for one in both],
        "largest difference of a probability": [f"{one['probability']:.6f}" for one in both],
        "largest difference of a box": [f"{one['box_px']:.2f} px" for one in both],
    }
    lines = [f"| | {' | '.join(MODELS)} |", "| --- | ---: | ---: |"]
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()]
    lines += ["", "| processor time, one thread | browser | Python |", "| --- | ---: | ---: |"]
    for name, one in figures["times"].items():
        python = f"{one['python_ms']:.0f} ms" if "python_ms" in one else ""
        lines.append(f"| {name} | {one['ms']:.0f} ms | {python} |")
    page_ms = figures["camera"]["page_ms_per_frame"]
    lines += [f"| the page's own thread, for such a frame | {page_ms:.0f} ms | |", ""]
    lines += ["| page held up at a time, processor time | at most |", "| --- | ---: |"]
    held_up = [one for one in figures["held_up_ms"].items() if one[0] != "longest"]
    return [*lines, *(f"| {name} | {value:.0f} ms |" for name, value in held_up)]


if __name__ == "__main__":
    main()
