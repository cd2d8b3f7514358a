"""The models that ship inside the package: their names, files, licences and digests.

``models/index.json`` lists them; nothing is downloaded. A model is asked for by its name, by
``default``, or by the path of a model file of your own.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
from dataclasses import dataclass
from pathlib import Path

from facial_expressions.errors import ModelError, suggest
from facial_expressions.inference.options import DEFAULT
from facial_expressions.plain_text import shown


@dataclass(frozen=True, slots=True)
class MeasuredFigures:
    """What the report of a shipped file says, where the index has it under ``measured``.

    Attributes:
        on: Data set, protocol and split.
        n: Images.
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
        path: Where its file is.
        sha256: SHA-256 of the file, as hexadecimal digits.
        n_bytes: Size of the file.
        licence: SPDX id of the weights' licence.
        summary: One sentence about it.
        is_default: Whether ``default`` stands for it.
        labels: Names of its heads, the default first; empty where the index does not say.
        measured: Figures of its report; None before there is one of this very file.
    """

    name: str
    path: Path
    sha256: str
    n_bytes: int
    licence: str
    summary: str
    is_default: bool
    labels: str = ""
    measured: MeasuredFigures | None = None


def list_models() -> tuple[ReleasedModel, ...]:
    """Return the models that ship with the package, the default first.

    Raises:
        ModelError: The package's index is missing or damaged.

    Examples:
        >>> [model.name for model in list_models()]
        ['compact-int8', 'compact', 'standardized-cnn', 'standardized-cnn-int8']
    """
    return _read_index(_models_folder())


def resolve(model: str | Path) -> tuple[Path, str | None]:
    """Return the file of a shipped model, or of a path.

    Args:
        model: A shipped model's name, ``default``, or the path of a model file.

    Returns:
        Where the file is, and what its SHA-256 must be; None for a file of your own.

    Raises:
        ModelError: There is no such model; the message lists the names there are.

    Examples:
        >>> resolve("standardized-cnn")[0].name
        'standardized-cnn.onnx'
    """
    path = Path(model)
    if isinstance(model, Path) or path.suffix == ".onnx":
        return path, None
    for released in list_models():
        if model == released.name or (model == DEFAULT and released.is_default):
            return released.path, released.sha256
    if path.exists():
        return path, None
    names = [released.name for released in list_models()]
    raise ModelError(
        f"{shown(model)}: no such model. {suggest(str(model), names)}, or give the path of an "
        ".onnx file"
    )


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
                labels=entry.get("labels", ""),
                measured=MeasuredFigures(**entry["measured"]) if "measured" in entry else None,
            )
            for name, entry in index["models"].items()
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path.name}: the list of models that ship is missing or damaged. Install the "
            "package again"
        ) from error
    return tuple(sorted(models, key=lambda model: (not model.is_default, model.name)))
