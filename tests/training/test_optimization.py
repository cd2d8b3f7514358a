"""Schedule and optimiser against values worked out by hand."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest

from facial_expressions.training.optimization import FusedAdamW, build_optimizer, cosine_schedule
from facial_expressions.training.recipe import OptimizationRecipe


def test_the_schedule_rises_to_the_peak_and_falls_to_zero() -> None:
    recipe = OptimizationRecipe(epochs=10, learning_rate=0.1, warmup_epochs=2.0)
    schedule = cosine_schedule(recipe, 5)  # 50 steps, the first 10 rising
    rates = [float(schedule(step)) for step in (0, 5, 10, 30, 50)]
    assert rates == pytest.approx([0.0, 0.05, 0.1, 0.05, 0.0], abs=1e-7)


def test_a_schedule_without_warm_up_starts_at_the_peak() -> None:
    recipe = OptimizationRecipe(epochs=2, learning_rate=0.1, warmup_epochs=0.0)
    schedule = cosine_schedule(recipe, 4)
    rates = [float(schedule(step)) for step in (0, 4, 8)]
    assert rates == pytest.approx([0.1, 0.05, 0.0], abs=1e-7)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_only_kernels_decay(name: str) -> None:
    inputs = keras.layers.Input((4,))
    x = keras.layers.BatchNormalization()(keras.layers.Dense(3)(inputs))
    model = keras.Model(inputs, x)
    recipe = OptimizationRecipe(
        optimizer=name, weight_decay=0.5, learning_rate=0.1, warmup_epochs=0.0, ema=0.0
    )
    optimizer = build_optimizer(recipe, model, 10)
    before = {v.path: keras.ops.convert_to_numpy(v) + 0 for v in model.trainable_variables}
    zeros = [keras.ops.zeros_like(v) for v in model.trainable_variables]
    optimizer.apply(zeros, model.trainable_variables)
    for variable in model.trainable_variables:
        factor = 1 - 0.1 * 0.5 if "kernel" in variable.name else 1.0
        after = keras.ops.convert_to_numpy(variable)
        np.testing.assert_allclose(after, before[variable.path] * factor, rtol=1e-5)


def test_without_decay_a_step_does_not_touch_the_weights_for_it() -> None:
    """Not even by a subtraction of zeros, which a weight that is not finite would show."""
    inputs = keras.layers.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False)(inputs))
    optimizer = build_optimizer(OptimizationRecipe(weight_decay=0.0, ema=0.0), model, 10)
    model.set_weights([np.array([[np.inf]])])
    optimizer.apply([keras.ops.zeros((1, 1))], model.trainable_variables)
    assert np.isposinf(model.get_weights()[0]).all()  # inf - inf * 0 is not a number


def test_averaged_weights_follow_the_recipes_momentum() -> None:
    inputs = keras.layers.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False)(inputs))
    model.set_weights([np.array([[1.0]])])
    recipe = OptimizationRecipe(
        epochs=1, optimizer="sgd", learning_rate=1.0, weight_decay=0.0, warmup_epochs=0.0, ema=0.9
    )
    recipe = dataclasses.replace(recipe, epochs=1000)  # a rate of 1 all along
    optimizer = build_optimizer(recipe, model, 1000)
    weights = [1.0]
    average = None
    for _ in range(3):
        optimizer.apply([np.array([[0.1]], np.float32)], model.trainable_variables)
        weights.append(float(model.get_weights()[0][0, 0]))
        average = weights[-1] if average is None else 0.9 * average + 0.1 * weights[-1]
    optimizer.finalize_variable_values(model.trainable_variables)
    assert float(model.get_weights()[0][0, 0]) == pytest.approx(average, rel=1e-5)


def _steps(kind: type[keras.optimizers.AdamW], decay: float) -> list[np.ndarray]:
    """Return weights, moments, averaged weights and their final values after 25 steps."""
    random = np.random.default_rng(0)
    inputs = keras.layers.Input((5,))
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Dense(4)(inputs)))
    model.set_weights([random.normal(size=w.shape) for w in model.get_weights()])
    rate = keras.optimizers.schedules.CosineDecay(0.0, 50, warmup_target=0.01, warmup_steps=5)
    optimizer = kind(rate, weight_decay=decay, use_ema=True, ema_momentum=0.9)
    variables = model.trainable_variables
    optimizer.exclude_from_weight_decay(var_list=[v for v in variables if v.name == "bias"])
    optimizer.build(variables)
    for step in range(25):
        size = [1e-4, 1.0][step % 2]
        gradients = [random.normal(size=v.shape).astype(np.float32) * size for v in variables]
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], variables)
    arrays = [keras.ops.convert_to_numpy(one) + 0 for one in [*variables, *optimizer.variables]]
    optimizer.finalize_variable_values(variables)
    return [*arrays, *model.get_weights()]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the kernels are TensorFlow's")
@pytest.mark.parametrize("decay", [0.1, 0.0])
def test_the_steps_of_the_fused_adamw_are_those_of_keras(decay: float) -> None:
    plain, fused = _steps(keras.optimizers.AdamW, decay), _steps(FusedAdamW, decay)
    for one, other in zip(plain, fused, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-6)
