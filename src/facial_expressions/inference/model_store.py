"""The models that ship inside the package: their names, files, licences and digests.

``models/index.json`` lists them; nothing is downloaded. A model is asked for by its name, by
``default``, or by the path of a model file of one's own.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from facial_expressions.errors import ModelError, suggest
from facial_expressions.inference.options import DEFAULT
from facial_expressions.inference.runtime import file_sha256

__all__ = [
    "DEFAULT",
    "ENSEMBLE",
    "MeasuredFigures",
    "ReleasedModel",
    "ResolvedModel",
    "files_digest",
    "list_models",
    "resolve",
    "verify",
]

ENSEMBLE: Final = "ensemble"
"""Stands for the mean of every shipped network of FER-2013's seven expressions, each once."""


@dataclass(frozen=True, slots=True)
class MeasuredFigures:
    """What the report of a shipped file says, where the index has it under ``measured``.

    Attributes:
        on: Data set, protocol and split.
        n: Pictures.
        accuracy: Share of right answers, 0 to 1.
        macro_f1: F1 averaged over the classes, 0 to 1.
        ece: Expected calibration error, 15 bins, 0 to 1.
        ms_per_crop: Milliseconds for one crop, on the machine of the report.
    """

    on: str
    n: int
    accuracy: float
    macro_f1: float
    ece: float
    ms_per_crop: float


@dataclass(frozen=True, slots=True)
class ReleasedModel:
    """A model that ships with the package.

    Attributes:
        name: What it is asked for by.
        path: Where its file lies.
        sha256: SHA-256 of the file, as hexadecimal digits.
        n_bytes: Size of the file.
        licence: SPDX id of the weights' licence.
        summary: One sentence about it.
        is_default: Whether ``default`` stands for it.
        label_set: Names of its label sets, the first one first; empty where the index does not say.
        measured: Figures of its report; None before there is one of this very file.
        variant_of: Name of the model whose network this one computes in another way; empty for a
            network of its own.
    """

    name: str
    path: Path
    sha256: str
    n_bytes: int
    licence: str
    summary: str
    is_default: bool
    label_set: str = ""
    measured: MeasuredFigures | None = None
    variant_of: str = ""


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model file to open.

    Attributes:
        path: Where it lies.
        sha256: What its SHA-256 must be; None for a file of one's own.
    """

    path: Path
    sha256: str | None


def list_models() -> tuple[ReleasedModel, ...]:
    """Return the models that ship with the package, the default first.

    Raises:
        ModelError: The package's index is missing or damaged.

    Examples:
        >>> [model.name for model in list_models()]
        ['compact-int8', 'compact', 'standardized-cnn', 'standardized-cnn-int8']
    """
    return _read_index(_models_folder())


def resolve(model: str | Path) -> ResolvedModel:
    """Find the file of a shipped model, or of a path.

    Args:
        model: A shipped model's name, ``default``, or the path of a model file.

    Raises:
        ModelError: There is no such model; the message lists the names there are.

    Examples:
        >>> resolve("standardized-cnn").path.name
        'standardized-cnn.onnx'
    """
    path = Path(model)
    if isinstance(model, Path) or path.suffix == ".onnx":
        return ResolvedModel(path, None)
    for released in list_models():
        if model == released.name or (model == DEFAULT and released.is_default):
            return ResolvedModel(released.path, released.sha256)
    if path.exists():
        return ResolvedModel(path, None)
    if model == ENSEMBLE:
        raise ModelError(
            f"the ensemble is no single file; received {ENSEMBLE!r}; take "
            f"load_classifier({ENSEMBLE!r}).files, or choose one model"
        )
    names = [*(released.name for released in list_models()), ENSEMBLE]
    raise ModelError(
        f"no model of that name or path; received {str(model)!r}; {suggest(str(model), names)}, "
        "or give the path of an .onnx file"
    )


def verify(model: ReleasedModel) -> None:
    """Compare a shipped model's file with its digest.

    Raises:
        ModelError: The file is missing, or is not the one that was published.
    """
    found = file_sha256(model.path)
    if found != model.sha256:
        raise ModelError(
            f"{model.path.name} is not the file that was published; received SHA-256 {found}, "
            f"expected {model.sha256}; install the package again"
        )


def files_digest(files: Sequence[Path]) -> str:
    """Return the SHA-256 of a model: of its file, or of its files' digests when it has several.

    Args:
        files: The model's files, in their order.

    Raises:
        ModelError: A file cannot be read.
    """
    digests = [file_sha256(file) for file in files]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _models_folder() -> Path:
    return Path(str(importlib.resources.files("facial_expressions") / "models"))


@functools.cache
def _read_index(folder: Path) -> tuple[ReleasedModel, ...]:
    path = folder / "index.json"
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        models = [
            ReleasedModel(
                name=name,
                path=folder / entry["file"],
                sha256=entry["sha256"],
                n_bytes=entry["bytes"],
                licence=entry["licence"],
                summary=entry["summary"],
                is_default=name == index["default"],
                label_set=entry.get("label_set", ""),
                measured=MeasuredFigures(**entry["measured"]) if "measured" in entry else None,
                variant_of=entry.get("variant_of", ""),
            )
            for name, entry in index["models"].items()
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"the package's list of models cannot be read; received {path.name}: {error!r}; "
            "install the package again"
        ) from error
    return tuple(sorted(models, key=lambda model: (not model.is_default, model.name)))
