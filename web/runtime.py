"""ONNX Runtime for browsers, from its npm package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from web.npm import NpmPackage

__all__ = ["VERSION", "runtime_files"]

VERSION: Final = "1.30.0"
_PACKAGE: Final = NpmPackage(
    "onnxruntime-web",
    VERSION,
    "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
)
_FILES: Final = {
    "ort.js": "dist/ort.wasm.bundle.min.mjs",
    "ort.wasm": "dist/ort-wasm-simd-threaded.wasm",
}
"""The smallest build: WebAssembly only, without WebGPU. Hosts know the ending .js, not all .mjs."""


def runtime_files(cache: Path) -> dict[str, bytes]:
    """Return ``ort.js`` and ``ort.wasm``.

    Args:
        cache: Folder in which the package is kept; it is made.

    Raises:
        PackageFetchError: No registry can be reached, or it has another package.
    """
    held = _PACKAGE.read(cache, _FILES.values())
    return {name: held[path] for name, path in _FILES.items()}
