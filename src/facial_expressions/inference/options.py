"""How a recognizer is opened, as one value: the same for Python, the command line and workers.

To add an option, add a field with its help to ``RecognizerOptions`` and use it where it matters.
Every verb and every function that opens a recognizer then has it.

Imports neither NumPy nor Pillow, so that ``--help`` stays quick.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, ParamSpec, Protocol, TypeVar, get_type_hints, overload

from facial_expressions.errors import suggest
from facial_expressions.inference.contracts import FaceDetector
from facial_expressions.limits import MAX_PIXELS

DEFAULT: Final = "default"
"""Stands for the index's default model."""


def _option(default: object, text: str, *, low: int | None = None, high: int | None = None) -> Any:  # noqa: ANN401 - a field of any type
    return field(default=default, metadata={"help": text, "min": low, "max": high})


@dataclass(frozen=True, slots=True)
class RecognizerOptions:
    """Options of a recognizer. Can be pickled; ``to_dict`` gives plain values for JSON.

    Attributes:
        model: A shipped model's name, ``default``, or the path of a model file; kept as text.
        labels: Name of the label set to answer in, ``people``, ``fer2013`` or ``ferplus``; None
            uses the model's default.
        tta: Whether each face is classified in ten views, mirrored and shifted by a pixel, which
            are averaged: slightly more accurate, at ten times the cost after detection.
        threads: Threads for one run of a network; None leaves it to ONNX Runtime.
        device: Where the networks run: ``cpu``, ``auto``, or a name in ``runtime.DEVICES``.
        small_faces: Whether images are searched in full size, for faces half as wide, in about
            four times the time.
        min_confidence: Confidence under which an answer counts as uncertain, 0 to 1; None takes the
            model's own threshold.
        min_score: Faces whose detection score is lower are left out, 0 to 1; None keeps all.
        largest: Whether only the largest face of an image is kept.
        crops: Whether each image is one cropped face, to be classified without detection.
        max_pixels: Images with more pixels are refused before they are decoded.
        detector: Name of a face detector, or one of your own, which is used as it is.

    Raises:
        ValueError: A value has another type or is out of its range.

    Examples:
        >>> options = RecognizerOptions("standardized-cnn", threads=2)
        >>> RecognizerOptions.from_dict(options.to_dict()) == options
        True
        >>> RecognizerOptions(threads=0)
        Traceback (most recent call last):
        ValueError: threads: must be int | None, at least 1, not 0
    """

    model: str | Path = field(
        default=DEFAULT, metadata={"help": "Name of a shipped model, or path of a model file."}
    )
    _: KW_ONLY
    labels: str | None = _option(
        None, "Label set to answer in: people, fer2013 or ferplus, if the model has it."
    )
    tta: bool = _option(False, "Average ten views of each face: slightly more accurate, slower.")
    threads: int | None = _option(None, "Threads per network; default: all cores.", low=1)
    device: str = _option(
        "cpu", "Where networks run: cpu, auto, cuda, directml, coreml or openvino."
    )
    small_faces: bool = _option(False, "Find faces half as wide; takes about four times as long.")
    min_confidence: float | None = _option(
        None, "Confidence below which an answer is uncertain.", low=0, high=1
    )
    min_score: float | None = _option(
        None, "Ignore faces with a lower detection score.", low=0, high=1
    )
    largest: bool = _option(False, "Keep only the largest face of each image.")
    crops: bool = _option(False, "Each image is one cropped face: classify it without detection.")
    max_pixels: int = _option(
        MAX_PIXELS, "Reject larger images and video frames before decoding.", low=1
    )
    detector: str | FaceDetector = field(
        default="centerface", metadata={"help": "Name of the face detector."}
    )

    def __post_init__(self) -> None:
        if isinstance(self.model, Path):  # as text a path needs a folder, or it may be a name
            object.__setattr__(self, "model", os.path.join(os.curdir, self.model))  # noqa: PTH118 - keeps ./
        hints = get_type_hints(type(self))
        for one in fields(self):
            _check(one, getattr(self, one.name), hints[one.name])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON.

        Raises:
            ValueError: The detector is an object, which JSON cannot hold.
        """
        if not isinstance(self.detector, str):
            raise ValueError(  # noqa: TRY004 - the type is fine, JSON is not
                f"detector: {self.detector!r} cannot be written as JSON. Register it, and give "
                "its name"
            )
        return self._values()

    def _values(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RecognizerOptions:
        """Rebuild from what ``to_dict`` returned; options that are missing take their defaults.

        Raises:
            ValueError: A key is unknown, or a value is malformed.

        Examples:
            >>> RecognizerOptions.from_dict({"thread": 2})  # doctest: +ELLIPSIS
            Traceback (most recent call last):
            ValueError: thread: no such option of a recognizer. Did you mean 'threads'? Choose ...
        """
        names = [one.name for one in fields(cls)]
        for key in data:
            if key not in names:
                raise ValueError(f"{key}: no such option of a recognizer. {suggest(key, names)}")
        return cls(**data)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self).from_dict, (self._values(),))


def _check(one: Field[Any], value: object, hint: Any) -> None:  # noqa: ANN401 - types have none
    """Raise when a field's value has another type, or lies outside its bounds."""
    low, high = one.metadata.get("min"), one.metadata.get("max")
    fits = isinstance(value, hint) or (isinstance(value, int) and isinstance(1.0, hint))
    if isinstance(value, bool) and hint is not bool:
        fits = False
    if fits and isinstance(value, int | float):
        fits = (low is None or low <= value) and (high is None or value <= high)
    if not fits:
        needs = [str(one.type)]
        needs += [f"at least {low}"] if low is not None else []
        needs += [f"at most {high}"] if high is not None else []
        raise ValueError(f"{one.name}: must be {', '.join(needs)}, not {value!r}")


P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Opener(Protocol[P, T_co]):
    """A function of one options value, which may also be given as its keywords."""

    @overload
    def __call__(self, options: RecognizerOptions, /) -> T_co: ...

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co: ...


def with_keywords_of(
    kind: Callable[P, RecognizerOptions],
) -> Callable[[Callable[[RecognizerOptions], T]], Opener[P, T]]:
    """Let a function of an options value be called with that value's keywords as well.

    Type checkers know the keywords: they are those of the class, and are written nowhere else.

    Examples:
        >>> @with_keywords_of(RecognizerOptions)
        ... def describe(options):
        ...     return f"{options.model} on {options.threads} threads"
        >>> describe("compact", threads=2) == describe(RecognizerOptions("compact", threads=2))
        True
    """

    def extend(function: Callable[[RecognizerOptions], T]) -> Opener[P, T]:
        @functools.wraps(function)
        def extended(*args: Any, **kwargs: Any) -> T:  # noqa: ANN401 - checked by the class
            if args and isinstance(args[0], RecognizerOptions):
                return function(*args, **kwargs)
            return function(kind(*args, **kwargs))

        answer = inspect.signature(function).return_annotation
        extended.__dict__["__signature__"] = inspect.signature(kind).replace(
            return_annotation=answer
        )
        return extended

    return extend
