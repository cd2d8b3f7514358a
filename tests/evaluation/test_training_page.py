"""The page of a training run."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np

from facial_expressions.evaluation.samples import choose_mistakes
from facial_expressions.evaluation.training_page import TrainingRecord, render_training_page
from tests.evaluation.fakes import PAIR, predictions_of
from tests.evaluation.page_checker import Checker

RECIPE: dict[str, dict[str, object]] = {
    "run": {"name": "mine", "seed": 7},
    "network": {"architecture": "small", "size": 48},
    "optimization": {"epochs": 4, "ema": 0.998},
}
HISTORY = {
    "epoch": [1.0, 2.0],
    "loss": [1.9, 1.5],
    "accuracy": [0.3, 0.45],
    "val_loss": [1.8, 1.6],
    "val_accuracy": [0.35, 0.4321],
    "learning_rate": [0.1, 0.05],
    "seconds": [1800.0, 2000.0],
    "val_ferplus": [math.nan, math.nan],
}


def unfinished() -> TrainingRecord:
    return TrainingRecord(
        name="mine",
        recipe=RECIPE,
        dataset={
            "name": "drawn", "protocol": "folder", "digest": "c0ffee",
            "labels": {"name": "pair", "names": ["no", "yes"]},
            "counts": {"train": 1200}, "train_by_class": [900, 300],
        },
        environment={"backend": "jax", "command": "train a.toml --out 'my <run>'"},
        origins={"teachers": [{"name": "older"}]},
        history=HISTORY,
    )  # fmt: skip


def finished() -> TrainingRecord:
    rows = [[0.9, 0.1], [0.3, 0.7], [0.2, 0.8], [0.1, 0.9]]
    answers = predictions_of(PAIR, [0, 0, 1, 1], rows)
    images = np.zeros((4, 48, 48), np.uint8)
    longer = {name: [*values, *values] for name, values in HISTORY.items()}
    return replace(
        unfinished(),
        history=longer | {"epoch": [1.0, 2.0, 3.0, 4.0]},
        validation=answers,
        mistakes=choose_mistakes(answers, images),
    )


def look_at(record: TrainingRecord) -> Checker:
    page = render_training_page(record)
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert checker.images_without_text == 0
    assert {"script", "link", "iframe", "object"}.isdisjoint(checker.tags)
    assert not re.search(r"url\(|@import|https?://", page)
    assert all(link.startswith("data:image/png;base64,") for link in checker.links)
    return checker


def test_a_run_under_way_says_how_far_it_is() -> None:
    texts = look_at(unfinished()).texts
    assert any("2 of 4 epochs done" in text for text in texts)
    assert "0.4321" in texts
    assert "Classification report" not in texts


def test_a_finished_run_shows_its_result_on_validation() -> None:
    """Three of four answers are right."""
    checker = look_at(finished())
    assert any("4 epochs, finished" in text for text in checker.texts)
    assert checker.texts[checker.texts.index("Validation accuracy") + 1] == "0.7500"
    assert {"Classification report", "Confusion matrix", "Most confident mistakes"} <= set(
        checker.texts
    )
    assert len(checker.links) == 1


def test_four_curves_are_drawn() -> None:
    checker = look_at(unfinished())
    titles = {"Loss", "Accuracy", "Learning rate", "Seconds per epoch"}
    assert titles <= set(checker.texts)
    assert checker.tags.count("svg") == 4
    assert checker.tags.count("polyline") == 6  # loss and accuracy have two each


def test_everything_that_decides_the_run_is_named() -> None:
    texts = look_at(unfinished()).texts
    for name, value in (
        ("seed", "7"), ("ema", "0.998"), ("architecture", "small"), ("backend", "jax"),
        ("digest", "c0ffee"), ("origins teachers 1 name", "older"),
        ("Seconds per epoch", "1900"), ("Training time", "1 h 03 min"),
    ):  # fmt: skip
        assert texts[texts.index(name) + 1] == value, name
    assert "train a.toml --out 'my <run>'" in texts
    assert texts[texts.index("No") + 1 :][:2] == ["900", "75.0 %"]


def test_a_column_without_any_number_is_left_out() -> None:
    texts = look_at(unfinished()).texts
    assert "Validation loss" in texts
    assert "Validation FER+" not in texts


def test_a_run_without_an_epoch_has_its_settings() -> None:
    checker = look_at(replace(unfinished(), history={}))
    assert "svg" not in checker.tags
    assert any("0 of 4 epochs done" in text for text in checker.texts)
