"""Architectures by name: a decorator, a list and one builder.

An architecture is a function ``(input_shape, n_classes, **options) -> keras.Model`` that returns
logits. Adding one costs a file in this folder and one import line in ``architectures/__init__.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facial_expressions.errors import RecipeError, suggest

if TYPE_CHECKING:
    import keras

Builder = Callable[..., "keras.Model"]


@dataclass(frozen=True, slots=True)
class Architecture:
    """One registered architecture.

    Attributes:
        builder: Function that builds the untrained network.
        channels: Colour channels of its input crops: 1 grey, 3 grey repeated or RGB.
    """

    builder: Builder
    channels: int


_REGISTRY: dict[str, Architecture] = {}


def register_architecture(name: str, *, channels: int) -> Callable[[Builder], Builder]:
    """Register a builder; used as a decorator.

    Args:
        name: Key in recipes; must be new.
        channels: Colour channels the network wants, 1 or 3.

    Raises:
        ValueError: ``name`` is taken.
    """

    def decorate(builder: Builder) -> Builder:
        if name in _REGISTRY:
            raise ValueError(
                f"architecture {name!r}: registered twice: {builder} after "
                f"{_REGISTRY[name].builder}. Choose another name"
            )
        _REGISTRY[name] = Architecture(builder, channels)
        return builder

    return decorate


def list_architectures() -> list[str]:
    """Return the names of all registered architectures, sorted."""
    return sorted(_REGISTRY)


def get_architecture(name: str) -> Architecture:
    """Look an architecture up by name.

    Raises:
        RecipeError: No architecture has this name; the message lists those there are.
    """
    if name not in _REGISTRY:
        raise RecipeError(f"{name!r}: no such architecture. {suggest(name, list_architectures())}")
    return _REGISTRY[name]


def build_architecture(
    name: str, input_shape: tuple[int | None, int | None, int], n_classes: int, **options: object
) -> keras.Model:
    """Build an untrained network that maps ``(N, H, W, C) float32`` to logits ``(N, K)``.

    Args:
        name: A registered architecture.
        input_shape: ``(H, W, C)`` of one crop.
        n_classes: Length of the label set, K.
        **options: Passed to the architecture's builder.

    Raises:
        RecipeError: The name is unknown.
    """
    return get_architecture(name).builder(input_shape, n_classes, **options)
