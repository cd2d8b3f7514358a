"""Packages of npm: whatever a registry sends, only the pinned package is used."""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.web.static_host import static_host
from web.npm import NpmPackage, PackageFetchError
from web.runtime import runtime_files

PACKAGE = "onnxruntime-web-1.30.0.tgz"


def test_a_registry_that_is_not_there_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    with pytest.raises(PackageFetchError, match=r"cannot be fetched from http://127\.0\.0\.1:9\."):
        runtime_files(tmp_path / "cache")
    assert not (tmp_path / "cache" / PACKAGE).exists()


def test_a_registry_that_sends_another_package_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = tmp_path / "served" / "onnxruntime-web" / "-"
    served.mkdir(parents=True)
    (served / PACKAGE).write_bytes(b"another package")
    with static_host(tmp_path / "served", "/") as registry:
        monkeypatch.setenv("NPM_CONFIG_REGISTRY", registry.url)
        with pytest.raises(PackageFetchError, match="sent something else"):
            runtime_files(tmp_path / "cache")
    assert not (tmp_path / "cache" / PACKAGE).exists()


def test_a_kept_package_that_was_changed_is_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / PACKAGE).write_bytes(b"changed")
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    with pytest.raises(PackageFetchError, match="cannot be fetched"):
        runtime_files(tmp_path)


def test_a_package_with_a_scope_is_fetched_once_and_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = tmp_path / "served" / "@some" / "thing" / "-" / "thing-1.2.0.tgz"
    served.parent.mkdir(parents=True)
    with tarfile.open(served, "w:gz") as archive:
        for name, content in {"package/a.js": b"a", "package/dist/b.bin": b"bb"}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    digest = base64.b64encode(hashlib.sha512(served.read_bytes()).digest()).decode()
    package = NpmPackage("@some/thing", "1.2.0", digest)
    with static_host(tmp_path / "served", "/") as registry:
        monkeypatch.setenv("npm_config_registry", registry.url)
        with ThreadPoolExecutor(4) as threads:  # each may stand for a process
            found = threads.map(lambda _: package.read(tmp_path / "cache", ["dist/b.bin"]), "1234")
        assert list(found) == [{"dist/b.bin": b"bb"}] * 4
        assert len(registry.asked) == (1 if sys.platform != "win32" else 4)
    assert package.read(tmp_path / "cache", ["a.js"]) == {"a.js": b"a"}


def test_the_registry_that_npm_is_set_up_for_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm = tmp_path / "npm"
    npm.write_text(f"#!{sys.executable}\nprint('http://127.0.0.1:9/npm/')\n")
    npm.chmod(0o755)
    monkeypatch.delenv("npm_config_registry", raising=False)
    monkeypatch.delenv("NPM_CONFIG_REGISTRY", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("npm") == str(npm)
    with pytest.raises(PackageFetchError, match=r"from http://127\.0\.0\.1:9/npm/\."):
        runtime_files(tmp_path / "cache")
