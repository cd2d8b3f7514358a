"""Training on JAX, on one device and on several: the same network comes out."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facial_expressions.training.batches import Batch

pytestmark = [pytest.mark.train, pytest.mark.slow]

_SCRIPT = """
import dataclasses, json, sys
import keras, numpy as np
from facial_expressions.data.dataset import Dataset
from facial_expressions.errors import RecipeError
from facial_expressions.labels import FER2013
from facial_expressions.training import train as module
from facial_expressions.training.devices import spread_over_devices
from facial_expressions.training.recipe import Recipe
from facial_expressions.training.train import train
from tests.training import conftest

module.write_run_page = lambda folder: None  # which takes seconds
facts = ("train", 8, 0), ("validation", 3, 1000), ("test", 1, 2)
parts = [conftest._split(*one) for one in facts]
dataset = Dataset("drawn", "folder", FER2013, *parts)
recipe = Recipe.from_dict({
    "run": {"name": "tiny", "seed": 5}, "data": {"protocol": "folder"},
    "network": {"architecture": conftest.TINY, "dropout": 0.0},
    "optimization": {"epochs": 2, "batch_size": 14, "ema": 0.9, "learning_rate": 0.01,
                     "precision": "float32"},
})
too_small = dataclasses.replace(
    recipe, optimization=dataclasses.replace(recipe.optimization, batch_size=1)
)
devices = keras.distribution.list_devices()
answers = []
for n in (1, 2):
    keras.distribution.list_devices = lambda device_type=None: devices[:n]
    run = train(recipe, dataset, f"{sys.argv[1]}/{n}")
    left_behind = keras.distribution.distribution() is not None
    try:
        if n == 1:
            with spread_over_devices(1):
                message = ""
        else:
            train(too_small, dataset, f"{sys.argv[1]}/small-{n}")
    except RecipeError as error:
        message = str(error)
    answers.append({
        "losses": [row["loss"] for row in run.read_history()],
        "left_behind": left_behind, "message": message,
    })
print(json.dumps([len(devices), *answers]))
"""


def _train(folder: Path) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """Train two epochs on JAX, on one and on two devices, which are parts of the processor.

    Returns:
        How many devices there are, then what one device and two devices gave.
    """
    if importlib.util.find_spec("jax") is None:
        pytest.skip("the Keras backend jax is not installed")
    environment = os.environ | {
        "KERAS_BACKEND": "jax",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0",
    }
    command = [sys.executable, "-c", _SCRIPT, str(folder)]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    n, one, two = json.loads(done.stdout.splitlines()[-1])
    return n, one, two


def test_several_devices_train_as_one_does(tmp_path: Path) -> None:
    n_devices, one, two = _train(tmp_path)
    assert n_devices == 2
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=1e-4)
    logits = []
    for name in ("1", "2"):
        with np.load(tmp_path / name / "validation.npz") as file:
            logits.append(file["fer2013_logits"])
    np.testing.assert_allclose(logits[1], logits[0], atol=1e-3)
    assert not two["left_behind"], "the next network of the process is on one device again"
    assert one["message"] == ""
    assert "1 inputs a step are too few for 2 devices" in two["message"]


@pytest.mark.parametrize(("n", "kept"), [(1, 7), (2, 6), (4, 4), (8, 0)])
def test_a_batch_is_cut_to_a_multiple(n: int, kept: int) -> None:
    numbers = np.arange(7, dtype=np.float32)
    batch = Batch(numbers[:, None], (numbers[:, None] + 10,), numbers + 20).cut_to_multiple(n)
    assert batch.inputs[:, 0].tolist() == list(range(kept))
    assert batch.targets[0][:, 0].tolist() == [10 + i for i in range(kept)]
    assert batch.weights.tolist() == [20 + i for i in range(kept)]
