"""The direct layers against Keras' own."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from facial_expressions.architectures.direct_layers import DirectConv2D, FusedBatchNormalization


def _pair(ours: keras.Layer, plain: keras.Layer, shape: tuple[int, ...]) -> None:
    """Give two layers the same random weights."""
    rng = np.random.default_rng(3)
    for layer in (ours, plain):
        layer.build(shape)
    weights = [rng.uniform(0.5, 1.5, tuple(weight.shape)) for weight in plain.weights]
    for layer in (ours, plain):
        layer.set_weights(weights)


def _apply(layer: keras.Layer, inputs: np.ndarray, **options: bool) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(layer(inputs, **options)), np.float32)


def _after_a_step(layer: keras.Layer, inputs: np.ndarray, slope: np.ndarray) -> list[np.ndarray]:
    """Return the layer's weights after one step down the gradient of ``sum(outputs * slope)``."""
    outer = keras.layers.Input(inputs.shape[1:])
    model = keras.Model(outer, layer(outer))
    model.compile(keras.optimizers.SGD(0.01), lambda y_true, y_pred: keras.ops.sum(y_true * y_pred))
    model.train_on_batch(inputs, slope)
    return [np.asarray(weight) for weight in layer.get_weights()]


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("sides", [(6, 6), (7, 7), (6, 9)])
def test_a_direct_convolution_equals_keras(sides: tuple[int, int], strides: int, size: int) -> None:
    options = {"strides": strides, "padding": "same", "activation": "tanh"}
    ours, plain = DirectConv2D(5, size, **options), keras.layers.Conv2D(5, size, **options)
    inputs = np.random.default_rng(size).normal(size=(3, *sides, 4)).astype(np.float32)
    _pair(ours, plain, inputs.shape)
    np.testing.assert_allclose(_apply(ours, inputs), _apply(plain, inputs), atol=1e-5)


@pytest.mark.parametrize("options", [{"padding": "valid"}, {"padding": "same", "groups": 2}])
def test_what_it_does_not_know_is_left_to_keras(options: dict[str, str | int]) -> None:
    ours, plain = DirectConv2D(4, 3, **options), keras.layers.Conv2D(4, 3, **options)
    inputs = np.random.default_rng(1).normal(size=(2, 7, 7, 4)).astype(np.float32)
    _pair(ours, plain, inputs.shape)
    np.testing.assert_allclose(_apply(ours, inputs), _apply(plain, inputs), atol=1e-5)


def test_a_direct_convolution_learns_as_keras_does() -> None:
    options = {"strides": 2, "padding": "same"}
    ours, plain = DirectConv2D(5, 3, **options), keras.layers.Conv2D(5, 3, **options)
    rng = np.random.default_rng(2)
    inputs = rng.normal(size=(3, 6, 6, 4)).astype(np.float32)
    slope = rng.normal(size=(3, 3, 3, 5)).astype(np.float32)
    _pair(ours, plain, inputs.shape)
    for one, other in zip(
        _after_a_step(ours, inputs, slope), _after_a_step(plain, inputs, slope), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("strides", [1, 2, 3])
@pytest.mark.parametrize("sides", [(8, 8), (7, 7), (4, 6), (9, 4)])
def test_in_bfloat16_it_learns_as_keras_does_in_float32(
    sides: tuple[int, int], strides: int, size: int
) -> None:
    """Whole numbers that bfloat16 holds exactly, so that the formats do not differ."""
    options = {"strides": strides, "padding": "same"}
    ours = DirectConv2D(4, size, dtype="mixed_bfloat16", **options)
    plain = keras.layers.Conv2D(4, size, dtype="float32", **options)
    rng = np.random.default_rng(size)
    inputs = rng.integers(-1, 2, (2, *sides, 3)).astype(np.float32)
    slope = rng.integers(-1, 2, (2, *(-(-n // strides) for n in sides), 4)).astype(np.float32)
    _pair(ours, plain, inputs.shape)
    for one, other in zip(
        _after_a_step(ours, inputs, slope), _after_a_step(plain, inputs, slope), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("strides", [1, 2])
def test_in_bfloat16_it_passes_on_the_gradient_of_its_input(strides: int) -> None:
    rng = np.random.default_rng(8)
    inputs = rng.integers(-1, 2, (2, 8, 8, 2)).astype(np.float32)
    slope = rng.integers(-1, 2, (2, 8 // strides, 8 // strides, 4)).astype(np.float32)
    first = rng.integers(-1, 2, (1, 1, 2, 3)), np.zeros(3)
    second = rng.integers(-1, 2, (3, 3, 3, 4)), np.zeros(4)
    learnt = []
    for kind, dtype in ((DirectConv2D, "mixed_bfloat16"), (keras.layers.Conv2D, "float32")):
        below = kind(3, 1, padding="same", dtype=dtype)
        above = kind(4, 3, padding="same", strides=strides, dtype=dtype)
        below.build(inputs.shape)
        above.build((*inputs.shape[:3], 3))
        below.set_weights(first)
        above.set_weights(second)
        _after_a_step(keras.Sequential([below, above]), inputs, slope)
        learnt.append(below.get_weights()[0])
    np.testing.assert_allclose(learnt[0], learnt[1], atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_a_fused_normalisation_equals_keras_in_answer_and_statistics(training: bool) -> None:
    ours = FusedBatchNormalization(momentum=0.9)
    plain = keras.layers.BatchNormalization(momentum=0.9)
    inputs = np.random.default_rng(4).normal(2, 3, size=(8, 5, 5, 6)).astype(np.float32)
    _pair(ours, plain, inputs.shape)
    one, other = (_apply(layer, inputs, training=training) for layer in (ours, plain))
    np.testing.assert_allclose(one, other, atol=1e-4)
    for one, other in zip(ours.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4)


def test_the_moving_variance_is_that_of_the_whole_batch() -> None:
    layer = FusedBatchNormalization(momentum=0.75)
    inputs = np.random.default_rng(5).normal(size=(4, 3, 3, 2)).astype(np.float32)
    layer(inputs, training=True)
    variance = inputs.reshape(-1, 2).var(axis=0)  # divided by 36, not by 35
    moving = keras.ops.convert_to_numpy(layer.moving_variance)
    np.testing.assert_allclose(moving, 0.75 + 0.25 * variance, rtol=1e-4)


def test_a_fused_normalisation_learns_as_keras_does() -> None:
    ours, plain = FusedBatchNormalization(), keras.layers.BatchNormalization()
    rng = np.random.default_rng(6)
    inputs = rng.normal(size=(8, 4, 4, 3)).astype(np.float32)
    slope = rng.normal(size=(8, 4, 4, 3)).astype(np.float32)
    _pair(ours, plain, inputs.shape)
    for one, other in zip(
        _after_a_step(ours, inputs, slope), _after_a_step(plain, inputs, slope), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_a_frozen_normalisation_keeps_its_statistics() -> None:
    layer = FusedBatchNormalization(trainable=False)
    inputs = np.random.default_rng(7).normal(size=(4, 3, 3, 2)).astype(np.float32)
    layer(inputs, training=True)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer.moving_mean), [0, 0])
