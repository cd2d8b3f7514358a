"""The folder that ``make web`` writes: complete, relative, small, and the same every time."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest

from web import build as builder

LARGEST_DOWNLOAD = 13_000_000


@pytest.fixture(scope="module")
def kept(built: Path) -> dict[str, str]:
    """The files that the service worker keeps, by name, with their SHA-256."""
    text = (built / "sw.js").read_text(encoding="utf-8")
    files: dict[str, str] = json.loads(text.partition("=")[2].partition(";")[0])
    return files


def test_the_page_works_offline_with_all_that_it_refers_to(
    built: Path, kept: dict[str, str]
) -> None:
    referred = set()
    for path in [*built.rglob("*.js"), *built.rglob("*.css"), built / "index.html"]:
        text = path.read_text(encoding="utf-8")
        found = re.findall(r'^import [^"]*"(\.[^"]+)"|(?:href|src)="([^"#]+)"', text, re.MULTILINE)
        referred |= {(path.parent / (a or b)).resolve().relative_to(built) for a, b in found}
    assert len(referred) > 20
    assert {path.as_posix() for path in referred} - {"notices.txt"} <= kept.keys()
    assert (built / "notices.txt").is_file()


def test_what_is_kept_is_what_lies_there(built: Path, kept: dict[str, str]) -> None:
    digests = {n: hashlib.sha256((built / n).read_bytes()).hexdigest() for n in kept}
    assert digests == kept
    written = {path.relative_to(built).as_posix() for path in built.rglob("*") if path.is_file()}
    assert written - kept.keys() == {"notices.txt", "sw.js"}


def test_nothing_of_the_server_is_in_it(kept: dict[str, str], built: Path) -> None:
    assert not {"recognizer.js", "docs.html", "docs.js"} & kept.keys()
    page = (built / "index.html").read_text(encoding="utf-8")
    assert "server" not in re.sub(r"http\.server", "", page)


def test_a_first_visit_loads_at_most_13_megabytes(built: Path, kept: dict[str, str]) -> None:
    contents = [(built / name).read_bytes() for name in kept]
    assert sum(min(len(one), len(gzip.compress(one, 9))) for one in contents) < LARGEST_DOWNLOAD


def test_two_builds_are_equal(built: Path, tmp_path: Path) -> None:
    builder.build(tmp_path / "again")
    assert (tmp_path / "again" / "sw.js").read_bytes() == (built / "sw.js").read_bytes()


def test_a_changed_sentence_of_the_server_stops_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "index.html").write_text("<p>Images are sent somewhere.</p>")
    monkeypatch.setattr(builder, "_STATIC", tmp_path)
    with pytest.raises(ValueError, match="no longer has once"):
        builder.build(tmp_path / "page")
