"""ONNX Runtime for browsers: fetched from its npm package once, and checked before every use."""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import os
import shutil
import subprocess
import tarfile
import urllib.request
from pathlib import Path
from typing import Final

from facial_expressions.files import atomic_write

__all__ = ["VERSION", "RuntimeFetchError", "runtime_files"]

VERSION: Final = "1.30.0"
_NAME: Final = f"onnxruntime-web-{VERSION}.tgz"
_SHA512: Final = (
    "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
)
"""Of the package, in base 64: what npm calls its integrity."""

_FILES: Final = {
    "ort.js": "package/dist/ort.wasm.bundle.min.mjs",
    "ort.wasm": "package/dist/ort-wasm-simd-threaded.wasm",
}
"""The smallest build: WebAssembly only, without WebGPU. Hosts know the ending .js, not all .mjs."""

_WAIT_S: Final = 60


class RuntimeFetchError(Exception):
    """Raised when the npm package cannot be had; the message is one line for people."""


def runtime_files(cache: Path) -> dict[str, bytes]:
    """Return ``ort.js`` and ``ort.wasm``.

    Args:
        cache: Folder in which the package is kept; it is made.

    Raises:
        RuntimeFetchError: No registry can be reached, or it has another package.
    """
    path = cache / _NAME
    content = path.read_bytes() if path.is_file() else b""
    if not _is_intact(content):
        content = _download()
        cache.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.write(content)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        members = {name: archive.extractfile(member) for name, member in _FILES.items()}
        return {name: file.read() for name, file in members.items() if file}


def _is_intact(content: bytes) -> bool:
    return base64.b64encode(hashlib.sha512(content).digest()).decode() == _SHA512


def _download() -> bytes:
    registry = _registry()
    address = f"{registry.rstrip('/')}/onnxruntime-web/-/{_NAME}"
    try:
        with urllib.request.urlopen(address, timeout=_WAIT_S) as response:
            content: bytes = response.read()
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise RuntimeFetchError(
            f"{_NAME}: cannot be fetched from {registry}. Check the connection, or name another "
            "registry in npm_config_registry"
        ) from error
    if not _is_intact(content):
        raise RuntimeFetchError(
            f"{_NAME}: {registry} sent something else (its SHA-512 differs). Name another "
            "registry in npm_config_registry"
        )
    return content


def _registry() -> str:
    """Return the registry that npm is set up for; npm itself need not be there."""
    setting = {name.lower(): value for name, value in os.environ.items()}
    named = setting.get("npm_config_registry", "")
    if not named and (npm := shutil.which("npm")):
        asked = [npm, "config", "get", "registry"]
        done = subprocess.run(asked, capture_output=True, encoding="utf-8", check=False)
        named = done.stdout.strip()
    return named or "https://registry.npmjs.org"
