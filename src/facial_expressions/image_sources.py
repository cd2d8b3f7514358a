"""What an image may be given as, brought to one of four plain kinds.

File objects, buffers and anything that NumPy can read (``__array__``: tensors of PyTorch and
TensorFlow, arrays of JAX) become bytes or an array before anything else looks at them.
"""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.errors import ImageError, first_line


class HasArray(Protocol):
    """What NumPy can turn into an array."""

    def __array__(self) -> NDArray[Any]: ...


class _Readable(Protocol):
    """A file opened for reading as bytes."""

    def read(self, size: int = ..., /) -> bytes: ...


ImageSource = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | _Readable | HasArray | Image.Image
)
"""What an image can be given as: a path, the bytes of a file in any buffer, a file opened for
reading, an array or tensor ``uint8``, or a Pillow image."""

PlainSource = str | Path | bytes | NDArray[np.uint8] | Image.Image
"""The same, brought to what can be read again and again."""

_SHOWN: Final = 60
_LONGEST_NAME: Final = 4096


def plain_source(source: ImageSource) -> PlainSource:
    """Return an image's source as a path, bytes, an array or a Pillow image.

    A file object is read from its beginning, or from where it stands when it cannot go back.

    Raises:
        ImageError: It is none, it is a data URI, or its pixels or bytes cannot be had.

    Examples:
        >>> plain_source(bytearray(b"GIF89a"))
        b'GIF89a'
    """
    if isinstance(source, str):
        if source[:5].lower() == "data:":
            raise ImageError(
                f"{source[:_SHOWN]}…: data URIs are not read. Give the bytes: "
                "base64.b64decode(uri.split(',', 1)[1])"
            )
        return source
    if isinstance(source, bytes | Path | Image.Image | np.ndarray):
        return source
    if isinstance(source, bytearray | memoryview):
        return bytes(source)
    if isinstance(source, os.PathLike):
        return Path(source)
    if hasattr(source, "__array__"):
        return as_array(source)
    if hasattr(source, "read"):
        return _content(source)
    raise ImageError(
        f"{type(source).__name__}: not an image. Give a path, the bytes of a file, an open file, a "
        "uint8 array or tensor, or a Pillow image"
    )


def source_name(source: ImageSource) -> str:
    """Return what a result calls its source: the path, or the kind of what was given."""
    if isinstance(source, str | os.PathLike):
        name = str(source)
        is_path = len(name) <= _LONGEST_NAME and name[:5].lower() != "data:"
        return name if is_path else f"{name[:_SHOWN]}…"
    return f"<{type(source).__name__}>"


def as_array(source: Any) -> NDArray[Any]:  # noqa: ANN401 - whatever NumPy can read
    """Return what NumPy can read, such as a tensor, as an array.

    Raises:
        ImageError: It is on another device, or needs gradients.
    """
    try:
        return np.asarray(source)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ImageError(
            f"{type(source).__name__}: its pixels cannot be read. Give uint8, detached, on the CPU"
        ) from error


def _content(source: Any) -> bytes:  # noqa: ANN401 - whatever has ``read``
    """Read a file object whole."""
    name = type(source).__name__
    try:
        if hasattr(source, "seekable") and source.seekable():
            source.seek(0)
        content = source.read()
    except (OSError, ValueError) as error:
        raise ImageError(f"{name}: cannot be read: {first_line(error)}. Open it again") from error
    if inspect.iscoroutine(content):
        content.close()
        raise ImageError(f"{name}: its read() is asynchronous. Give the bytes: await file.read()")
    if not isinstance(content, bytes | bytearray | memoryview):
        raise ImageError(f"{name}: opened as text. Open it with mode 'rb'")
    return bytes(content)
