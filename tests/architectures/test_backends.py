"""The networks with the same weights give the same logits on every Keras backend installed.

A process starts a backend, which takes seconds, once for all that is asked of it.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from facial_expressions.architectures.registry import build_architecture

_SCRIPT = """
import sys
import keras, numpy as np
from facial_expressions.architectures.registry import build_architecture
from facial_expressions.training.devices import make_deterministic

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
make_deterministic()
"""

_IS_DETERMINISTIC = {
    "tensorflow": "from tensorflow.python.framework import config\n"
    "print(config.is_op_determinism_enabled())",
    "torch": "import torch; print(torch.are_deterministic_algorithms_enabled())",
    "jax": "import os; print('xla_gpu_deterministic_ops=true' in os.environ['XLA_FLAGS'])",
}


def _given(folder: Path) -> dict[str, np.ndarray]:
    keras.utils.set_random_seed(6)
    network = build_architecture("standardized_cnn", (48, 48, 3), 7)
    rng = np.random.default_rng(6)
    given = {f"w{i:04d}": keras.ops.convert_to_numpy(v) for i, v in enumerate(network.weights)}
    given["inputs"] = rng.normal(size=(5, 48, 48, 3)).astype(np.float32)
    given["targets"] = np.eye(7, dtype=np.float32)[[0, 1, 2, 3, 6]]
    np.savez(folder / "given.npz", **given)
    return given | {"logits": network.predict_on_batch(given["inputs"])}


@pytest.mark.parametrize("backend", _IS_DETERMINISTIC)
def test_logits_and_a_training_step_are_the_same(backend: str, tmp_path: Path) -> None:
    """The backend says, too, that it is deterministic where that was asked for."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"the Keras backend {backend} is not installed")
    given = _given(tmp_path)
    environment = os.environ | {
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "XLA_FLAGS": "--xla_backend_optimization_level=0",  # quick to compile, slow to run
    }
    command = [sys.executable, "-c", _SCRIPT + _IS_DETERMINISTIC[backend], str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "True", done.stderr
    with np.load(tmp_path / "answer.npz") as answer:
        assert str(answer["backend"]) == backend
        np.testing.assert_allclose(answer["logits"], given["logits"], atol=1e-4)
        assert answer["losses"][1] < answer["losses"][0], "a step downhill lowers the loss"
