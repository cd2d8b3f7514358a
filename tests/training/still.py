"""The augmentation that leaves images as they are."""

from __future__ import annotations

from typing import Final

from facial_expressions.training.recipe import AugmentationRecipe

__all__ = ["STILL"]

STILL: Final = AugmentationRecipe(
    flip=0.0,
    rotation_degrees=0.0,
    shift_fraction=0.0,
    scale_fraction=0.0,
    brightness=0.0,
    contrast=0.0,
)
