"""Recipes: everything that decides a training run, as strict TOML.

A recipe has one level of sections, where each key stands with its default, the values that it takes
and what it means; an unknown key is an error that suggests the nearest name and never applies it.
The resolved copy, every key written out, is saved with the run and is enough to repeat it. A new
field's default leaves training as it was, so that recipes and run folders keep their meaning.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from facial_expressions.errors import RecipeError, first_line, parsed, suggest

T = TypeVar("T")


def _that(default: T, fits: Callable[[Any], object], allowed: str) -> T:
    """Return a field whose values fit; ``allowed`` says in words which do."""
    return field(default=default, metadata={"fits": fits, "allowed": allowed})


def _between(default: T, low: float, high: float) -> T:
    """Return a field whose value, or each of its values, lies in a range."""

    def fits(value: Any) -> bool:  # noqa: ANN401 - a number, or some
        return all(low <= one <= high for one in (value if isinstance(value, tuple) else (value,)))

    return _that(default, fits, f"{low} to {high}")


def _one_of(*texts: str) -> str:
    """Return a field that takes one of these texts, the first one by default."""
    return _that(texts[0], texts.__contains__, f"one of {texts}")


@dataclass(frozen=True, slots=True)
class _Section:
    """A section, which refuses values out of range."""

    def __post_init__(self) -> None:
        for one in fields(self):
            if one.metadata and not one.metadata["fits"](getattr(self, one.name)):
                self._refuse(one.name, one.metadata["allowed"])

    def _refuse(self, name: str, allowed: str) -> None:
        section = type(self).__name__.removesuffix("Recipe").lower()
        raise RecipeError(
            f"{section}.{name}: {getattr(self, name)!r} is out of range. Use {allowed}"
        )


@dataclass(frozen=True, slots=True)
class RunRecipe(_Section):
    """Section ``[run]``."""

    name: str = _that(  # of the model that the run makes
        "standardized-cnn", re.compile("[A-Za-z0-9-]+").fullmatch, "letters, digits and hyphens"
    )
    seed: int = _between(1, 0, 2**31 - 1)  # of weights, order, augmentation and dropout


@dataclass(frozen=True, slots=True)
class DataRecipe(_Section):
    """Section ``[data]``."""

    # 28,709 / 3,589 / 3,589 images; 22,968 / 5,741 / 7,178; or class folders of your own.
    protocol: str = _one_of("competition", "kaggle", "folder")
    # Byte-identical training images share the mean of their targets, so that copies with two labels
    # do not contradict each other.
    average_duplicates: bool = False
    # Share of each image's label that is replaced by what its FER+ votes say about labels
    # (``data.ferplus.labels_from_votes``); needs a ``ferplus_weight``.
    votes_in_labels: float = _between(0.0, 0, 1)


@dataclass(frozen=True, slots=True)
class NetworkRecipe(_Section):
    """Section ``[network]``."""

    architecture: str = "standardized_cnn"  # a registered one
    size: int = _between(48, 16, 512)  # side of a crop in pixels
    dropout: float = _between(0.4, 0, 0.999)  # fraction dropped before dense layers


@dataclass(frozen=True, slots=True)
class AugmentationRecipe(_Section):
    """Section ``[augmentation]``: ranges of the random changes to a training image."""

    flip: float = _between(0.5, 0, 1)  # probability of a mirror image
    rotation_degrees: float = _between(12.0, 0, 180)  # largest turn either way
    shift_fraction: float = _between(0.1, 0, 1)  # largest shift either way, of the side
    scale_fraction: float = _between(0.1, 0, 1)  # largest change of size; 0.1 is 0.9 to 1.1
    brightness: float = _between(0.3, 0, 1)  # largest change either way, of full white
    contrast: float = _between(0.3, 0, 1)  # largest change either way; 0.3 is 0.7 to 1.3
    erase: float = _between(0.0, 0, 1)  # probability of a grey rectangle over the image
    # Parameter of the Beta distribution that two images and their targets are mixed by; 0 is off
    # (Zhang et al. 2018, arXiv:1710.09412).
    mixup: float = _between(0.0, 0, 1)
    # Sides in pixels that images are shrunk to at first, each for an equal share of the epochs; the
    # last share is at ``network.size``. For networks that pool over the whole map (Tan and Le 2021,
    # arXiv:2104.00298).
    sizes: tuple[int, ...] = _between((), 16, 512)
    blur: float = _between(0.0, 0, 1)  # probability of a Gaussian blur
    low_resolution: float = _between(0.0, 0, 1)  # probability of being shrunk and enlarged again
    low_light: float = _between(0.0, 0, 1)  # probability of a dark image
    noise: float = _between(0.0, 0, 1)  # probability of Gaussian noise


@dataclass(frozen=True, slots=True)
class OptimizationRecipe(_Section):
    """Section ``[optimization]``."""

    epochs: int = _between(50, 1, 100_000)  # the schedule always ends at 0
    batch_size: int = _between(128, 1, 65_536)  # images a step
    optimizer: str = _one_of("adamw", "sgd")  # sgd has Nesterov momentum 0.9
    learning_rate: float = _between(1e-3, 1e-12, 100)  # peak of the schedule
    warmup_epochs: float = 1.0  # epochs of linear rise from 0 to the peak
    weight_decay: float = _between(0.05, 0, 10)  # decoupled; of kernels alone
    loss: str = _one_of("cross_entropy", "binary_cross_entropy")  # over the softmax outputs
    label_smoothing: float = _between(0.1, 0, 0.999)  # share of a target spread over all classes
    class_weights: str = _one_of("none", "balanced")  # weights of N / (K * count)
    ferplus_weight: float = _between(0.0, 0, 10)  # of a second head that learns FER+ votes; 0: none
    # Momentum of the averaged weights, which are what is validated and saved; 0 is off.
    ema: float = _between(0.998, 0, 0.999999)
    # auto: bfloat16 where the hardware has it.
    precision: str = _one_of("auto", "float32", "mixed_bfloat16")

    def __post_init__(self) -> None:
        super(OptimizationRecipe, self).__post_init__()
        if not 0 <= self.warmup_epochs <= self.epochs:
            self._refuse("warmup_epochs", f"0 to {self.epochs}")


@dataclass(frozen=True, slots=True)
class DistillationRecipe(_Section):
    """Section ``[distillation]``: learning from the answers of other networks.

    The loss is ``(1 - weight) * hard + weight * temperature**2 * KL(teachers || network)``, both
    distributions at ``temperature`` (Hinton et al. 2015, arXiv:1503.02531); the teachers answer on
    the very images that the network sees (Beyer et al. 2022, arXiv:2106.05237), or once for each.
    The teachers themselves are given to ``train``.
    """

    weight: float = _between(0.0, 0, 1)  # share of the teachers in the loss; 0 is off
    temperature: float = _between(2.0, 0.1, 20)  # what the logits of both are divided by
    per_image: bool = False  # answers once for each image, the mean over the test-time views


@dataclass(frozen=True, slots=True)
class Recipe:
    r"""A whole recipe.

    Examples:
        >>> recipe = Recipe.parse("[optimization]\nepochs = 3")
        >>> recipe.optimization.epochs, recipe.run.seed
        (3, 1)
    """

    run: RunRecipe = field(default_factory=RunRecipe)
    data: DataRecipe = field(default_factory=DataRecipe)
    network: NetworkRecipe = field(default_factory=NetworkRecipe)
    augmentation: AugmentationRecipe = field(default_factory=AugmentationRecipe)
    optimization: OptimizationRecipe = field(default_factory=OptimizationRecipe)
    distillation: DistillationRecipe = field(default_factory=DistillationRecipe)

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
            raise RecipeError(
                f"{path}: cannot be read: {first_line(error)}. Check the path and that it is text"
            ) from error
        return cls.parse(text, overrides, source=str(path))

    @classmethod
    def parse(cls, text: str, overrides: Sequence[str] = (), *, source: str = "recipe") -> Recipe:
        """Read a recipe from TOML, as ``load`` does; ``source`` names it in messages."""
        try:
            data = parsed(tomllib.loads, text)
        except ValueError as error:
            raise RecipeError(f"{source}: not valid TOML: {error}. Correct that line") from error
        for override in overrides:
            _apply_override(data, override)
        return cls.from_dict(data, source=source)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, source: str = "recipe") -> Recipe:
        """Build a recipe from sections by name, each a dictionary, with the checks of ``load``."""
        sections = {one.name: one.default_factory for one in fields(cls)}
        _refuse_unknown(data, list(sections), where=source, kind="section")
        values = {}
        for name, section_class in sections.items():
            section = data.get(name, {})
            if not isinstance(section, Mapping):
                raise RecipeError(f"{source}: {name} is a section, not {section!r}. Write [{name}]")
            values[name] = _build_section(section_class, section, where=f"{source} [{name}]")
        return cls(**values)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return nested plain values, every key written out."""
        return asdict(self)

    def to_toml(self) -> str:
        """Return the recipe as TOML, every key written out.

        Examples:
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
            raise RecipeError(f"{where}: unknown {kind} {key!r}. {suggest(key, known)}")


_TYPE_NAMES = {
    bool: "true or false",
    float: "a number",
    int: "a whole number",
    str: "a text in quotes",
    tuple: "a list of whole numbers",
}


def _build_section(section_class: Any, section: Mapping[str, Any], *, where: str) -> Any:  # noqa: ANN401 - one of the section classes
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
                f"{where} {key}: {value!r} has the wrong type. Write {_TYPE_NAMES[wanted]}"
            )
    return section_class(**values)


def _apply_override(data: dict[str, Any], override: str) -> None:
    path, sep, text = override.partition("=")
    section, dot, key = path.strip().partition(".")
    if not (sep and dot and section and key):
        raise RecipeError(
            f"{override!r}: not an override. Write section.key=value, such as optimization.epochs=3"
        )
    try:
        value = parsed(tomllib.loads, f"value = {text.strip()}")["value"]
    except ValueError:
        value = text.strip()
    data.setdefault(section, {})[key] = value
