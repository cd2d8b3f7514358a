"""The page in a real browser: photos, files to take away, errors in words, the camera.

Chromium runs headless with a fake camera that shows a moving photograph. It asks no other host.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from facial_expressions.labels import FER2013
from facial_expressions.rows import IMAGE, to_csv
from tests.server.browser import (
    NEEDS_BROWSER,
    add,
    click,
    count,
    downloaded,
    keep_shot,
    logged,
    open_page,
    resized,
    text,
    until,
)  # fmt: skip
from tests.server.client import RunningServer

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

pytestmark = NEEDS_BROWSER


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
    rows = list(csv.DictReader(io.StringIO(downloaded(downloads, "expressions.csv").decode())))
    assert [row["expression"] for row in rows] == [expected["expression"]]
    assert rows[0]["source"] == f"'{photo.name}"  # no formula for a spreadsheet
    assert float(rows[0]["happy"]) == pytest.approx(expected["probabilities"]["happy"], abs=1e-6)


@pytest.mark.parametrize(
    "name",
    ["=1+1", "\n=1", "\uff1dcmd", "\uff0b1", "\uff0d1a", "\uff20x", "\u2212x", " \u200b@x", "-",
     "\tx", "a\x1b[31m", "b\x9b", "\u202egnp.exe", "c\u2066", "\U000e0041", "plain, \"one\".png"],
)  # fmt: skip
def test_c16_a_name_is_as_harmless_in_the_pages_csv_as_in_pythons(
    page: WebDriver, name: str
) -> None:
    row = {"source": name, "status": "rejected", "error": name}
    lines = page.execute_async_script(
        "const [row, done] = arguments;"
        "import('/downloads.js').then(({ toCsv }) => toCsv([row], []).text()).then(done);",
        row,
    )
    _, fields = csv.reader(io.StringIO(lines, newline=""))
    (expected,) = csv.reader(io.StringIO(to_csv(IMAGE, row, ()), newline=""))
    assert [fields[1], fields[-1]] == [expected[0], expected[-1]]


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
    until(
        lambda: text(page, "status") == "No face found. Try a larger, sharper, front-facing photo."
    )
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
    browser: WebDriver, mapped_server: RunningServer, photo: Path
) -> None:
    open_page(browser, mapped_server.url)
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
    legend = " ".join(text(browser, "heat-legend").split())
    assert legend == "Support for the answer: weak strong"
    keep_shot(browser, "page-heat")
    click(browser, "heat")
    assert not canvas.is_displayed()


def test_a_model_without_maps_offers_no_heat_map(page: WebDriver) -> None:
    assert not page.find_element("id", "heat").is_displayed()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("broken.png", b"\x89PNG\r\n\x1a\n broken", "damaged or truncated"),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "Save it as JPEG or PNG"),
    ],
)
def test_a_bad_photo_is_told_in_words(
    page: WebDriver, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    add(page, tmp_path / name)
    until(lambda: words in text(page, "reason"))
    assert text(page, "reason") == text(page, "status")
    assert text(page, "reason").startswith(name)
    assert not page.find_element("id", "photo").is_displayed()
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
    rows = list(csv.DictReader(io.StringIO(downloaded(downloads, "expressions.csv").decode())))
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


@pytest.mark.parametrize("width", [1280, 390, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_at_any_width(page: WebDriver, photo: Path, width: int, scheme: str) -> None:
    with resized(page, width, scheme):
        add(page, photo)
        until(lambda: count(page, ".box") == 1)
        overflow = (
            "return [...document.querySelectorAll('button, p, h1, h2, .word, .value, .name')]"
            ".filter((one) => one.offsetParent && !one.closest('.boxes, .skip, .unseen')"
            " && one.getBoundingClientRect().right > window.innerWidth + 1)"
            ".map((one) => one.outerHTML)"
        )
        assert page.execute_script(overflow) == []
        assert page.execute_script("return document.documentElement.scrollWidth") <= width
        background = page.execute_script("return getComputedStyle(document.body).backgroundColor")
        brightness = sum(int(part) for part in background[4:-1].split(","))
        assert (brightness > 380) == (scheme == "light")
        keep_shot(page, f"page-{width}-{scheme}")


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
