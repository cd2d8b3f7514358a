"""A page that runs the recognizer's modules one by one, called from Python."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from facial_expressions.inference.model_store import resolve
from tests.web.static_host import static_host
from web.export_facts import facts

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

__all__ = ["call", "image_of", "modules_page", "packed", "put_model", "unpacked"]

_RECOGNIZER = Path(__file__).parents[2] / "web" / "recognizer"
_WAIT_S = 120

_HELPERS = """
const done = arguments[arguments.length - 1];
const given = arguments[0];
const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const textOf = (bytes) => {
  let text = "";
  for (let i = 0; i < bytes.length; i += 30000) {
    text += String.fromCharCode(...bytes.subarray(i, i + 30000));
  }
  return btoa(text);
};
const load = (name) => import(new URL(`recognizer/${name}`, document.baseURI));
"""


@contextmanager
def modules_page(browser: WebDriver, folder: Path) -> Iterator[WebDriver]:
    """Show an empty page beside the recognizer's modules and facts; no model and no runtime.

    Args:
        browser: Shows it.
        folder: Is written to.
    """
    shutil.copytree(_RECOGNIZER, folder / "recognizer")
    (folder / "model.json").write_text(json.dumps(facts("compact-int8")), "utf-8")
    (folder / "index.html").write_text("<!doctype html><title>Modules</title>", "utf-8")
    with static_host(folder) as host:
        browser.get(host.url)
        yield browser


def call(page: WebDriver, script: str, given: object = None) -> Any:  # noqa: ANN401
    """Run JavaScript that may wait, and return what it returns.

    Args:
        page: Where.
        script: The body of a function; it sees ``given``, ``load(module)``, ``bytesOf`` and
            ``textOf``.
        given: Plain values for it.
    """
    page.set_script_timeout(_WAIT_S)
    told = page.execute_async_script(
        f"{_HELPERS}(async () => {{{script}}})()"
        ".then((value) => done({ value }), (error) => done({ error: String(error.stack) }));",
        given,
    )
    assert "error" not in told, told["error"]
    return told["value"]


def put_model(folder: Path, model: str) -> None:
    """Let the page of a folder answer by another model."""
    (folder / "classifier.bin").write_bytes(gzip.compress(resolve(model)[0].read_bytes(), 1))
    known = json.loads((folder / "model.json").read_bytes())
    (folder / "model.json").write_text(json.dumps(known | facts(model)), "utf-8")


def packed(content: bytes) -> str:
    """Return bytes as text for ``given``."""
    return base64.b64encode(content).decode()


def unpacked(text: str) -> NDArray[np.uint8]:
    """Return what ``textOf`` packed."""
    return np.frombuffer(base64.b64decode(text), np.uint8)


def image_of(answer: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Return ``{width, height, pixels}``, RGBA or grey, as RGB or grey."""
    shape = (answer["height"], answer["width"], -1)
    pixels = unpacked(answer["pixels"]).reshape(shape)
    return pixels[:, :, 0] if pixels.shape[2] == 1 else pixels[:, :, :3]
