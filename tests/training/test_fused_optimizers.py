"""The fused AdamW takes the same steps as Keras' own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from typing import Final

import pytest

_SCRIPT: Final = """
import json
import keras, numpy as np
from facial_expressions.training.fused_optimizers import FusedAdamW

def steps(kind, decay):
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
        gradients = [random.normal(size=v.shape).astype("float32") * size for v in variables]
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], variables)
    arrays = [*variables, *optimizer.variables]
    values = [float(keras.ops.convert_to_numpy(one).astype("float64").sum()) for one in arrays]
    optimizer.finalize_variable_values(variables)
    return values + [float(w.sum()) for w in model.get_weights()]

print(json.dumps([
    steps(keras.optimizers.AdamW, 0.1) + steps(keras.optimizers.AdamW, 0.0),
    steps(FusedAdamW, 0.1) + steps(FusedAdamW, 0.0),
]))
"""


@pytest.mark.parametrize("backend", ["tensorflow", "torch"])
def test_the_steps_are_those_of_keras(backend: str) -> None:
    """Weights, moments, averaged weights and their final values, in sums."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"the Keras backend {backend} is not installed")
    environment = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        env=environment, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected, actual = json.loads(done.stdout.splitlines()[-1])
    assert actual == pytest.approx(expected, rel=1e-5, abs=1e-5)
