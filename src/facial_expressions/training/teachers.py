"""Networks that teach another one while it trains: finished runs and exported model files.

Their answers are averaged. A teacher's head teaches the student's head of its name and label set.
They answer on the very images that the student sees, or once for each image with the mean over the
test-time views: a student that learns from that on changed images learns what many views of a whole
image show together, and training continues as fast as without teachers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from facial_expressions.calibration import softmax
from facial_expressions.errors import ModelError
from facial_expressions.inference.classifier import TEST_TIME_VIEWS, apply_view
from facial_expressions.labels import LabelSet
from facial_expressions.training.network import predict_logits
from facial_expressions.training.trained_networks import TrainedNetwork, open_network

_AT_ONCE = 128


class Teachers:
    """Several networks that answer as one.

    They are computed in the precision of the training, model files too: so all heads of a file
    teach, and with bfloat16 an answer takes a third of the time.

    Args:
        sources: Folders of finished runs, model files, and names of shipped models.
        heads: Label set of each head of the student, by the head's name.
        size: Side of the student's crops in pixels.

    Raises:
        ModelError: A teacher is damaged or unfinished, takes crops of another size, or has no head
            in common with the student.

    Attributes:
        taught: Heads of the student that a network teaches, by their place among all.
    """

    def __init__(
        self, sources: Sequence[str | Path], heads: Mapping[str, LabelSet], *, size: int
    ) -> None:
        self._networks = [open_network(source) for source in sources]
        for network in self._networks:
            _check_fit(network, heads, size)
        self._models = [network.build() for network in self._networks]
        self._able = [  # for each head the networks that teach it, and by which output
            [
                (index, list(network.heads).index(name))
                for index, network in enumerate(self._networks)
                if network.heads.get(name) == labels
            ]
            for name, labels in heads.items()
        ]
        self.taught = tuple(head for head, able in enumerate(self._able) if able)

    def describe(self) -> list[dict[str, object]]:
        """Return what identifies each network, as plain values."""
        return [network.describe() for network in self._networks]

    def answer(self, crops: NDArray[np.float32]) -> dict[int, NDArray[np.float32]]:
        """Return for each taught head, by its place, the mean of the networks that teach it.

        From grey crops of 0 to 255, ``float32 (N, S, S)``, to probabilities, ``float32 (N, K)``.
        """
        answers = [
            _answers(network, model, crops)
            for network, model in zip(self._networks, self._models, strict=True)
        ]
        return {
            head: _mean([answers[network][output] for network, output in self._able[head]])
            for head in self.taught
        }

    def answer_each(self, images: NDArray[np.uint8]) -> dict[int, NDArray[np.float32]]:
        """Return the same for whole images, ``uint8``, as the mean over the test-time views."""
        parts = []
        for start in range(0, len(images), _AT_ONCE):
            some = images[start : start + _AT_ONCE]
            views = [
                self.answer(apply_view(some, view).astype(np.float32)) for view in TEST_TIME_VIEWS
            ]
            parts.append({head: _mean([one[head] for one in views]) for head in self.taught})
        return {head: np.concatenate([part[head] for part in parts]) for head in self.taught}


def _check_fit(network: TrainedNetwork, heads: Mapping[str, LabelSet], size: int) -> None:
    received = network.preprocessing.size
    if received != size:
        raise ModelError(
            f"teacher {network.path.name}: takes crops of {received} pixels, the recipe has "
            f"{size}. Choose a teacher of that size"
        )
    if not network.heads.items() & heads.items():
        raise ModelError(
            f"teacher {network.path.name}: has the label sets {list(network.heads)}, the network "
            f"learns {list(heads)}. Choose a teacher of the same label set"
        )


def _answers(
    network: TrainedNetwork, model: keras.Model, crops: NDArray[np.float32]
) -> list[NDArray[np.float32]]:
    """Return each head's probabilities."""
    preprocessing = replace(network.preprocessing, channels=model.input_shape[-1])
    logits = predict_logits(model, crops, preprocessing)
    return [softmax(one).astype(np.float32) for one in logits]


def _mean(arrays: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.asarray(np.mean(arrays, axis=0, dtype=np.float32))
