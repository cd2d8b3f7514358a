"""The built page, a static host for it, and a browser whose camera shows a moving face."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tests.server.browser import open_browser, open_page, write_film
from tests.web.static_host import StaticHost, static_host
from web.build import build
from web.npm import PackageFetchError

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as ``make web`` writes it."""
    pytest.importorskip("starlette", reason="the extra serve is not installed")
    folder = tmp_path_factory.mktemp("web") / "page"
    try:
        build(folder)
    except PackageFetchError as error:
        pytest.skip(str(error))
    return folder


@pytest.fixture(scope="session")
def portrait(astronaut: Path) -> bytes:
    """The astronaut's head, a PNG of 200x200 pixels with one face."""
    stream = io.BytesIO()
    Image.open(astronaut).convert("RGB").crop((130, 20, 330, 220)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, portrait: bytes) -> Iterator[WebDriver]:
    pytest.importorskip("selenium", reason="the package selenium is not installed")
    film = write_film(tmp_path_factory.mktemp("camera") / "film.mjpeg", portrait)
    driver = open_browser(film, tmp_path_factory.mktemp("downloads"))
    yield driver
    driver.quit()


@pytest.fixture
def host(built: Path) -> Iterator[StaticHost]:
    """A host of its own, so another origin: nothing of an earlier test is kept for it."""
    with static_host(built) as running:
        yield running


@pytest.fixture
def photo(tmp_path: Path, portrait: bytes) -> Path:
    path = tmp_path / "portrait.png"
    path.write_bytes(portrait)
    return path


@pytest.fixture(scope="module")
def shared_host(built: Path) -> Iterator[StaticHost]:
    """The host of ``shared_page``."""
    with static_host(built) as running:
        yield running


@pytest.fixture(scope="module")
def shared_page(shared_host: StaticHost, browser: WebDriver) -> WebDriver:
    """The page, loaded once for the tests of a module that leave it as it was."""
    return open_page(browser, shared_host.url)
