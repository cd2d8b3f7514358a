"""Optimiser and schedule, built from a recipe."""

from __future__ import annotations

import keras

from facial_expressions.training.fused_optimizers import FusedAdamW
from facial_expressions.training.recipe import OptimizationRecipe

__all__ = ["build_optimizer", "cosine_schedule"]


def cosine_schedule(
    recipe: OptimizationRecipe, steps_per_epoch: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return linear warm-up from 0, then a cosine that reaches 0 at the last step.

    Args:
        recipe: Peak, epochs and warm-up.
        steps_per_epoch: Steps in one epoch.
    """
    total = recipe.epochs * steps_per_epoch
    warmup = min(round(recipe.warmup_epochs * steps_per_epoch), total - 1)
    if warmup == 0:
        return keras.optimizers.schedules.CosineDecay(recipe.learning_rate, total)
    return keras.optimizers.schedules.CosineDecay(
        0.0, total - warmup, warmup_target=recipe.learning_rate, warmup_steps=warmup
    )


def build_optimizer(
    recipe: OptimizationRecipe, model: keras.Model, steps_per_epoch: int
) -> keras.optimizers.Optimizer:
    """Return the optimiser, built for the model's variables; only kernels decay.

    Args:
        recipe: Kind, schedule, decay and averaging.
        model: The network to train.
        steps_per_epoch: Steps in one epoch.
    """
    rate = cosine_schedule(recipe, steps_per_epoch)
    average = {"use_ema": recipe.ema > 0, "ema_momentum": recipe.ema or 0.99}
    if recipe.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(
            rate, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay or None, **average
        )
    else:
        optimizer = FusedAdamW(rate, weight_decay=recipe.weight_decay, **average)
    without_decay = [v for v in model.trainable_variables if "kernel" not in v.name]
    optimizer.exclude_from_weight_decay(var_list=without_decay)
    optimizer.build(model.trainable_variables)
    return optimizer
