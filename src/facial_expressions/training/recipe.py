"""Recipes: everything that decides a training run, as strict TOML.

A recipe has one level of sections (``recipe_sections.py``), where the defaults live; an unknown key
is an error that suggests the nearest name and never applies it. The resolved copy, every key
written out, is saved with the run and is enough to repeat it.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from facial_expressions.errors import RecipeError, first_line, parsed, suggest
from facial_expressions.training.recipe_sections import (
    AugmentationRecipe,
    DataRecipe,
    DistillationRecipe,
    NetworkRecipe,
    OptimizationRecipe,
    RunRecipe,
)


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
        """Read a recipe from text.

        Args:
            text: TOML.
            overrides: As in ``load``.
            source: Name of the text, for messages.

        Raises:
            RecipeError: The text is no TOML, or a key or value is wrong.
        """
        try:
            data = parsed(tomllib.loads, text)
        except ValueError as error:
            raise RecipeError(f"{source}: not valid TOML: {error}. Correct that line") from error
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
