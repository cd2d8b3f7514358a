"""Compares training with plain Keras: ``fit`` on ``image_dataset_from_directory`` in float32.

Both sides train the original network by its recipe (``recipes/seed.toml``) on the same made images
for the same number of steps, each time in a process of its own, in turns; the first steps, in which
graphs are built, are not counted. The plain side has ``keras.layers.Conv2D`` where the package has
``SmallMapConv2D``, its own layer with the same variables and the same result, and mirrors images
by Keras' own layer.

Example:
    python -m benchmarks.training_speed
    python -m benchmarks.training_speed --backend torch
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from benchmarks.record import ROOT, write_results

BATCH: Final = 128
WARM_UP: Final = 5
N_CLASSES: Final = 7
RECIPE: Final = ROOT / "recipes" / "seed.toml"


class _EnoughSteps(Exception):
    """Ends a run that has been timed."""


def main() -> None:
    """Time both sides in turns and write the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=60, help="steps that are timed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backend", default="tensorflow", help="Keras' backend on our side")
    parser.add_argument("--side", choices=("ours", "plain"), help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="a short trial; nothing is written")
    options = parser.parse_args()
    if options.quick:
        options.steps, options.rounds = 3, 1
    if options.side:
        run = train_ours if options.side == "ours" else train_plainly
        print(json.dumps(run(options.steps)))
        return
    rates: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(options.rounds):
        for side, measured in rates.items():
            backend = options.backend if side == "ours" else "tensorflow"
            measured.append(_start(side, options.steps, backend))
    ours, plain = (statistics.median(one) for one in rates.values())
    figures = {
        "network": "standardized_cnn",
        "backend": options.backend,
        "batch": BATCH,
        "steps": options.steps,
        "images_per_s": {"ours": round(ours, 1), "plain": round(plain, 1)},
        "ratio": round(ours / plain, 3),
        "rounds": options.rounds,
    }
    write_results("training_speed", figures, keep=not options.quick)


def train_ours(steps: int) -> float:
    """Return the images a second of the package's own training.

    Args:
        steps: Steps that are timed.
    """
    from facial_expressions.data.dataset import Dataset, Split
    from facial_expressions.labels import FER2013
    from facial_expressions.training.recipe import Recipe
    from facial_expressions.training.train import TrainingProgress, train

    images, labels = made_images((steps + WARM_UP) * BATCH)

    def split(name: str, n: int) -> Split:
        return Split(name, images[:n], labels[:n], np.full(n, ""), ("",) * n)

    parts = split("train", len(images)), split("validation", BATCH), split("test", 0)
    times: list[float] = []

    def on_progress(progress: TrainingProgress) -> None:
        times.append(time.perf_counter())
        if progress.step == steps + WARM_UP:
            raise _EnoughSteps

    recipe = Recipe.load(RECIPE, [f"optimization.batch_size={BATCH}"])
    with tempfile.TemporaryDirectory() as folder:
        dataset = Dataset("made", "folder", FER2013, *parts)
        with contextlib.suppress(_EnoughSteps):
            train(recipe, dataset, folder, on_progress=on_progress)
    return steps * BATCH / (times[-1] - times[WARM_UP - 1])


def train_plainly(steps: int) -> float:
    """Return the images a second of ``fit`` on ``image_dataset_from_directory``.

    Args:
        steps: Steps that are timed.
    """
    import keras

    from facial_expressions.architectures.registry import build_architecture

    images, labels = made_images((steps + WARM_UP) * BATCH)
    with tempfile.TemporaryDirectory() as folder:
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            path = Path(folder) / str(label) / f"{number}.jpg"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(image).save(path)
        files = keras.utils.image_dataset_from_directory(
            folder, label_mode="categorical", color_mode="rgb", batch_size=BATCH,
            image_size=(48, 48), verbose=False,
        )  # fmt: skip
        network = _with_plain_layers(build_architecture("standardized_cnn", (48, 48, 3), N_CLASSES))
        model = keras.Sequential(
            [
                keras.layers.Rescaling(1 / 63.75, offset=-2.0),
                keras.layers.RandomFlip("horizontal"),
                network,
            ]
        )
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
        times: list[float] = []
        note = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: times.append(time.perf_counter())
        )
        model.fit(files, epochs=1, verbose=0, shuffle=False, callbacks=[note])
    return steps * BATCH / (times[steps + WARM_UP - 1] - times[WARM_UP - 1])


def made_images(n: int) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], np.ndarray[Any, Any]]:
    """Return smooth random images and labels, ``uint8 (N, 48, 48)`` and ``int64 (N,)``.

    Args:
        n: How many.
    """
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (n, 6, 6), np.uint8)
    images = [np.asarray(Image.fromarray(one).resize((48, 48))) for one in small]
    return np.stack(images), rng.integers(0, N_CLASSES, n, np.int64)


def _with_plain_layers(network: Any) -> Any:  # noqa: ANN401 - Keras publishes no types
    """Return the network with Keras' own convolution in place of ``SmallMapConv2D``."""
    import keras

    from facial_expressions.architectures.standardized_cnn import SmallMapConv2D

    def plain(layer: Any) -> Any:  # noqa: ANN401
        kind = keras.layers.Conv2D if isinstance(layer, SmallMapConv2D) else type(layer)
        return kind.from_config(layer.get_config())

    return keras.models.clone_model(network, clone_function=plain)


def _start(side: str, steps: int, backend: str) -> float:
    """Train on one side in a process of its own; return its images a second."""
    done = subprocess.run(
        [
            sys.executable, "-m", "benchmarks.training_speed", "--side", side,
            "--steps", str(steps),
        ],
        env=os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2"},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )  # fmt: skip
    return float(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
