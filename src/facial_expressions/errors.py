"""Every error that is raised on purpose.

A message starts with what it is about, says what is wrong with it, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

_PARSER_LIMITS: Final[dict[type[Exception], str]] = {
    RecursionError: "it is nested too deeply", ValueError: "a number has too many digits"
}  # fmt: skip


class FacialExpressionsError(Exception):
    """Base class of every error that this package raises deliberately."""


class ImageError(FacialExpressionsError, ValueError):
    """Raised when an image cannot be read or is outside the limits."""


class ImageFormatError(ImageError):
    """Raised when a file is not an image, or its format is not supported."""


class ImageTooLargeError(ImageError):
    """Raised when an image has more pixels than the limit."""


class VideoError(FacialExpressionsError, ValueError):
    """Raised when a file is not a video, or is outside the limits."""


class CameraError(FacialExpressionsError, RuntimeError):
    """Raised when a camera is missing or busy, or gives no new images."""


class ModelError(FacialExpressionsError, ValueError):
    """Raised when a model file is damaged, unsuitable or not one of ours."""


class DatasetError(FacialExpressionsError, ValueError):
    """Raised when a data set is incomplete, damaged or not clearly divided."""


class RecipeError(FacialExpressionsError, ValueError):
    """Raised when a recipe has an unknown key or a value out of its range."""


class CheckpointError(FacialExpressionsError, RuntimeError):
    """Raised when the checkpoint of a run folder cannot be resumed."""


class StorageError(FacialExpressionsError, OSError):
    """Raised when a file cannot be written, for example because the disk is full."""


class BatchError(FacialExpressionsError, ValueError):
    """Raised when a batch has no such input, or its output folder belongs to another batch."""


class ExportError(FacialExpressionsError, RuntimeError):
    """Raised when a network cannot be exported, or the exported file differs from it."""


class MissingExtraError(FacialExpressionsError, ImportError):
    """Raised when an optional dependency is not installed; the message says how to install it."""

    @classmethod
    def of(cls, extra: str, package: str) -> MissingExtraError:
        """Return the error for a missing package.

        Examples:
            >>> str(MissingExtraError.of("train", "keras")).split(". ")[1]
            'In a clone of the repository, run: pip install ".[train]"'
        """
        return cls(
            f"extra {extra!r}: not installed ({package!r} is missing). "
            f'In a clone of the repository, run: pip install ".[{extra}]"'
        )


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Turn a failed import in the block into an error that says what to install.

    Raises:
        MissingExtraError: A package of the block is not installed, or cannot be imported.
    """
    try:
        yield
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "facial_expressions"):
            raise
        raise MissingExtraError.of(extra, package) from error


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the end of a message on an unknown name: the nearest one, and those there are.

    Examples:
        >>> suggest("thread", ["threads", "labels"])
        "Did you mean 'threads'? Choose one of threads, labels"
    """
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return f"{hint}Choose one of {', '.join(names)}"


def parsed(parse: Callable[[str], Any], text: str) -> Any:  # noqa: ANN401 - as the parser's
    """Return what a parser, ``json.loads`` or the like, makes of a stranger's text.

    Raises:
        ValueError: The text is malformed, or what no reader takes: nested without end, a number of
            thousands of digits.

    Examples:
        >>> import json
        >>> parsed(json.loads, "[" * 100_000)
        Traceback (most recent call last):
        ValueError: it is nested too deeply
    """
    try:
        return parse(text)
    except (RecursionError, ValueError) as error:
        if type(error) not in _PARSER_LIMITS:
            raise
        raise ValueError(_PARSER_LIMITS[type(error)]) from error


def first_line(error: Exception) -> str:
    r"""Return what is said of an error, cut to one line of at most 200 characters.

    Args:
        error: Any exception; one without a text gives its type's name. Of errors of the system and
            of FFmpeg neither number nor file is repeated.

    Examples:
        >>> first_line(ValueError(" no such node\nTraceback of many lines"))
        'no such node'
        >>> first_line(PermissionError(13, "Permission denied", "a.jpg"))
        'permission denied'
    """
    if said := getattr(error, "strerror", None):
        return f"{said[0].lower()}{said[1:]}"
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
