"""Recognizers for workers of their own processes: they answer by an image's name, or die at it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from facial_expressions.errors import ModelError
from facial_expressions.image_sources import ImageSource
from facial_expressions.results import ImageResult

__all__ = [
    "dying_at_start",
    "dying_once_at_start",
    "obedient",
    "refused",
    "slow",
]

POISON_EXIT = 77


class _ByName:
    """Does what an image's name says.

    ``poison`` ends the process, ``once`` does so the first time, ``bug`` raises, ``stuck`` sleeps;
    any other image is ``ok`` and as wide as its name has letters.
    """

    def __init__(self, pause_s: float = 0.0) -> None:
        self._pause_s = pause_s

    def recognize_rows(
        self, sources: Iterable[ImageSource], *, batch_size: int
    ) -> Iterator[ImageResult]:
        for source in sources:
            assert isinstance(source, Path)
            time.sleep(self._pause_s)
            _obey(source)
            yield ImageResult(str(source), "ok", len(source.name), 1)


def _obey(path: Path) -> None:
    if "poison" in path.name:
        os._exit(POISON_EXIT)
    if "once" in path.name and not path.with_suffix(".died").exists():
        path.with_suffix(".died").touch()
        os._exit(POISON_EXIT)
    if "bug" in path.name:
        raise ZeroDivisionError(path.name)
    if "stuck" in path.name:
        time.sleep(600)


def obedient() -> _ByName:
    return _ByName()


def slow() -> _ByName:
    return _ByName(pause_s=0.05)


def refused() -> _ByName:
    raise ModelError("worker: no model. Give one")


def dying_at_start() -> _ByName:
    os._exit(POISON_EXIT)


@dataclass(frozen=True)
class dying_once_at_start:
    """Kills the first worker that opens it, in its constructor."""

    marker: Path

    def __call__(self) -> _ByName:
        if not self.marker.exists():
            self.marker.touch()
            os._exit(POISON_EXIT)
        return _ByName()
