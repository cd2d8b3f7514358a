"""Where a report comes from: model, data, command, version and commit."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from facial_expressions.data.dataset import Split


def installed_version(package: str = "facial-expressions") -> str:
    """Return the installed version of a package, or an empty text."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a report says of its origin; an empty text where it is not known.

    Attributes:
        model: Name of the model.
        model_digest: SHA-256 of the model file, hexadecimal.
        head: Name of the head that answered.
        dataset: Name of the data set.
        dataset_digest: SHA-256 of all its images and labels, hexadecimal.
        protocol: How the data set was divided.
        command: Command line that makes the report again.
        version: Version of this package.
        commit: Commit of this package's source, when it runs from a checkout.
    """

    model: str = ""
    model_digest: str = ""
    head: str = ""
    dataset: str = ""
    dataset_digest: str = ""
    protocol: str = ""
    command: str = ""
    version: str = field(default_factory=installed_version)
    commit: str = ""


def source_commit() -> str:
    """Return the commit of the checkout that this package runs from, or an empty text.

    ``+changes`` is added when tracked files of the package differ from that commit.
    """
    package = Path(__file__).resolve().parents[1]
    root = package.parents[1]
    if package.parent.name != "src" or not (root / ".git").exists():
        return ""
    commit = _git(root, "rev-parse", "HEAD")
    changed = commit and _git(root, "status", "--porcelain", "--untracked-files=no", "--", "src")
    return f"{commit}+changes" if changed else commit


def split_digest(split: Split) -> str:
    """Return the SHA-256 of a split's images and labels in order, hexadecimal."""
    sha = hashlib.sha256(np.ascontiguousarray(split.images).data)
    sha.update(np.ascontiguousarray(split.labels).data)
    return sha.hexdigest()


def _git(root: Path, *arguments: str) -> str:
    """Return what a git command prints, or an empty text when git or the checkout fails."""
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
