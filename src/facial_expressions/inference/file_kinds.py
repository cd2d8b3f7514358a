"""Tell by its first bytes what a file is that was given as a model and is none.

Nothing is parsed, decompressed or run: only names at fixed places are looked at.
"""

from __future__ import annotations

import re
from typing import Final

_STARTS: Final = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes (.h5)"),
    (b"GGUF", "a GGUF file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"version https://git-lfs", "a pointer of Git LFS to the file, not the file (git lfs pull)"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"%PDF", "a PDF"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"#!", "a script"),
    (b"<", "a web page or other XML"),
    (b"{", "a JSON file"),
)
_IN_ZIP: Final = (
    (b"data.pkl", "a PyTorch file, a pickle in a ZIP archive, which can run code"),
    (b"model.weights.h5", "a Keras archive (.keras), which can run code"),
    (b"config.json", "a Keras archive (.keras), which can run code"),
    (b".npy", "an archive of NumPy arrays"),
)
_PICKLE: Final = re.compile(rb"\x80[\x02-\x05]|\(?[cdl](?:[a-z_.]+\n|p0\n)|\([dl]p0\n")
_ZIP_STARTS: Final = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")


def kind_of(data: bytes) -> str:
    r"""Return what a file is, in words with their article; an empty text when it may be a model.

    Args:
        data: Content of the file.

    Examples:
        >>> kind_of(b"\x89HDF\r\n\x1a\n\x00")
        'an HDF5 file, as Keras writes (.h5)'
    """
    if data.startswith(_ZIP_STARTS):
        return next((kind for name, kind in _IN_ZIP if name in data), "a ZIP archive")
    marks = (
        (_PICKLE.match(data), "a Python pickle, which can run code"),
        (data[8:9] == b"{" and data[5:8] == bytes(3), "a safetensors file"),
        (data[4:8] == b"TFL3", "a TensorFlow Lite file"),
        (data[257:262] == b"ustar", "a tar archive"),
        (b"saved_model" in data[:4096], "a TensorFlow SavedModel"),
    )
    found = next((kind for is_there, kind in marks if is_there), "")
    return found or next((kind for start, kind in _STARTS if data.startswith(start)), "")
