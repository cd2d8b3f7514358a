"""No lock file has a version older than the floors that ``docs/security.md`` names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest
from packaging.version import Version

from tests.documentation.pages import ROOT

PAGE: Final = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
FLOORS: Final = dict(re.findall(r"^\| ([\w-]+) \| (\d[\d.]+) \| CVE", PAGE, re.MULTILINE))
LOCKS: Final = sorted((ROOT / "requirements").glob("*.lock"))


def older(lock: str) -> dict[str, str]:
    """Return what a lock file pins below its floor."""
    pins = re.findall(r"^([\w-]+)==([^\s;]+)", lock, re.MULTILINE)
    return {
        name: version
        for name, version in pins
        if name in FLOORS and Version(version) < Version(FLOORS[name])
    }


def test_the_page_names_floors_of_packages_that_are_locked() -> None:
    whole = "".join(lock.read_text(encoding="utf-8") for lock in LOCKS)
    assert len(FLOORS) >= 6
    assert [name for name in FLOORS if not re.search(rf"^{name}==", whole, re.MULTILINE)] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.name))
def test_no_locked_version_is_below_its_floor(lock: Path) -> None:
    assert older(lock.read_text(encoding="utf-8")) == {}


def test_an_older_version_is_noticed() -> None:
    assert older("h11==0.14.0 \\\n  --hash=x\nonnx==1.21.0\nkeras==3.9.2 ; x\n") == {
        "h11": "0.14.0",
        "keras": "3.9.2",
    }
