"""Packages of the npm registry: fetched once, kept, and checked before every use."""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import os
import shutil
import subprocess
import sys
import tarfile
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from facial_expressions.files import atomic_write

__all__ = ["NpmPackage", "PackageFetchError"]

_WAIT_S: Final = 60


class PackageFetchError(Exception):
    """Raised when a package cannot be had; the message is one line for people."""


@dataclass(frozen=True)
class NpmPackage:
    """One version of a package; whatever a registry sends, only this one is used.

    Attributes:
        name: With its scope, as npm writes it.
        version: The whole number.
        sha512: Of the package, in base 64: what npm calls its integrity, without its first word.
    """

    name: str
    version: str
    sha512: str

    def read(self, cache: Path, names: Iterable[str]) -> dict[str, bytes]:
        """Return files of the package by their names.

        Args:
            cache: Folder in which the package is kept; it is made.
            names: Paths inside the package.

        Raises:
            PackageFetchError: No registry can be reached, or it has another package.
        """
        path = cache / self._file
        cache.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(cache / "lock"):
            content = path.read_bytes() if path.is_file() else b""
            if not self._is_intact(content):
                content = self._download()
                with atomic_write(path) as file:
                    file.write(content)
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            members = {name: archive.extractfile(f"package/{name}") for name in names}
            return {name: file.read() for name, file in members.items() if file}

    @property
    def _file(self) -> str:
        return f"{self.name.partition('/')[2] or self.name}-{self.version}.tgz"

    def _is_intact(self, content: bytes) -> bool:
        return base64.b64encode(hashlib.sha512(content).digest()).decode() == self.sha512

    def _download(self) -> bytes:
        registry = _registry()
        address = f"{registry.rstrip('/')}/{self.name}/-/{self._file}"
        try:
            with urllib.request.urlopen(address, timeout=_WAIT_S) as response:
                content: bytes = response.read()
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise PackageFetchError(
                f"{self._file}: cannot be fetched from {registry}. Check the connection, or name "
                "another registry in npm_config_registry"
            ) from error
        if not self._is_intact(content):
            raise PackageFetchError(
                f"{self._file}: {registry} sent something else (its SHA-512 differs). Name another "
                "registry in npm_config_registry"
            )
        return content


@contextmanager
def _one_at_a_time(lock: Path) -> Iterator[None]:
    """Let one process in after the other, so that one fetches for all; on Windows all at once."""
    with lock.open("w") as file:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _registry() -> str:
    """Return the registry that npm is set up for; npm itself need not be there."""
    setting = {name.lower(): value for name, value in os.environ.items()}
    named = setting.get("npm_config_registry", "")
    if not named and (npm := shutil.which("npm")):
        asked = [npm, "config", "get", "registry"]
        done = subprocess.run(asked, capture_output=True, encoding="utf-8", check=False)
        named = done.stdout.strip()
    return named or "https://registry.npmjs.org"
