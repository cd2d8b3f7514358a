"""Recipes: everything that decides a training run, as strict TOML.

A recipe has one level of sections. Defaults live here only; an unknown key is an error that
suggests the nearest name and never applies it. The resolved copy, every key written out, is
saved with the run and is enough to repeat it.
"""

from __future__ import annotations

import difflib
import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from facial_expressions.errors import RecipeError

__all__ = [
    "AugmentationRecipe",
    "DataRecipe",
    "NetworkRecipe",
    "OptimizationRecipe",
    "Recipe",
    "RunRecipe",
]


def _check(name: str, value: object, *, ok: bool, allowed: str) -> None:
    if not ok:
        raise RecipeError(f"recipe value {name} is out of range; received {value!r}; use {allowed}")


@dataclass(frozen=True, slots=True)
class RunRecipe:
    """Section ``[run]``.

    Attributes:
        name: Name of the model that the run makes; letters, digits and hyphens.
        seed: Seed of weights, order, augmentation and dropout, 0 to 2**31 - 1.
    """

    name: str = "standardized-cnn"
    seed: int = 1

    def __post_init__(self) -> None:
        ok = bool(self.name) and all(c.isascii() and (c.isalnum() or c == "-") for c in self.name)
        _check("run.name", self.name, ok=ok, allowed="letters, digits and hyphens")
        _check("run.seed", self.seed, ok=0 <= self.seed < 2**31, allowed="0 to 2147483647")


@dataclass(frozen=True, slots=True)
class DataRecipe:
    """Section ``[data]``.

    Attributes:
        protocol: ``competition`` (28,709 / 3,589 / 3,589) or ``kaggle`` (22,968 / 5,741 / 7,178),
            or ``folder`` for class folders of one's own.
        average_duplicates: Whether byte-identical training pictures share the mean of their
            targets, so that copies with two labels do not contradict each other.
    """

    protocol: str = "competition"
    average_duplicates: bool = False

    def __post_init__(self) -> None:
        names = ("competition", "kaggle", "folder")
        _check("data.protocol", self.protocol, ok=self.protocol in names, allowed=f"one of {names}")


@dataclass(frozen=True, slots=True)
class NetworkRecipe:
    """Section ``[network]``.

    Attributes:
        architecture: A registered architecture.
        size: Side of a crop in pixels, 16 to 512.
        mean: Subtracted from grey values scaled to 0..1.
        std: Divided by, after that; above 0.
        dropout: Fraction dropped before dense layers, 0 to below 1.
    """

    architecture: str = "standardized_cnn"
    size: int = 48
    mean: float = 0.5
    std: float = 0.25
    dropout: float = 0.4

    def __post_init__(self) -> None:
        _check("network.size", self.size, ok=16 <= self.size <= 512, allowed="16 to 512")
        _check("network.std", self.std, ok=self.std > 0, allowed="a number above 0")
        _check("network.dropout", self.dropout, ok=0 <= self.dropout < 1, allowed="0 to below 1")


@dataclass(frozen=True, slots=True)
class AugmentationRecipe:
    """Section ``[augmentation]``: ranges of the random changes to a training picture.

    Attributes:
        flip: Probability of a mirror image, 0 to 1.
        rotation_degrees: Largest turn either way.
        shift_fraction: Largest shift either way, as a fraction of the side.
        scale_fraction: Largest change of size either way; 0.1 is 0.9 to 1.1.
        brightness: Largest change of brightness either way, as a fraction of full white.
        contrast: Largest change of contrast either way; 0.3 is 0.7 to 1.3.
        erase: Probability that a rectangle is overwritten with grey, 0 to 1.
        erase_fraction: Longest side of that rectangle, as a fraction of the side.
        mixup: Parameter of the Beta distribution that two pictures and their targets are mixed by;
            0 is off (Zhang et al. 2018, arXiv:1710.09412).
        sizes: Sides in pixels that pictures are shrunk to at first, each for an equal share of the
            epochs; the last share is at ``network.size``. Empty: that size throughout. For networks
            that pool over the whole map (Tan and Le 2021, arXiv:2104.00298).
    """

    flip: float = 0.5
    rotation_degrees: float = 12.0
    shift_fraction: float = 0.1
    scale_fraction: float = 0.1
    brightness: float = 0.3
    contrast: float = 0.3
    erase: float = 0.0
    erase_fraction: float = 0.35
    mixup: float = 0.0
    sizes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        ok = all(16 <= size <= 512 for size in self.sizes)
        _check("augmentation.sizes", self.sizes, ok=ok, allowed="sides of 16 to 512")
        for one in fields(self):
            if one.name == "sizes":
                continue
            limit = 180.0 if one.name == "rotation_degrees" else 1.0
            value = getattr(self, one.name)
            ok = 0 <= value <= limit
            _check(f"augmentation.{one.name}", value, ok=ok, allowed=f"0 to {limit:g}")


@dataclass(frozen=True, slots=True)
class OptimizationRecipe:
    """Section ``[optimization]``.

    Attributes:
        epochs: Passes over the training pictures; the schedule always ends at 0.
        batch_size: Pictures a step.
        optimizer: ``adamw`` or ``sgd`` (Nesterov momentum 0.9).
        learning_rate: Peak of the schedule.
        warmup_epochs: Epochs of linear rise from 0 to the peak.
        weight_decay: Decoupled decay of kernels; not of biases or normalisation.
        loss: ``cross_entropy``, or ``binary_cross_entropy`` over the softmax outputs.
        label_smoothing: Share of each target spread over all classes, 0 to below 1.
        class_weights: ``none``, or ``balanced`` (weights of N / (K * count)).
        ferplus_weight: Weight of the loss of a second head that learns the FER+ votes; 0 is off.
        ema: Momentum of the averaged weights, which are what is validated and saved; 0 is off.
        precision: ``auto`` (bfloat16 where the hardware has it), ``float32`` or ``mixed_bfloat16``.
    """

    epochs: int = 50
    batch_size: int = 128
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    warmup_epochs: float = 1.0
    weight_decay: float = 0.05
    loss: str = "cross_entropy"
    label_smoothing: float = 0.1
    class_weights: str = "none"
    ferplus_weight: float = 0.0
    ema: float = 0.998
    precision: str = "auto"

    def __post_init__(self) -> None:
        choices = {
            "optimizer": ("adamw", "sgd"),
            "loss": ("cross_entropy", "binary_cross_entropy"),
            "class_weights": ("none", "balanced"),
            "precision": ("auto", "float32", "mixed_bfloat16"),
        }
        for name, allowed in choices.items():
            value = getattr(self, name)
            _check(f"optimization.{name}", value, ok=value in allowed, allowed=f"one of {allowed}")
        for name, low, high in (
            ("epochs", 1, 100_000),
            ("batch_size", 1, 65_536),
            ("learning_rate", 1e-12, 100),
            ("warmup_epochs", 0, self.epochs),
            ("weight_decay", 0, 10),
            ("label_smoothing", 0, 0.999),
            ("ferplus_weight", 0, 10),
            ("ema", 0, 0.999999),
        ):
            value = getattr(self, name)
            _check(
                f"optimization.{name}", value, ok=low <= value <= high, allowed=f"{low} to {high}"
            )


@dataclass(frozen=True, slots=True)
class Recipe:
    r"""A whole recipe.

    Example:
        >>> recipe = Recipe.parse("[optimization]\nepochs = 3")
        >>> recipe.optimization.epochs, recipe.run.seed
        (3, 1)
    """

    run: RunRecipe = field(default_factory=RunRecipe)
    data: DataRecipe = field(default_factory=DataRecipe)
    network: NetworkRecipe = field(default_factory=NetworkRecipe)
    augmentation: AugmentationRecipe = field(default_factory=AugmentationRecipe)
    optimization: OptimizationRecipe = field(default_factory=OptimizationRecipe)

    @classmethod
    def load(cls, path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
        """Read a recipe file.

        Args:
            path: A TOML file.
            overrides: ``section.key=value`` texts, applied after the file; values as in TOML, and a
                bare word is a text.

        Raises:
            RecipeError: The file cannot be read, or a key or value is wrong.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"recipe {path} cannot be read: {error}; give a TOML file") from error
        return cls.parse(text, overrides, source=str(path))

    @classmethod
    def parse(cls, text: str, overrides: Sequence[str] = (), *, source: str = "recipe") -> Recipe:
        """Read a recipe from text.

        Args:
            text: TOML.
            overrides: As in ``load``.
            source: Name of the text, for messages.

        Raises:
            RecipeError: The text is no TOML, or a key or value is wrong.
        """
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"{source} is not valid TOML: {error}; correct that line") from error
        for override in overrides:
            _apply_override(data, override)
        return cls.from_dict(data, source=source)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, source: str = "recipe") -> Recipe:
        """Build a recipe from nested dictionaries.

        Args:
            data: Sections by name, each a dictionary.
            source: Name of the data, for messages.

        Raises:
            RecipeError: A section or key is unknown, or a value has another type or range.
        """
        sections = {one.name: one.default_factory for one in fields(cls)}
        _refuse_unknown(data, list(sections), where=source, kind="section")
        values = {}
        for name, section_class in sections.items():
            section = data.get(name, {})
            if not isinstance(section, Mapping):
                raise RecipeError(
                    f"{source}: {name} is a section; received {section!r}; write [{name}]"
                )
            values[name] = _build_section(section_class, section, where=f"{source} [{name}]")
        return cls(**values)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return nested plain values, every key written out."""
        return asdict(self)

    def to_toml(self) -> str:
        """Return the recipe as TOML, every key written out.

        Example:
            >>> Recipe.parse(Recipe().to_toml()) == Recipe()
            True
        """
        lines = []
        for name, section in self.to_dict().items():
            lines.append(f"[{name}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in section.items()]
            lines.append("")
        return "\n".join(lines)


def _refuse_unknown(data: Mapping[str, Any], known: list[str], *, where: str, kind: str) -> None:
    for key in data:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise RecipeError(
                f"{where} has an unknown {kind}; received {key!r}; {hint}known: {known}"
            )


_TYPE_NAMES = {
    bool: "true or false",
    float: "a number",
    int: "a whole number",
    str: "a text in quotes",
    tuple: "a list of whole numbers",
}


def _build_section(section_class: Any, section: Mapping[str, Any], *, where: str) -> Any:  # noqa: ANN401 - one of five section classes
    known = {one.name: type(getattr(section_class(), one.name)) for one in fields(section_class)}
    _refuse_unknown(section, list(known), where=where, kind="key")
    values: dict[str, Any] = {}
    for key, value in section.items():
        wanted = known[key]
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if wanted is float and is_number and math.isfinite(value):
            values[key] = float(value)
        elif wanted is tuple and isinstance(value, list) and all(type(v) is int for v in value):
            values[key] = tuple(value)
        elif type(value) is wanted and wanted not in (float, tuple):
            values[key] = value
        else:
            raise RecipeError(
                f"{where} {key} has another type; received {value!r}; write {_TYPE_NAMES[wanted]}"
            )
    return section_class(**values)


def _apply_override(data: dict[str, Any], override: str) -> None:
    path, sep, text = override.partition("=")
    section, dot, key = path.strip().partition(".")
    if not (sep and dot and section and key):
        raise RecipeError(
            f"an override is section.key=value; received {override!r}; "
            "write for example optimization.epochs=3"
        )
    try:
        value = tomllib.loads(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    data.setdefault(section, {})[key] = value
