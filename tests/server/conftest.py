"""A recognizer of a tiny model with the real detector, a server of it, and one that can be held."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("fastapi", reason="the extra serve is not installed")
pytest.importorskip("onnx", reason="tiny models are written with the package onnx")

from facial_expressions.inference.contracts import Detection
from facial_expressions.inference.detectors.centerface import CenterFaceDetector
from facial_expressions.inference.recognizer import ExpressionRecognizer, load_recognizer
from tests.server.browser import open_browser, open_page, write_film
from tests.server.client import RunningServer, run_server
from tests.tiny_model import write_mapped_model, write_tiny_model

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver


class HeldDetector:
    """Finds nothing, and only after it has been let go; counts the images it was given.

    The server's warm-up passes: it is the first image.
    """

    framing = CenterFaceDetector.framing

    def __init__(self) -> None:
        self.may_go = threading.Event()
        self.n_images = -1

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        self.n_images += 1
        if self.n_images > 0:
            assert self.may_go.wait(60)
        return []


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="session")
def recognizer(tiny_model: Path) -> ExpressionRecognizer:
    return load_recognizer(tiny_model, threads=1)


@pytest.fixture(scope="session")
def server(recognizer: ExpressionRecognizer) -> Iterator[RunningServer]:
    with run_server(recognizer) as running:
        yield running


@pytest.fixture(scope="session")
def mapped_recognizer(tmp_path_factory: pytest.TempPathFactory) -> ExpressionRecognizer:
    """A recognizer of a model that can say where it looked."""
    path = write_mapped_model(tmp_path_factory.mktemp("mapped") / "mapped.onnx")
    return load_recognizer(path, threads=1)


@pytest.fixture(scope="session")
def mapped_server(mapped_recognizer: ExpressionRecognizer) -> Iterator[RunningServer]:
    with run_server(mapped_recognizer) as running:
        yield running


@pytest.fixture(scope="session")
def portrait(astronaut: Path) -> bytes:
    """The astronaut's head, a PNG of 200x200 pixels with one face."""
    stream = io.BytesIO()
    Image.open(astronaut).convert("RGB").crop((130, 20, 330, 220)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def held() -> Iterator[HeldDetector]:
    detector = HeldDetector()
    yield detector
    detector.may_go.set()


@pytest.fixture
def held_recognizer(tiny_model: Path, held: HeldDetector) -> ExpressionRecognizer:
    return load_recognizer(tiny_model, threads=1, detector=held)


@pytest.fixture(scope="session")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="session")
def browser(
    tmp_path_factory: pytest.TempPathFactory, downloads: Path, portrait: bytes
) -> Iterator[WebDriver]:
    """A headless browser whose camera shows the portrait moving to and fro."""
    pytest.importorskip("selenium", reason="the package selenium is not installed")
    film = write_film(tmp_path_factory.mktemp("camera") / "video.mjpeg", portrait)
    driver = open_browser(film, downloads)
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: WebDriver, server: RunningServer) -> WebDriver:
    return open_page(browser, server.url)


@pytest.fixture
def photo(tmp_path: Path, portrait: bytes) -> Path:
    path = tmp_path / "=portrait, one.png"
    path.write_bytes(portrait)
    return path
