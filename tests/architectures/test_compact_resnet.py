"""The compact network against its own table: parameters, multiply-adds, sides, exact maps."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from facial_expressions.architectures.compact_resnet import compact_resnet

# Convolutions written out by hand: side of the result, kernel side, channels in, channels out.
CONVOLUTIONS = [
    (48, 3, 1, 16), (24, 3, 16, 48),
    (24, 3, 48, 48), (24, 3, 48, 48),
    (12, 3, 48, 96), (12, 3, 96, 96), (12, 1, 48, 96),
    (12, 3, 96, 96), (12, 3, 96, 96),
    (6, 3, 96, 192), (6, 3, 192, 192), (6, 1, 96, 192),
    (6, 3, 192, 192), (6, 3, 192, 192),
    (6, 3, 192, 192), (6, 3, 192, 192),
]  # fmt: skip
SQUEEZED = 3  # blocks of the last stage: 192 to 24 channels and back, with biases
CLASSES = 7


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(1)
    return compact_resnet((48, 48, 1), CLASSES)


def test_it_has_2_2_million_parameters(network: keras.Model) -> None:
    kernels = sum(k * k * a * b for _, k, a, b in CONVOLUTIONS)
    norms = sum(4 * b for *_, b in CONVOLUTIONS)  # scale, offset, mean and variance
    excitation = SQUEEZED * (192 * 24 + 24 + 24 * 192 + 192)
    head = 192 * CLASSES + CLASSES
    assert network.count_params() == kernels + norms + excitation + head == 2_224_223


def test_it_takes_137_million_multiply_adds(network: keras.Model) -> None:
    by_hand = sum(side * side * k * k * a * b for side, k, a, b in CONVOLUTIONS)
    by_hand += SQUEEZED * 2 * 192 * 24 + 192 * CLASSES
    counted = 0
    for layer in network.layers:
        if hasattr(layer, "kernel"):
            places = int(np.prod(layer.output.shape[1:-1]))  # 1 for the dense layer
            counted += places * int(np.prod(layer.kernel.shape))
    assert counted == by_hand == 137_052_480


def test_the_wide_network_takes_327_million_multiply_adds() -> None:
    """Counted by hand: side, kernel side, channels in and out of each convolution."""
    blocks = [(24, 64, 2), (12, 128, 5), (6, 256, 7)]  # convolutions whose channels stay the same
    by_hand = sum(side**2 * 9 * c * c * n for side, c, n in blocks)
    by_hand += 48**2 * 9 * 16 + 24**2 * 9 * 16 * 64
    by_hand += 12**2 * 10 * 64 * 128 + 6**2 * 10 * 128 * 256  # 3x3, and the shortcut's 1x1
    by_hand += 4 * 2 * 256 * 32 + 256 * CLASSES
    counted = sum(
        int(np.prod(layer.output.shape[1:-1])) * int(np.prod(layer.kernel.shape))
        for layer in compact_resnet((48, 48, 1), CLASSES, wide=True).layers
        if hasattr(layer, "kernel")
    )
    assert counted == by_hand == 326_571_776


def test_the_mean_of_a_class_map_plus_its_bias_is_the_logit(network: keras.Model) -> None:
    inputs = np.random.default_rng(1).normal(size=(2, 48, 48, 1)).astype(np.float32)
    last_map = keras.Model(network.inputs[0], network.get_layer("pool").input)
    kernel, bias = network.get_layer("logits").get_weights()
    maps = last_map.predict_on_batch(inputs) @ kernel  # (2, 6, 6, 7)
    assert maps.shape == (2, 6, 6, CLASSES)
    expected = network.predict_on_batch(inputs)
    np.testing.assert_allclose(maps.mean(axis=(1, 2)) + bias, expected, atol=1e-4)


def test_with_open_sides_it_answers_as_with_fixed_ones(network: keras.Model) -> None:
    anywhere = compact_resnet((None, None, 1), CLASSES)
    anywhere.set_weights(network.get_weights())
    inputs = np.random.default_rng(2).normal(size=(2, 48, 48, 1)).astype(np.float32)
    expected = network.predict_on_batch(inputs)
    np.testing.assert_allclose(anywhere.predict_on_batch(inputs), expected, atol=1e-4)
    assert anywhere.predict_on_batch(inputs[:, :32, :32]).shape == (2, CLASSES)


def test_a_fresh_block_passes_its_input_on(network: keras.Model) -> None:
    """The scale that closes a block starts from zero, so the shortcut alone is heard."""
    fresh = compact_resnet((48, 48, 1), CLASSES)
    inputs = np.random.default_rng(3).normal(size=(1, 48, 48, 1)).astype(np.float32)
    names = ("stem_2_relu", "stage1_1_relu")
    both = keras.Model(fresh.inputs[0], [fresh.get_layer(name).output for name in names])
    before, after = both.predict_on_batch(inputs)
    np.testing.assert_allclose(after, before, atol=1e-5)
