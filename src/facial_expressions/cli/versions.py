"""What ``--version`` prints, and with ``-v`` what a maintainer asks in a bug report."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = (
    "numpy",
    "pillow",
    "onnxruntime",
    "typer",
    "rich",
    "scikit-learn",
    "matplotlib",
    "keras",
    "tensorflow",
    "tensorflow-cpu",
    "torch",
    "jax",
    "onnx",
)


def version_line() -> str:
    """Return the program's name and version."""
    return f"facial-expressions {version('facial-expressions')}"


def describe_installation() -> list[str]:
    """Return the version, the system, the packages, the providers and the cache folder, by line."""
    from facial_expressions.data.cache import cache_folder
    from facial_expressions.inference.runtime import available_providers

    return [
        version_line(),
        f"python {platform.python_version()} on {platform.platform()}",
        *(f"{name} {_version_or_absent(name)}" for name in _PACKAGES),
        f"providers {', '.join(available_providers())}",
        f"cache folder {cache_folder()}",
    ]


def _version_or_absent(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
