"""A network small enough to train in a test, and tiny data sets that it can learn."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from facial_expressions.architectures.registry import list_architectures, register_architecture
from facial_expressions.data.dataset import Dataset, Split
from facial_expressions.labels import FER2013, FERPLUS_COLUMNS
from facial_expressions.pages.run_page import write_run_page
from facial_expressions.training.recipe import Recipe
from tests.builders import draw_face

TINY = "tiny_for_tests"


def _tiny(shape: tuple[int, int, int], n_classes: int, *, dropout: float = 0.2) -> keras.Model:
    inputs = keras.layers.Input(shape)
    x = keras.layers.Conv2D(8, 5, strides=4, padding="same", activation="relu")(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dropout(dropout)(x)
    return keras.Model(inputs, keras.layers.Dense(n_classes)(x))


if TINY not in list_architectures():
    register_architecture(TINY, channels=1)(_tiny)


_PAGE = "facial_expressions.training.train.write_run_page"


@pytest.fixture(scope="module", autouse=True)
def _without_pages() -> Iterator[None]:
    """Leave the page of a run, which takes seconds, to the tests that look at it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_PAGE, lambda folder: None)
        yield


@pytest.fixture
def _with_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the page of a run as a user has it."""
    monkeypatch.setattr(_PAGE, write_run_page)


def _split(name: str, per_class: int, seed: int) -> Split:
    labels = np.repeat(np.arange(7), per_class).astype(np.int64)
    images = [draw_face(FER2013.names[label], seed + i) for i, label in enumerate(labels)]
    n = len(labels)
    usages = np.array(["Training"] * n)
    return Split(name, np.stack(images), labels, usages, tuple(f"row {i}" for i in range(n)))


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """Drawn faces: 70 to learn from, 21 to validate on, 7 to test."""
    splits = _split("train", 10, 0), _split("validation", 3, 1000), _split("test", 1, 2000)
    return Dataset("drawn", "folder", FER2013, *splits)


@pytest.fixture
def recipe() -> Recipe:
    """Three short epochs of the tiny network, with everything random switched on."""
    return Recipe.from_dict(
        {
            "run": {"name": "tiny", "seed": 5},
            "data": {"protocol": "folder"},
            "network": {"architecture": TINY, "dropout": 0.2},
            "augmentation": {"erase": 0.3},
            "optimization": {"epochs": 3, "batch_size": 14, "ema": 0.9, "learning_rate": 0.01},
        }
    )


@pytest.fixture(scope="session")
def votes(dataset: Dataset) -> dict[str, NDArray[np.uint8]]:
    """Eight votes in ten for each image's label, two for neutral; every tenth has none."""
    found = {}
    for split in dataset.splits():
        table = np.zeros((len(split), len(FERPLUS_COLUMNS)), np.uint8)
        for row, label in enumerate(split.labels):
            table[row, FERPLUS_COLUMNS.index(FER2013.names[label])] += 8
            table[row, FERPLUS_COLUMNS.index("neutral")] += 2
        table[9::10] = 0
        table[9::10, FERPLUS_COLUMNS.index("unknown")] = 10
        found[split.name] = table
    return found
