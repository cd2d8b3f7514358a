"""The page in a real browser: photos, files to take away, errors in words, the camera.

Chromium runs headless with a fake camera that shows a moving photograph. It asks no other host.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from facial_expressions.labels import FER2013
from tests.server.client import RunningServer

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER),
        reason="there is no browser here; on Debian: apt-get install chromium chromium-driver",
    ),
]


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def browser(
    tmp_path_factory: pytest.TempPathFactory, downloads: Path, portrait: bytes
) -> Iterator[WebDriver]:
    """A headless browser whose camera shows the portrait moving to and fro."""
    pytest.importorskip("selenium", reason="the package selenium is not installed")
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={camera_film(tmp_path_factory, portrait)}",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options=options, service=Service(DRIVER))
    driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)}
    )
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: WebDriver, server: RunningServer) -> WebDriver:
    browser.get(server.url)
    until(lambda: browser.execute_script("return document.documentElement.dataset.ready"))
    return browser


@pytest.fixture
def photo(tmp_path: Path, portrait: bytes) -> Path:
    path = tmp_path / "=portrait, one.png"
    path.write_bytes(portrait)
    return path


def camera_film(tmp_path_factory: pytest.TempPathFactory, portrait: bytes) -> Path:
    """Write a video of JPEG images: a face that moves over a background."""
    face = Image.open(io.BytesIO(portrait))
    path = tmp_path_factory.mktemp("camera") / "video.mjpeg"
    with path.open("wb") as video:
        for step in range(20):
            image = Image.new("RGB", (320, 240), (90, 110, 130))
            image.paste(face, (10 + 5 * step, 20))
            image.save(video, "JPEG", quality=90)
    return path


def until(condition: Callable[[], object], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def text(page: WebDriver, id_: str) -> str:
    return str(page.execute_script("return document.getElementById(arguments[0]).innerText", id_))


def count(page: WebDriver, selector: str) -> int:
    return len(page.find_elements("css selector", selector))


def add(page: WebDriver, *photos: Path) -> None:
    page.find_element("id", "files").send_keys("\n".join(map(str, photos)))


def click(page: WebDriver, id_: str) -> None:
    page.find_element("id", id_).click()


def logged(page: WebDriver, kind: str) -> list[dict[str, Any]]:
    """Return and forget what the browser logged."""
    entries: list[dict[str, Any]] = page.get_log(kind)  # type: ignore[no-untyped-call]
    return entries


def downloaded(folder: Path, name: str) -> str:
    """Return what was saved, and take the file away: the browser's folder serves all tests."""
    path = folder / name
    until(path.is_file)
    text = path.read_bytes().decode()
    path.unlink()
    return text


def test_a_photo_gets_boxes_bars_and_files(
    page: WebDriver, server: RunningServer, photo: Path, downloads: Path
) -> None:
    expected = server.post(photo.read_bytes()).json["faces"][0]
    add(page, photo)
    until(lambda: count(page, ".box") == 1)
    label = page.find_element("css selector", ".box").get_attribute("aria-label") or ""
    assert expected["expression"] in label
    assert f"{round(expected['confidence'] * 100)}%" in label
    words = [bar.text for bar in page.find_elements("css selector", ".bar .word")]
    assert words == list(FER2013)
    assert "uncertain" in label or not expected["uncertain"]
    assert count(page, ".doubt:not([hidden])") == int(expected["uncertain"])
    assert count(page, ".why:not([hidden])") == int(expected["uncertain"])
    frame, box = (page.find_element("css selector", one).rect for one in (".frame", ".box"))
    left, top, right, bottom = expected["box"]
    scale = frame["width"] / 200
    assert box["x"] - frame["x"] == pytest.approx(left * scale, abs=2)
    assert box["y"] - frame["y"] == pytest.approx(top * scale, abs=2)
    assert box["width"] == pytest.approx((right - left) * scale, abs=2)
    assert box["height"] == pytest.approx((bottom - top) * scale, abs=2)

    click(page, "json")
    saved = json.loads(downloaded(downloads, "expressions.json"))
    assert saved == [{**server.post(photo.read_bytes()).json, "source": photo.name}]
    click(page, "csv")
    rows = list(csv.DictReader(io.StringIO(downloaded(downloads, "expressions.csv"))))
    assert [row["expression"] for row in rows] == [expected["expression"]]
    assert rows[0]["source"] == f"'{photo.name}"  # no formula for a spreadsheet
    assert float(rows[0]["happy"]) == pytest.approx(expected["probabilities"]["happy"], abs=1e-6)


def test_several_photos_can_be_chosen_between_by_keyboard(
    page: WebDriver, photo: Path, tmp_path: Path
) -> None:
    plain = tmp_path / "plain.png"
    Image.new("RGB", (120, 80), "white").save(plain)
    add(page, photo, plain)
    until(lambda: count(page, ".strip .mark") == 2 and "…" not in text(page, "strip"))
    assert text(page, "strip").split() == ["1", "0"]
    second = page.find_elements("css selector", ".strip button")[1]
    second.send_keys("\n")
    until(lambda: text(page, "status") == "No face was found.")
    assert text(page, "caption") == "plain.png"
    click(page, "clear")
    assert count(page, ".card") == 0
    assert page.find_element("id", "empty").is_displayed()


@pytest.mark.parametrize("event", ["paste", "drop"])
def test_a_photo_can_be_pasted_and_dropped(page: WebDriver, portrait: bytes, event: str) -> None:
    script = """
        const bytes = Uint8Array.from(atob(arguments[0]), (letter) => letter.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([bytes], "given.png", { type: "image/png" }));
        const event = arguments[1] === "paste"
          ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true })
          : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
        document.body.dispatchEvent(event);"""
    page.execute_script(script, base64.b64encode(portrait).decode(), event)
    until(lambda: count(page, ".box") == 1)
    assert text(page, "caption") == "given.png"


def test_a_heat_map_can_be_switched_on_and_off(
    browser: WebDriver, mapped_server: RunningServer, photo: Path, repository: Path
) -> None:
    browser.get(mapped_server.url)
    until(lambda: browser.execute_script("return document.documentElement.dataset.ready"))
    add(browser, photo)
    until(lambda: count(browser, ".box") == 1)
    canvas = browser.find_element("id", "heatmap")
    assert not canvas.is_displayed()
    click(browser, "heat")
    until(canvas.is_displayed)
    face = mapped_server.ask("POST", "/v1/recognize?explain=true", photo.read_bytes()).json
    heat = face["faces"][0]["explanation"]["heat"]
    row, column = divmod([v for line in heat for v in line].index(max(map(max, heat))), 6)
    label = canvas.get_attribute("aria-label") or ""
    assert ["upper", "middle", "lower"][row // 2] in label
    assert face["faces"][0]["expression"] in label
    painted = browser.execute_script(
        "const c = document.getElementById('heatmap'); const [[x0, y0], [x1], , [, y3]] ="
        " arguments[0]; const at = (u, v) => c.getContext('2d').getImageData("
        "x0 + (x1 - x0) * u, y0 + (y3 - y0) * v, 1, 1).data[3];"
        "return [at((arguments[2] + 0.5) / 6, (arguments[1] + 0.5) / 6), c.width,"
        " c.getContext('2d').getImageData(0, 0, 1, 1).data[3]]",
        face["faces"][0]["explanation"]["corners"], row, column,
    )  # fmt: skip
    assert painted[0] > 60  # warm where the answer was found
    assert painted[1:] == [200, 0]  # as large as the image, clear outside the face
    shot: dict[str, Any] = browser.execute_cdp_cmd("Page.captureScreenshot", {})
    folder = repository / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "page-heat.png").write_bytes(base64.b64decode(shot["data"]))
    click(browser, "heat")
    assert not canvas.is_displayed()


def test_a_model_without_maps_offers_no_heat_map(page: WebDriver) -> None:
    assert not page.find_element("id", "heat").is_displayed()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("broken.png", b"\x89PNG\r\n\x1a\n broken", "damaged or cut short"),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "Save it as JPEG or PNG"),
    ],
)
def test_a_bad_photo_is_told_in_words(
    page: WebDriver, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    add(page, tmp_path / name)
    until(lambda: words in text(page, "status"))
    assert count(page, ".card") == 0


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("new Response('<html>', {status: 502})", "did not say why (502)"),
        ("new Response('{}', {status: 500})", "Something went wrong"),
        ("new Response('cut', {status: 200})", "does not answer"),
        ("Promise.reject(new DOMException('', 'TimeoutError'))", "took too long"),
        ("Promise.reject(new TypeError())", "does not answer"),
        (
            'new Response(\'{"code": "new_one", "message": "Send less."}\', {status: 400})',
            "Send less.",
        ),
    ],
)
def test_a_failing_server_is_told_in_words(
    page: WebDriver, photo: Path, answer: str, words: str
) -> None:
    page.execute_script(f"window.fetch = async () => {answer};")
    add(page, photo)
    until(lambda: words in text(page, "status"))


def test_a_card_says_why_an_answer_is_uncertain(page: WebDriver, photo: Path) -> None:
    face = {
        "box": [60, 80, 75, 110], "detection_score": 0.9, "expression": "sad", "confidence": 0.8,
        "uncertain": True, "uncertain_below": 0.6, "probabilities": dict.fromkeys(FER2013, 1 / 7),
        "reasons": ["blurred", "dark"],
    }  # fmt: skip
    row = {"schema": 1, "status": "ok", "width": 200, "height": 200, "faces": [face]}
    page.execute_script(f"window.fetch = async () => new Response({json.dumps(json.dumps(row))});")
    add(page, photo)
    until(lambda: count(page, ".card") == 1)
    why = page.find_element("css selector", ".why").text
    assert why == "blurred: could be anything; dark: hard to see"


def test_tags_of_near_faces_do_not_cover_one_another(page: WebDriver, photo: Path) -> None:
    """Four boxes so near that no two whole tags have room; those shown lie free, in the photo."""
    probabilities = dict.fromkeys(FER2013, 1 / 7)
    faces = [
        {
            "box": [60 + 20 * i, 80 + 2 * i, 75 + 20 * i, 110], "detection_score": 0.9,
            "expression": "surprise", "confidence": 0.5, "uncertain": True,
            "uncertain_below": 0.6, "probabilities": probabilities, "reasons": ["unsure"],
        }
        for i in range(4)
    ]  # fmt: skip
    row = {"schema": 1, "status": "ok", "width": 200, "height": 200, "faces": faces}
    page.execute_script(f"window.fetch = async () => new Response({json.dumps(json.dumps(row))});")
    add(page, photo)
    until(lambda: count(page, ".tag") == 4)
    places = page.execute_script(
        "return [...document.querySelectorAll('#photo, .tag:not([hidden])')].map((one) => {"
        "const {left, top, right, bottom} = one.getBoundingClientRect();"
        "return [left, top, right, bottom]; })"
    )
    image, *tags = places
    assert len(tags) >= 2
    for i, one in enumerate(tags):
        assert one[0] >= image[0] - 1, "the tag is cut on the left"
        assert one[2] <= image[2] + 1, "the tag is cut on the right"
        for other in tags[:i]:
            apart = one[0] > other[2] or other[0] > one[2] or one[1] > other[3] or other[1] > one[3]
            assert apart, (one, other)


def test_the_camera_starts_after_its_notice_and_stops(page: WebDriver, downloads: Path) -> None:
    click(page, "camera")
    notice = page.find_element("id", "notice")
    assert notice.is_displayed()
    assert "Art. 5(1)(f)" in notice.text
    assert "stay on this machine" in notice.text
    assert page.execute_script("return document.getElementById('video').srcObject") is None
    click(page, "agree")
    until(lambda: count(page, ".box") == 1)
    until(lambda: "frames/s" in text(page, "speed"))
    assert text(page, "rows").split() == list(FER2013)
    colours = "const c = document.getElementById('history'); return c.getContext('2d')" \
        ".getImageData(0, 0, c.width, c.height).data.some((value) => value > 0)"  # fmt: skip
    until(lambda: page.execute_script(colours))
    track = page.execute_script(
        "window.track = document.getElementById('video').srcObject.getVideoTracks()[0];"
        "return window.track.readyState"
    )
    assert track == "live"
    click(page, "camera")
    assert page.execute_script("return window.track.readyState") == "ended"
    click(page, "csv")
    rows = list(csv.DictReader(io.StringIO(downloaded(downloads, "expressions.csv"))))
    times = [float(row["time_s"]) for row in rows]
    assert times == sorted(times)
    assert any(row["expression"] in FER2013.names for row in rows)


def test_the_notice_can_be_declined(page: WebDriver) -> None:
    click(page, "camera")
    page.find_element("css selector", "#notice [value=cancel]").click()
    assert page.execute_script("return document.getElementById('video').srcObject") is None
    assert text(page, "camera") == "Start camera"


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        ("NotAllowedError", "did not allow the camera"),
        ("NotFoundError", "no camera on this device"),
        ("NotReadableError", "used by another program"),
    ],
)
def test_a_camera_problem_is_told_in_words(page: WebDriver, problem: str, words: str) -> None:
    page.execute_script(
        "const name = arguments[0]; navigator.mediaDevices.getUserMedia ="
        " async () => { throw new DOMException('', name); };", problem,
    )  # fmt: skip
    click(page, "camera")
    click(page, "agree")
    until(lambda: words in text(page, "alert"))
    assert text(page, "camera") == "Start camera"


def test_a_camera_that_shows_the_same_image_is_told_in_words(page: WebDriver) -> None:
    """Black frames keep coming; the page stays usable, and says so until the image changes."""
    page.execute_script(
        "const canvas = document.createElement('canvas'); canvas.width = 320; canvas.height = 240;"
        "const context = canvas.getContext('2d'); window.shade = () => 'black';"
        "setInterval(() => { context.fillStyle = window.shade(); context.fillRect(0, 0, 320, 240);"
        "}, 40); navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(25);"
    )
    click(page, "camera")
    click(page, "agree")
    until(lambda: "the same image" in text(page, "alert"))
    page.execute_script(
        "window.shade = () => `rgb(${Math.floor(performance.now() / 10) % 256} 90 90)`;"
    )
    until(lambda: text(page, "alert") == "")
    click(page, "camera")
    assert text(page, "camera") == "Start camera"


def test_a_slow_server_is_not_taken_for_a_camera_that_stands_still(page: WebDriver) -> None:
    row = json.dumps({"schema": 1, "status": "ok", "width": 320, "height": 240, "faces": []})
    page.execute_script(
        "window.answers = 0; window.fetch = async () => {"
        "await new Promise((done) => { setTimeout(done, 2500); }); window.answers += 1;"
        f"return new Response({json.dumps(row)}); }};"
    )
    click(page, "camera")
    click(page, "agree")
    until(lambda: page.execute_script("return window.answers") >= 2)
    time.sleep(0.5)
    assert text(page, "alert") == ""
    click(page, "camera")


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_at_any_width(
    page: WebDriver, photo: Path, width: int, scheme: str, repository: Path
) -> None:
    """Screenshots are kept in build/screenshots, to be looked at."""
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        add(page, photo)
        until(lambda: count(page, ".box") == 1)
        overflow = (
            "return [...document.querySelectorAll('button, p, h1, h2, .word, .value, .name')]"
            ".filter((one) => one.offsetParent && !one.closest('.boxes, .skip')"
            " && one.getBoundingClientRect().right > window.innerWidth + 1)"
            ".map((one) => one.outerHTML)"
        )
        assert page.execute_script(overflow) == []
        assert page.execute_script("return document.documentElement.scrollWidth") <= width
        background = page.execute_script("return getComputedStyle(document.body).backgroundColor")
        brightness = sum(int(part) for part in background[4:-1].split(","))
        assert (brightness > 380) == (scheme == "light")
        shot: dict[str, Any] = page.execute_cdp_cmd("Page.captureScreenshot", {})
        folder = repository / "build" / "screenshots"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"page-{width}-{scheme}.png").write_bytes(base64.b64decode(shot["data"]))
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_page_asks_no_other_host_and_breaks_none_of_its_rules(
    page: WebDriver, server: RunningServer, photo: Path
) -> None:
    logged(page, "browser")
    logged(page, "performance")
    page.refresh()
    add(page, photo)
    until(lambda: count(page, ".box") == 1)
    assert logged(page, "browser") == []
    events = [json.loads(entry["message"])["message"] for entry in logged(page, "performance")]
    urls = {
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }
    assert f"{server.url}/v1/recognize" in urls
    assert {url for url in urls if not url.startswith((server.url, f"blob:{server.url}"))} == set()
