"""Training: from a recipe and a data set to a run folder, resumable at every epoch.

Order, augmentation and dropout are derived from seed and epoch, so a run that was stopped and
resumed takes the same steps as one that was not.
"""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Final

import keras
import numpy as np

from facial_expressions.data.dataset import Dataset
from facial_expressions.data.ferplus import Votes
from facial_expressions.errors import CheckpointError, MissingExtraError
from facial_expressions.files import remove_leftovers
from facial_expressions.pages.run_page import write_run_page
from facial_expressions.training import checkpoints, network
from facial_expressions.training.batches import Batch
from facial_expressions.training.devices import choose_precision, computing_in, spread_over_devices
from facial_expressions.training.material import EarlierWork, Material
from facial_expressions.training.optimization import build_optimizer
from facial_expressions.training.recipe import Recipe
from facial_expressions.training.run_folder import (
    EpochRow,
    RunFolder,
    describe_differences,
    identity_text,
)
from facial_expressions.training.trained_networks import copy_weights, save_final_weights

_RANDOM_STATE: Final = "seed_generator_state"
"""Keras' name of what a random layer draws its numbers from."""


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """Where a run stands, told after every step.

    Attributes:
        epoch: Epoch under way, from 1.
        epochs: Epochs in all.
        step: Steps done in this epoch.
        steps: Steps in an epoch.
        loss: Mean training loss of this epoch so far.
        last: The last finished epoch, if any.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    last: EpochRow | None


def train(
    recipe: Recipe,
    dataset: Dataset,
    run_dir: str | Path,
    *,
    votes: Votes | None = None,
    earlier: EarlierWork | None = None,
    on_progress: Callable[[TrainingProgress], None] | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> RunFolder:
    """Train one network, or continue where a stopped run left off.

    Args:
        recipe: Everything that decides the run.
        dataset: Needs train and validation images; its test images are not touched.
        run_dir: The run's folder; made if absent. The same folder resumes.
        votes: FER+ votes on each split, as ``data.ferplus_votes`` returns them; needed when the
            recipe has a ``ferplus_weight``, ignored otherwise.
        earlier: First weights and teachers; None draws the weights, and has no teachers.
        on_progress: Called after every step.
        callbacks: Keras callbacks, for example ``keras.callbacks.TensorBoard``.

    Returns:
        The folder of the finished run.

    Raises:
        DatasetError: Images or FER+ votes that the recipe needs are missing.
        RecipeError: Its teachers are not there, or its architecture cannot take its images.
        ModelError: First weights or a teacher do not fit; it says what differs.
        CheckpointError: The folder belongs to another run.
        StorageError: The folder cannot be written.
    """
    optimization = recipe.optimization
    precision = choose_precision(optimization.precision)
    with computing_in(precision), spread_over_devices(optimization.batch_size) as n_devices:
        material = Material(recipe, dataset, votes, earlier)
        trainer = _Trainer(material, RunFolder(Path(run_dir)), callbacks, n_devices)
        return trainer.run(on_progress or (lambda progress: None))


def tensorboard_callback(folder: str | Path) -> keras.callbacks.Callback:
    """Return the callback that writes a run's event files for TensorBoard to a folder.

    Raises:
        MissingExtraError: TensorBoard is not installed, or TensorFlow, whose writer Keras uses.
    """
    for extra, package in (("tensorboard", "tensorboard"), ("train", "tensorflow")):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError.of(extra, package)
    return keras.callbacks.TensorBoard(str(folder))


class _Trainer:
    """One run's network, optimiser and batches."""

    def __init__(
        self,
        material: Material,
        folder: RunFolder,
        callbacks: Sequence[keras.callbacks.Callback],
        n_devices: int,
    ) -> None:
        recipe, self.n_devices = material.recipe, n_devices
        self.material, self.recipe, self.folder = material, recipe, folder
        self.validation, self.truths = material.dataset.validation, material.truths()
        self.preprocessing = network.preprocessing_of(recipe)
        self.batches = material.batches()
        any_size = bool(recipe.augmentation.sizes)
        heads = {head.name: head.labels for head in material.heads}
        self.model = network.build_network(recipe, heads, any_size=any_size)
        if material.start is not None:
            copy_weights(material.start, self.model, recipe, material.dataset.labels)
        optimization = recipe.optimization
        self.optimizer = build_optimizer(optimization, self.model, len(self.batches))
        self.model.compile(
            optimizer=self.optimizer,
            loss=[self._training_loss(place) for place in range(len(material.heads))],
            loss_weights=[head.weight for head in material.heads],
            weighted_metrics=[
                [network.first_columns_accuracy()],
                *[[] for _ in material.heads[1:]],
            ],
            jit_compile=keras.backend.backend() == "jax",
        )
        kind = keras.callbacks.SwapEMAWeights if optimization.ema else keras.callbacks.Callback
        self.swap = kind()
        self.swap.set_model(self.model)
        self.callbacks = keras.callbacks.CallbackList(list(callbacks), model=self.model)

    def _training_loss(self, place: int) -> keras.losses.Loss:
        """Return a head's loss; one that is taught learns from its teachers too."""
        loss, teachers = self.material.heads[place].loss, self.material.teachers
        if teachers is None or place not in teachers.taught:
            return loss
        distillation = self.recipe.distillation
        weight, temperature = distillation.weight, distillation.temperature
        return network.Distillation(loss, weight=weight, temperature=temperature)

    def run(self, on_progress: Callable[[TrainingProgress], None]) -> RunFolder:
        origins, facts = self.material.origins(), self.material.facts
        identity = identity_text(self.recipe, facts, origins)
        remove_leftovers(self.folder.path)
        saved = checkpoints.load_latest(self.folder.checkpoints)
        start = saved.epochs if saved else 0
        if saved:
            self._restore(saved, identity)
        else:
            self.folder.begin(self.recipe, facts, origins)
        history = self.folder.read_history()[:start]
        self.callbacks.on_train_begin()
        for epoch in range(start, self.recipe.optimization.epochs):
            row = self._epoch(epoch, history[-1] if history else None, on_progress)
            history.append(row)
            self.folder.write_history(history)
            arrays = {
                name: keras.ops.convert_to_numpy(variable.value)
                for name, variable in self._variables().items()
            }
            best = max(history, key=itemgetter("val_accuracy"))
            saved = checkpoints.Checkpoint(epoch + 1, identity, arrays)
            checkpoints.save(self.folder.checkpoints, saved, best=int(best["epoch"]))
        self.callbacks.on_train_end()
        self._finish()
        return self.folder

    def _epoch(
        self, epoch: int, last: EpochRow | None, on_progress: Callable[[TrainingProgress], None]
    ) -> EpochRow:
        started = time.perf_counter()
        self.callbacks.on_epoch_begin(epoch)
        self._seed_dropout(epoch)
        epochs, steps = self.recipe.optimization.epochs, len(self.batches)
        seen, loss, accuracy = 0, 0.0, 0.0
        for step, whole in enumerate(self.batches.epoch(epoch)):
            batch = whole.cut_to_multiple(self.n_devices)
            if len(batch.inputs) == 0:
                continue  # fewer images are left than there are devices
            logs = self._step(batch)
            # Keras answers for this batch alone: keep the mean over the epoch's images.
            share = len(batch.inputs) / (seen + len(batch.inputs))
            loss += (float(logs["loss"]) - loss) * share
            # Where there are two heads, Keras puts the head's name first.
            right = next(value for key, value in logs.items() if key.endswith("accuracy"))
            accuracy += (float(right) - accuracy) * share
            seen += len(batch.inputs)
            on_progress(TrainingProgress(epoch + 1, epochs, step + 1, steps, loss, last))
        val_loss, val_accuracy, further = self._validate()
        row = {
            "epoch": epoch + 1,
            "loss": loss,
            "accuracy": accuracy,
            "val_loss": val_loss,
            "val_accuracy": val_accuracy,
            "learning_rate": float(self.optimizer.learning_rate),
            "seconds": time.perf_counter() - started,
            **{f"val_{name}": share for name, share in further.items()},
        }
        self.callbacks.on_epoch_end(epoch, row)
        return row

    def _step(self, batch: Batch) -> dict[str, float]:
        """Take one step; Keras wants lists of targets and weights from two heads on only."""
        n = len(batch.targets)
        learnt = (
            ([*batch.targets], [batch.weights] * n) if n > 1 else (*batch.targets, batch.weights)
        )
        logs: dict[str, float] = self.model.train_on_batch(batch.inputs, *learnt, return_dict=True)
        return logs

    def _validate(self) -> tuple[float, float, dict[str, float]]:
        """Return loss and accuracy of the averaged weights, and accuracy of each further head."""
        self.swap.on_test_begin()
        logits = network.predict_logits(self.model, self.validation.images, self.preprocessing)
        self.swap.on_test_end()
        labels = self.validation.labels
        one_hot = np.eye(logits[0].shape[1], dtype=np.float32)[labels]
        loss = self.material.heads[0].loss(one_hot, logits[0])
        accuracies = {
            name: float((head.argmax(axis=1) == truth)[truth >= 0].mean())
            for (name, truth), head in zip(self.truths.items(), logits, strict=True)
        }
        return float(loss), accuracies.pop(self.material.heads[0].name), accuracies

    def _seed_dropout(self, epoch: int) -> None:
        """Set every source of chance in the network from seed and epoch."""
        # PyTorch's dropout draws from the global generator, the others' from the layers' states.
        # TensorFlow drops all its compiled functions when the global seed is set.
        if keras.backend.backend() == "torch":
            words = np.random.SeedSequence([self.recipe.run.seed, epoch, 3]).generate_state(1)
            keras.utils.set_random_seed(int(words[0]))
        states = [one for one in self.model.variables if one.name == _RANDOM_STATE]
        for index, variable in enumerate(states):
            state = np.random.default_rng([self.recipe.run.seed, epoch, 2, index])
            variable.assign(state.integers(0, 2**31, size=tuple(variable.shape)))

    def _variables(self) -> dict[str, keras.Variable]:
        weights = [one for one in self.model.variables if one.name != _RANDOM_STATE]
        named = {f"weights/{i:04d}": v for i, v in enumerate(weights)}
        optimizer = self.optimizer.variables
        return named | {f"optimizer/{i:04d}": v for i, v in enumerate(optimizer)}

    def _restore(self, saved: checkpoints.Checkpoint, identity: str) -> None:
        other = describe_differences(json.loads(saved.identity), json.loads(identity))
        if other:
            raise CheckpointError(
                f"{self.folder.path}: belongs to another recipe or other data: {'; '.join(other)}. "
                "Give another --out"
            )
        for name, variable in self._variables().items():
            variable.assign(saved.arrays[name])

    def _finish(self) -> None:
        """Write final weights, validation logits, chart and page."""
        if self.recipe.optimization.ema:
            self.optimizer.finalize_variable_values(self.model.trainable_variables)
            for variable in self.model.trainable_variables:
                # On JAX both now have one buffer, which is freed with the first of them.
                variable.assign(keras.ops.copy(variable))
        save_final_weights(self.folder, self.model, self.validation, self.truths)
        write_run_page(self.folder.path)
