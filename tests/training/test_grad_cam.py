"""Grad-CAM: against the arithmetic of a network small enough for it, and on the seed's hooks."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from facial_expressions.architectures import build_architecture
from facial_expressions.errors import ModelError
from facial_expressions.training.grad_cam import grad_cam

BATCH = np.random.default_rng(7).normal(size=(3, 8, 8, 1)).astype(np.float32)


@pytest.fixture
def pooled() -> keras.Model:
    """One convolution, the mean over its map, one linear layer."""
    inputs = keras.layers.Input((8, 8, 1))
    maps = keras.layers.Conv2D(4, 3, strides=2, padding="same", name="maps")(inputs)
    means = keras.layers.GlobalAveragePooling2D()(maps)
    return keras.Model(inputs, keras.layers.Dense(5, name="logits")(means))


def test_it_is_the_weighted_sum_of_the_channels(pooled: keras.Model) -> None:
    """Here a logit is the mean over 16 places of the channels times its weights."""
    ids = np.array([2, 0, 4])
    kernel = np.asarray(pooled.get_layer("logits").kernel)  # (4, 5)
    maps = keras.Model(pooled.inputs, pooled.get_layer("maps").output).predict(BATCH, verbose=0)
    expected = np.maximum(np.einsum("nhwc,cn->nhw", maps, kernel[:, ids]) / 16, 0)
    np.testing.assert_allclose(
        grad_cam(pooled, BATCH, layer="maps", label_ids=ids), expected, atol=1e-6
    )


def test_without_an_expression_the_answer_is_explained(pooled: keras.Model) -> None:
    ids = pooled.predict(BATCH, verbose=0).argmax(axis=1)
    np.testing.assert_allclose(
        grad_cam(pooled, BATCH, layer="maps"),
        grad_cam(pooled, BATCH, layer="maps", label_ids=ids),
    )


@pytest.mark.parametrize(("layer", "side"), [("BeforeFinal_Layer", 8), ("Final_Layer", 1)])
def test_the_hooks_of_the_seeds_network_work(layer: str, side: int) -> None:
    keras.utils.set_random_seed(3)
    network = build_architecture("standardized_cnn", (48, 48, 3), 7)
    batch = np.random.default_rng(1).normal(size=(4, 48, 48, 3)).astype(np.float32)
    heat = grad_cam(network, batch, layer=layer)
    assert heat.shape == (4, side, side)
    assert np.isfinite(heat).all()
    assert heat.min() >= 0


@pytest.mark.parametrize("layer", ["logits", "no-such-layer"])
def test_a_layer_without_a_map_is_refused(pooled: keras.Model, layer: str) -> None:
    with pytest.raises(ModelError, match=rf"received '{layer}' .*choose one of .*'maps'"):
        grad_cam(pooled, BATCH, layer=layer)
