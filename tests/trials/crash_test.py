"""Kills trainings, saves and spoils files: does everything come back bit for bit?

Three parts. A tiny training is killed at random times, inside validation, inside a save and at the
change of epochs, sometimes several times, and resumed until it is done: weights, optimiser and
history must equal those of the run that nobody disturbed. One save is killed at each of its calls
to the system: a whole checkpoint must load. Checkpoint and model files are spoilt by flipped bits
and cuts: each must be noticed. Everything is derived from the seed; the exit code is 1 when
anything differs.

Example:
    python -m tests.trials.crash_test
    python -m tests.trials.crash_test --kills 2 --damages 50
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.record import write_results
from facial_expressions.errors import ModelError
from facial_expressions.inference.model_store import list_models
from facial_expressions.inference.onnx_bytes import check_onnx_bytes, seal_model
from facial_expressions.training import checkpoints
from facial_expressions.training.checkpoints import Checkpoint, load_latest, save
from tests.trials.crash_points import count_calls, kill_at_call, kill_this_process_at_call

__all__ = ["main"]

EPOCHS: Final = 4
KINDS: Final = ("time", "validation", "save", "epoch", "chain")
_STARTED: Final = "training started"
_CHAIN: Final = 3


def main() -> int:
    """Run the three parts and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--damages", type=int, default=1_000, help="of each kind of file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--die", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        _train(options.train, options.die)
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        training = _kill_trainings(folder, options.kills, options.seed)
        saving = _kill_saves(folder / "saves")
        damage = _spoil(folder / "damage", options.damages, options.seed)
    figures = {"seed": options.seed, "training": training, "save": saving, "damage": damage}
    write_results("crash_test", figures)
    whole = (
        training["equal"] == training["kills"]
        and training["undisturbed_runs_are_equal"]
        and saving["loaded"] == saving["kills"]
        and all(part["noticed"] == part["spoilt"] for part in damage.values())
    )
    return 0 if whole else 1


def _kill_trainings(folder: Path, n_kills: int, seed: int) -> dict[str, Any]:
    began = time.monotonic()
    reference = _finish(folder / "reference")
    took_s = time.monotonic() - began
    again = _finish(folder / "again")
    began_training_s = _seconds_to_start(folder / "timed")
    trains_s = max(0.5, took_s - began_training_s)
    rows: list[dict[str, Any]] = []
    for number in range(n_kills):
        random = np.random.default_rng([seed, number])
        kind = KINDS[number % len(KINDS)]
        run = folder / f"run-{number}"
        points = [
            _disturb(run, kind, random, trains_s) for _ in range(_CHAIN if kind == "chain" else 1)
        ]
        rows.append({"number": number, "kind": kind, "points": points,
                     "equal": _finish(run) == reference})  # fmt: skip
        shutil.rmtree(run)
    return {
        "undisturbed_runs_are_equal": reference == again,
        "seconds_of_a_run": round(took_s, 1),
        "kills": n_kills,
        "killed_in_fact": sum(any(p["killed"] for p in row["points"]) for row in rows),
        "equal": sum(row["equal"] for row in rows),
        "runs": rows,
    }


def _disturb(run: Path, kind: str, random: np.random.Generator, trains_s: float) -> dict[str, Any]:
    """Start or continue with a run and kill it at a random point; return what was done."""
    epoch = int(random.integers(1, EPOCHS + 1))
    if kind in ("time", "chain"):
        point: Any = round(float(random.uniform(0, trains_s)), 3)
        return {"after_s": point, "killed": _kill_after(run, point)}
    point = {
        "validation": f"validation:{epoch}:{random.uniform(0, 0.1):.4f}",
        "save": f"save:{epoch}:{random.integers(1, 60)}",
        "epoch": f"epoch:{epoch}:0",
    }[kind]
    with _training(run, point) as process:
        process.wait()
    return {"point": point, "killed": process.returncode == -signal.SIGKILL}


def _kill_after(run: Path, seconds: float) -> bool:
    with _training(run) as process:
        _wait_for_start(process)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    return process.returncode == -signal.SIGKILL


def _seconds_to_start(run: Path) -> float:
    began = time.monotonic()
    with _training(run) as process:
        _wait_for_start(process)
        took_s = time.monotonic() - began
        process.kill()
    return took_s


def _training(run: Path, die: str = "") -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "tests.trials.crash_test", "--train", str(run), "--die", die]
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", env=quiet
    )


def _wait_for_start(process: subprocess.Popen[str]) -> None:
    assert process.stdout
    for line in process.stdout:
        if _STARTED in line:
            return
    if process.wait() != 0:  # 0: an earlier start had finished it already
        raise SystemExit("the training did not start")


def _finish(run: Path) -> str:
    """Run a training to its end; return a digest of everything that it left."""
    with _training(run) as process:
        _, error = process.communicate()
    if process.returncode:
        raise SystemExit(f"the training failed in {run}: {error[-2000:]}")
    return _digest(run)


def _digest(run: Path) -> str:
    """Return SHA-256 over final weights, optimiser and history, times left out."""
    import h5py  # type: ignore[import-untyped]

    sha = hashlib.sha256()
    last = max((run / "checkpoints").glob("epoch-*.npz"))
    with np.load(last, allow_pickle=False) as arrays:
        for name in sorted(arrays.files):
            sha.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
    with h5py.File(run / "model.weights.h5") as file:
        file.visititems(
            lambda name, item: (
                sha.update(name.encode() + item[()].tobytes())
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    with (run / "history.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            row.pop("seconds")
            sha.update(json.dumps(row, sort_keys=True).encode())
    return sha.hexdigest()


def _train(folder: Path, die: str) -> None:
    """Train the tiny network in this process, which may have to die at a given point."""
    import keras

    from facial_expressions.architectures.registry import register_architecture
    from facial_expressions.training.recipe import Recipe
    from facial_expressions.training.train import TrainingProgress, train

    kind, epoch, value = (die or "never:0:0").split(":")

    @register_architecture("tiny_for_crashes", channels=1)
    def _build(shape: tuple[int, int, int], n_classes: int, *, dropout: float = 0.2) -> Any:  # noqa: ANN401 - Keras is untyped
        inputs = keras.layers.Input(shape)
        x = keras.layers.Conv2D(8, 5, strides=4, padding="same", activation="relu")(inputs)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.Dropout(dropout)(keras.layers.Flatten()(x))
        return keras.Model(inputs, keras.layers.Dense(n_classes)(x))

    class DieAtEpoch(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, index: int, logs: object = None) -> None:
            if kind == "epoch" and index + 1 == int(epoch):
                os.kill(os.getpid(), signal.SIGKILL)

    def on_progress(progress: TrainingProgress) -> None:
        if (progress.epoch, progress.step) == (1, 1) or progress.step == 1:
            print(_STARTED, flush=True)
        at_end = progress.epoch == int(epoch) and progress.step == progress.steps
        if kind == "validation" and at_end:
            threading.Timer(float(value), os.kill, (os.getpid(), signal.SIGKILL)).start()

    if kind == "save":
        _die_in_save(int(epoch), int(value))
    recipe = Recipe.from_dict(
        {
            "run": {"name": "tiny", "seed": 5},
            "data": {"protocol": "folder"},
            "network": {"architecture": "tiny_for_crashes", "dropout": 0.2},
            "augmentation": {"erase": 0.3},
            "optimization": {"epochs": EPOCHS, "batch_size": 8, "ema": 0.9},
        }
    )
    train(recipe, _drawn_data(), folder, on_progress=on_progress, callbacks=[DieAtEpoch()])


def _die_in_save(epoch: int, call: int) -> None:
    """Let this process die at a call to the system inside the save after an epoch."""
    real = checkpoints.save

    def save_and_die(folder: Path, checkpoint: Checkpoint, *, best: int) -> Path:
        if checkpoint.epochs == epoch:
            kill_this_process_at_call(call)
        return real(folder, checkpoint, best=best)

    checkpoints.save = save_and_die


def _drawn_data() -> Any:  # noqa: ANN401 - a data set, whose module is heavy to import
    """Return noise with a bright stripe whose place is the class: 112 to learn, 28 to validate."""
    from facial_expressions.data.dataset import Dataset, Split
    from facial_expressions.labels import FER2013

    def split(name: str, per_class: int, seed: int) -> Split:
        random = np.random.default_rng(seed)
        labels = np.repeat(np.arange(7), per_class).astype(np.int64)
        images = random.integers(0, 120, (len(labels), 48, 48)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[6 * label : 6 * label + 6] += 100
        usages = np.array(["Training"] * len(labels))
        sources = tuple(f"row {i}" for i in range(len(labels)))
        return Split(name, images, labels, usages, sources)

    return Dataset("drawn", "folder", FER2013, split("train", 16, 0), split("validation", 4, 1),
                   split("test", 1, 2))  # fmt: skip


def _example(epochs: int) -> Checkpoint:
    weights = np.random.default_rng(epochs).normal(size=(400, 400)).astype(np.float32)
    return Checkpoint(epochs, "run", {"weights/0": weights})


def _prepared(folder: Path) -> Path:
    for epochs in range(1, 6):
        save(folder, _example(epochs), best=1)
    return folder


def _kill_saves(folder: Path) -> dict[str, Any]:
    """Kill a save before each of its calls to the system."""
    template = _prepared(folder / "template")
    counted, example = Path(shutil.copytree(template, folder / "n")), _example(6)
    n_calls = count_calls(lambda: save(counted, example, best=1))
    outcomes = []
    number, was_killed = 0, True
    while was_killed:
        number += 1
        run = Path(shutil.copytree(template, folder / str(number)))
        was_killed = kill_at_call(
            number,
            lambda run=run: save(run, example, best=1),  # type: ignore[misc]
        )
        loaded = load_latest(run)
        whole = loaded is not None and all(
            np.array_equal(value, _example(loaded.epochs).arrays[name])
            for name, value in loaded.arrays.items()
        )
        outcomes.append(loaded.epochs if loaded is not None and whole else 0)
    return {
        "calls_of_a_save": n_calls,
        "kills": number - 1,
        "loaded": sum(epochs in (5, 6) for epochs in outcomes[:-1]),
        "loaded_the_one_before": outcomes.count(5),
    }


def _spoil(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """Flip bits and cut ends: of a checkpoint, a shipped model and one's own."""
    random = np.random.default_rng([seed, 99])
    _prepared(folder)
    newest = max(folder.glob("epoch-*.npz"))
    whole, noticed = newest.read_bytes(), 0
    for number in range(count):
        newest.write_bytes(_spoilt(whole, number, random))
        loaded = load_latest(folder)
        noticed += loaded is not None and loaded.epochs == 4
    results = {"checkpoint": {"spoilt": count, "noticed": noticed}}
    released = list_models()[0]
    whole = released.path.read_bytes()
    shipped = sum(
        hashlib.sha256(_spoilt(whole, number, random)).hexdigest() != released.sha256
        for number in range(count)
    )
    results["shipped model"] = {"spoilt": count, "noticed": shipped}
    sealed = whole if b"content_sha256" in whole[-200:] else seal_model(whole)
    noticed = sum(_is_refused(_spoilt(sealed, number, random)) for number in range(count))
    results["model of your own"] = {"spoilt": count, "noticed": noticed}
    return results


def _spoilt(whole: bytes, number: int, random: np.random.Generator) -> bytes:
    """Return a copy with one bit flipped, or, every other time, cut."""
    position = int(random.integers(len(whole)))
    if number % 2:
        return whole[:position]
    flipped = bytearray(whole)
    flipped[position] ^= 1 << int(random.integers(8))
    return bytes(flipped)


def _is_refused(data: bytes) -> bool:
    try:
        check_onnx_bytes(data, source="spoilt.onnx")
    except ModelError:
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
