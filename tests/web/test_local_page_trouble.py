"""What goes wrong around the page without a server: cut downloads, old browsers, memory."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.server.browser import (
    NEEDS_BROWSER,
    add,
    click,
    count,
    open_page,
    text,
    until,
)  # fmt: skip
from tests.web.static_host import StaticHost, static_host

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

pytestmark = NEEDS_BROWSER

META = b'<meta http-equiv="content-security-policy"'


WAITING = """
    navigator.serviceWorker.getRegistration().then((one) => { window.isWaiting = !!one.waiting; });
    return window.isWaiting;"""


def shown(page: WebDriver, name: str) -> str:
    """The text of a file as the page gets it."""
    script = "fetch(arguments[0]).then((one) => one.text()).then(arguments[1])"
    return str(page.execute_async_script(script, name))


def closed_and_opened(page: WebDriver, host: StaticHost) -> bool:
    """Come back after a moment, in which nothing shows the page."""
    page.get("about:blank")
    time.sleep(1)
    page.get(host.url)
    return True


def before(script: str) -> Callable[[bytes], bytes]:
    """Return what lets a file begin with a script."""
    return lambda content: script.encode() + content


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[StaticHost]:
    """Another host, which anyone may ask."""
    (tmp_path / "index.html").write_text("here")
    with static_host(tmp_path, "/") as running:
        yield running


@pytest.mark.parametrize("name", ["detector.bin", "wasm.bin", "ort.js", "model.json"])
def test_a_download_that_is_cut_can_be_tried_again(
    browser: WebDriver, host: StaticHost, photo: Path, name: str
) -> None:
    host.cut.add(name)
    browser.get(host.url)
    until(lambda: "cut off" in text(browser, "load-words"))
    add(browser, photo)
    until(lambda: "cut off" in text(browser, "reason"))
    host.cut.clear()
    click(browser, "load-again")
    until(lambda: not browser.find_element("id", "load").is_displayed())
    click(browser, "retry")
    until(lambda: count(browser, ".box") == 1)
    until(lambda: text(browser, "offline") == "Works offline now.")


def test_a_download_that_stands_still_can_be_tried_again(
    browser: WebDriver, host: StaticHost
) -> None:
    host.change["main.js"] = lambda content: content.replace(
        b"STALL_MS = 30_000", b"STALL_MS = 3_000"
    )
    host.held.add("detector.bin")
    browser.get(host.url)
    until(lambda: text(browser, "load-words").startswith("Nothing has arrived"))
    host.held.clear()
    click(browser, "load-again")
    until(lambda: browser.execute_script("return document.documentElement.dataset.ready"))
    assert not host.may_go.is_set()
    host.may_go.set()
    assert not browser.find_element("id", "load").is_displayed()


def test_a_page_that_was_opened_as_a_file_says_why_nothing_happens(
    browser: WebDriver, built: Path
) -> None:
    browser.get((built / "index.html").as_uri())
    hint = browser.find_element("class name", "from-file")
    until(hint.is_displayed)
    assert "Serve its folder" in hint.text


def test_a_browser_without_simd_is_told_so(browser: WebDriver, host: StaticHost) -> None:
    host.change["worker.js"] = before("WebAssembly.validate = () => false;")
    browser.get(host.url)
    until(lambda: "too old" in text(browser, "load-words"))


@pytest.mark.parametrize("taken", ["WebAssembly.Memory", "OffscreenCanvas"])
def test_memory_that_is_refused_is_told(
    browser: WebDriver, host: StaticHost, photo: Path, taken: str
) -> None:
    host.change["worker.js"] = before(f"{taken} = function () {{ throw new RangeError(); }};")
    browser.get(host.url)
    add(browser, photo)
    until(lambda: "too little memory" in text(browser, "reason"))


def test_a_new_build_takes_over_when_the_page_was_closed(
    browser: WebDriver, host: StaticHost
) -> None:
    """Meanwhile the old one works on; of the new one only what changed is loaded."""
    open_page(browser, host.url)
    until(lambda: text(browser, "offline") == "Works offline now.")
    content = host.content("app.js")
    old, new = (hashlib.sha256(one).hexdigest().encode() for one in (content, content + b"// new"))
    host.change["app.js"] = lambda content: content + b"// new"
    host.change["sw.js"] = lambda content: content.replace(old, new)
    host.asked.clear()
    browser.get(host.url)
    until(lambda: f"{host.path}app.js" in host.asked)
    assert {*host.asked} == {host.path + name for name in ("sw.js", "app.js")}
    assert not shown(browser, "app.js").endswith("// new")
    until(lambda: browser.execute_script(WAITING))
    open_page(browser, host.url)
    until(lambda: text(browser, "offline").startswith("A newer version is ready."))
    until(lambda: closed_and_opened(browser, host) and shown(browser, "app.js").endswith("// new"))


@pytest.mark.parametrize("is_held", [True, False], ids=["policy", "no policy"])
@pytest.mark.parametrize("place", ["main.js", "worker.js"])
def test_the_policy_stops_requests_to_others(
    browser: WebDriver, host: StaticHost, elsewhere: StaticHost, place: str, is_held: bool
) -> None:
    """Without the policy the same request arrives: the test can tell."""
    host.change[place] = before(
        f"fetch({elsewhere.url!r}, {{ mode: 'no-cors' }}).catch(() => {{}});"
    )
    if not is_held:
        host.change["index.html"] = lambda page: page.replace(META, b"<meta name='off'")
    open_page(browser, host.url)
    assert bool(elsewhere.asked) is not is_held


@pytest.mark.parametrize("is_held", [True, False], ids=["policy", "no policy"])
def test_the_policy_stops_code_that_is_made_of_words(
    browser: WebDriver, host: StaticHost, is_held: bool
) -> None:
    host.change["main.js"] = before("try { eval('window.ran = true'); } catch {}")
    if not is_held:
        host.change["index.html"] = lambda page: page.replace(META, b"<meta name='off'")
    open_page(browser, host.url)
    assert bool(browser.execute_script("return window.ran")) is not is_held


@pytest.mark.parametrize(
    "script",
    [
        "delete Navigator.prototype.serviceWorker;",
        "navigator.serviceWorker.register = async () => { throw new DOMException(); };",
        "navigator.serviceWorker.register = () => new Promise(() => {});",
    ],
    ids=["missing", "forbidden", "silent"],
)
def test_a_browser_that_keeps_nothing_answers_all_the_same(
    browser: WebDriver, host: StaticHost, photo: Path, script: str
) -> None:
    host.change["dom.js"] = before(script)  # runs before the others
    open_page(browser, host.url)
    add(browser, photo)
    until(lambda: count(browser, ".box") == 1)
    assert text(browser, "offline") == ""
