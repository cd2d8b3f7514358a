"""The networks with the same weights give the same logits on every Keras backend installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from facial_expressions.architectures import build_architecture

_SCRIPT = """
import sys
import keras, numpy as np
from facial_expressions.architectures import build_architecture

folder = sys.argv[1]
with np.load(folder + "/given.npz") as file:
    arrays = [file[name] for name in sorted(file.files) if name.startswith("w")]
    inputs, targets = file["inputs"], file["targets"]
network = build_architecture("standardized_cnn", (48, 48, 3), 7, dropout=0.0)
for variable, array in zip(network.weights, arrays, strict=True):
    variable.assign(array)
logits = network.predict_on_batch(inputs)
loss = keras.losses.CategoricalCrossentropy(from_logits=True)
network.compile(
    keras.optimizers.SGD(0.01), loss, jit_compile=keras.backend.backend() == "jax"
)
first = float(network.train_on_batch(inputs, targets))
second = float(network.train_on_batch(inputs, targets))
np.savez(folder + "/answer.npz", logits=logits, losses=[first, second],
         backend=keras.backend.backend())
"""


def _given(folder: Path) -> dict[str, np.ndarray]:
    keras.utils.set_random_seed(6)
    network = build_architecture("standardized_cnn", (48, 48, 3), 7)
    rng = np.random.default_rng(6)
    given = {f"w{i:04d}": keras.ops.convert_to_numpy(v) for i, v in enumerate(network.weights)}
    given["inputs"] = rng.normal(size=(5, 48, 48, 3)).astype(np.float32)
    given["targets"] = np.eye(7, dtype=np.float32)[[0, 1, 2, 3, 6]]
    np.savez(folder / "given.npz", **given)
    return given | {"logits": network.predict_on_batch(given["inputs"])}


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_logits_and_a_training_step_are_the_same(backend: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"the Keras backend {backend} is not installed")
    given = _given(tmp_path)
    environment = os.environ | {
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "XLA_FLAGS": "--xla_backend_optimization_level=0",  # quick to compile, slow to run
    }
    command = [sys.executable, "-c", _SCRIPT, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "answer.npz") as answer:
        assert str(answer["backend"]) == backend
        np.testing.assert_allclose(answer["logits"], given["logits"], atol=1e-4)
        assert answer["losses"][1] < answer["losses"][0], "a step downhill lowers the loss"
