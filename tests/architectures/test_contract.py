"""What every registered architecture must do: build, learn, and agree with its exported file."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from facial_expressions.architectures.registry import (
    build_architecture,
    get_architecture,
    list_architectures,
    register_architecture,
)
from facial_expressions.calibration import Calibration
from facial_expressions.errors import RecipeError
from facial_expressions.inference.runtime import open_session
from facial_expressions.labels import FER2013
from facial_expressions.model_metadata import Head
from facial_expressions.training.onnx_graph import build_onnx, to_half_weights
from tests.tiny_model import metadata_of

NAMES = list_architectures()


def _build(name: str) -> keras.Model:
    keras.utils.set_random_seed(3)
    return build_architecture(name, (48, 48, get_architecture(name).channels), 7)


@pytest.mark.parametrize("name", NAMES)
def test_it_gives_one_logit_per_class_for_every_crop(name: str) -> None:
    network = _build(name)
    inputs = np.random.default_rng(7).normal(size=(3, *network.input_shape[1:]))
    logits = network.predict_on_batch(inputs.astype(np.float32))
    assert logits.shape == (3, 7)
    assert logits.dtype == np.float32
    assert logits.sum(axis=1) != pytest.approx(1), "logits, not probabilities"


@pytest.mark.parametrize("name", NAMES)
def test_it_learns_four_images_by_heart(name: str) -> None:
    network = _build(name)
    rng = np.random.default_rng(4)
    inputs = rng.normal(size=(4, *network.input_shape[1:])).astype(np.float32)
    labels = np.array([0, 2, 4, 6])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(1e-3), loss, run_eagerly=True)
    losses = [float(network.train_on_batch(inputs, labels)) for _ in range(12)]
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_its_model_file_agrees_with_keras(name: str, half: bool, tmp_path: Path) -> None:
    network = _build(name)
    rng = np.random.default_rng(5)
    for variable in network.variables:
        if "moving" in variable.path:  # statistics as after training, not zeros and ones
            variable.assign(rng.uniform(0.5, 1.5, tuple(variable.shape)))
    grey = rng.normal(size=(9, 48, 48, 1)).astype(np.float32)
    head = Head("fer2013", FER2013, Calibration((0.5,) * 6 + (-0.5,), temperature=1.5))
    metadata = metadata_of(head)
    content = build_onnx(network, metadata)
    path = tmp_path / "made.onnx"
    path.write_bytes((to_half_weights(content) if half else content).SerializeToString())
    inputs = np.repeat(grey, network.input_shape[-1], axis=-1)
    biases = np.array([0.5] * 6 + [-0.5])
    logits = (network.predict_on_batch(inputs).astype(np.float64) + biases) / 1.5
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    actual = open_session(path).run({"crops": grey}, outputs=["fer2013_probabilities"])[0]
    np.testing.assert_allclose(actual, expected, atol=3e-3 if half else 1e-5)


def test_an_unknown_architecture_is_named_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"'standardised_cnn'.*Did you mean 'standardized_cnn'"):
        build_architecture("standardised_cnn", (48, 48, 3), 7)


def test_a_name_can_be_registered_once_only() -> None:
    with pytest.raises(ValueError, match="registered twice"):
        register_architecture("standardized_cnn", channels=3)(lambda shape, n, **_: keras.Model())
