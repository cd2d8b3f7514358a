"""What an image may be given as, and what is refused in one short line."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import pathlib
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.errors import ImageError
from facial_expressions.image_sources import source_name
from facial_expressions.images import list_images, load_image

PIXELS: Final = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)


def png(pixels: NDArray[np.uint8] = PIXELS) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


class Tensor:
    """What tensors of PyTorch and TensorFlow offer NumPy."""

    def __init__(self, pixels: NDArray[Any], error: Exception | None = None) -> None:
        self.pixels, self.error = pixels, error

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: ANN401
        if self.error is not None:
            raise self.error
        return self.pixels


class Pipe(io.RawIOBase):
    """A stream that cannot go back, like the body of an answer."""

    def __init__(self, data: bytes) -> None:
        self.rest = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401
        return self.rest.readinto(buffer)


SOURCES: Final[dict[str, Callable[[], Any]]] = {
    "bytes": png,
    "bytearray": lambda: bytearray(png()),
    "memoryview": lambda: memoryview(png()),
    "file-at-its-end": lambda: _at_its_end(png()),
    "stream": lambda: Pipe(png()),
    "pillow": lambda: Image.fromarray(PIXELS),
    "array": lambda: PIXELS,
    "tensor": lambda: Tensor(PIXELS),
}


def _at_its_end(data: bytes) -> io.BytesIO:
    file = io.BytesIO(data)
    file.seek(0, io.SEEK_END)
    return file


@pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES.keys())
def test_every_kind_gives_the_same_pixels(make: Callable[[], Any]) -> None:
    assert np.array_equal(load_image(make()), PIXELS)


def test_a_path_may_be_anything_that_names_one(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png())
    with os.scandir(tmp_path) as entries:
        entry = next(entries)
    for source in (path, str(path), pathlib.PurePosixPath(path), entry):
        assert np.array_equal(load_image(source), PIXELS)
    with path.open("rb") as file:
        assert np.array_equal(load_image(file), PIXELS)


def test_grey_with_and_without_a_last_axis_are_the_same() -> None:
    grey = PIXELS[:, :, 0]
    assert np.array_equal(load_image(grey[:, :, None]), load_image(grey))
    assert np.array_equal(load_image(grey)[:, :, 2], grey)


@pytest.mark.train
def test_a_tensor_of_tensorflow_is_read() -> None:
    tensorflow = pytest.importorskip("tensorflow", reason="the extra train is not installed")
    assert np.array_equal(load_image(tensorflow.constant(PIXELS)), PIXELS)


def test_a_tensor_of_pytorch_is_read() -> None:
    """Channels last, also where a view makes it so; others are told what to do."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    tensor = torch.from_numpy(PIXELS.copy())
    assert np.array_equal(load_image(tensor), PIXELS)
    channels_first = tensor.permute(2, 0, 1).contiguous()
    assert np.array_equal(load_image(channels_first.permute(1, 2, 0)), PIXELS)
    with pytest.raises(ImageError, match="Move the channels last"):
        load_image(channels_first)
    for unreadable in (tensor.float().requires_grad_(), tensor.to("meta"), tensor.bfloat16()):
        with pytest.raises(ImageError, match=r"^Tensor: its pixels cannot be read\. Give uint8"):
            load_image(unreadable)


class Upload:
    """A file of a web framework, whose ``read`` has to be awaited."""

    async def read(self, size: int = -1) -> bytes:
        await asyncio.sleep(0)
        return b""


def _closed() -> io.BytesIO:
    file = io.BytesIO(png())
    file.close()
    return file


URI: Final = "data:image/png;base64," + base64.b64encode(bytes(150_000)).decode()
REFUSED: Final[dict[str, tuple[Callable[[], Any], str]]] = {
    "A01-data-uri": (lambda: URI, "data URIs are not read"),
    "A01-data-uri-in-capitals": (lambda: "DATA:image/png,x", "data URIs are not read"),
    "A02-number": (lambda: 7, "int: not an image"),
    "A02-nothing": (lambda: None, "NoneType: not an image"),
    "A02-list": (lambda: [1, 2], "list: not an image"),
    "A03-text-file": (lambda: io.StringIO("x"), "opened as text. Open it with mode 'rb'"),
    "A03-closed-file": (_closed, "BytesIO: cannot be read"),
    "A03-asynchronous-file": (Upload, "Give the bytes: await file.read()"),
    "A04-channels-first": (lambda: Tensor(PIXELS.transpose(2, 0, 1)), "Move the channels last"),
    "A04-floats": (lambda: PIXELS / 255, "Scale it to 0..255"),
    "A04-two-channels": (lambda: PIXELS[:, :, :2], "(4, 5, 2)"),
    "A04-channels-first-floats": (
        lambda: PIXELS.transpose(2, 0, 1) / 255,
        "Move the channels last. Scale it to 0..255",
    ),
    "A04-two-images": (lambda: np.stack([PIXELS, PIXELS]), "Give one image"),
    "A04-no-pixels": (lambda: PIXELS[:0], "not empty"),
    "A05-on-another-device": (
        lambda: Tensor(PIXELS, TypeError("can't convert cuda:0 device type tensor to numpy")),
        "Give uint8, detached, on the CPU",
    ),
    "A05-with-gradients": (
        lambda: Tensor(PIXELS, RuntimeError("Can't call numpy() on Tensor that requires grad.")),
        "Give uint8, detached, on the CPU",
    ),
}


@pytest.mark.parametrize(("make", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_image_is_refused_in_a_line(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(ImageError) as caught:
        load_image(make())
    text = str(caught.value)
    assert said in text
    assert len(text) < 250
    assert "\n" not in text


def test_a_data_uri_does_not_become_the_name_of_a_result() -> None:
    assert len(source_name(URI)) < 70
    assert source_name("team.jpg") == "team.jpg"
    assert source_name(bytearray(b"x")) == "<bytearray>"


def test_images_of_a_folder_are_listed_sorted_without_hidden_ones(tmp_path: pathlib.Path) -> None:
    for name in ("b.JPG", "a.png", "deep/c.webp", ".hidden.png", ".git/d.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert found == ["a.png", "b.JPG", "deep/c.webp"]


def test_a_folder_that_is_not_there_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ImageError, match="no such folder"):
        list_images(tmp_path / "gone")
