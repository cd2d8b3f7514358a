"""The page of a training run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facial_expressions.errors import DatasetError
from facial_expressions.pages.run_page import write_run_page
from tests.pages.page_checker import Checker, look_at

RECIPE = """[run]
name = "mine"
seed = 7

[network]
architecture = "small"
size = 48

[optimization]
epochs = 4
ema = 0.998
"""
HEADER = "epoch,loss,accuracy,val_loss,val_accuracy,learning_rate,seconds,val_ferplus\n"
ROWS = "1,1.9,0.3,1.8,0.35,0.1,1800,nan\n2,1.5,0.45,1.6,0.4321,0.05,2000,nan\n"


def begin(folder: Path) -> Path:
    """Write what a run's folder holds after two of its four epochs."""
    (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    (folder / "history.csv").write_text(HEADER + ROWS, encoding="utf-8")
    facts = {
        "dataset": {
            "name": "drawn", "protocol": "folder", "digest": "c0ffee",
            "labels": {"name": "pair", "names": ["no", "yes"]},
            "counts": {"train": 1200}, "train_by_class": [900, 300],
        },
        "environment": {"backend": "jax", "command": "train a.toml --out 'my <run>'"},
        "origins": {"teachers": [{"name": "older"}]},
    }  # fmt: skip
    for name, content in facts.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def finish(folder: Path) -> None:
    """Add the result: of four answers on validation the second is wrong."""
    logits = np.log([[0.9, 0.1], [0.3, 0.7], [0.2, 0.8], [0.1, 0.9]])
    crops = np.zeros((4, 48, 48), np.uint8)
    answers = {"pair_labels": np.array([0, 0, 1, 1]), "pair_logits": logits}
    np.savez(folder / "validation.npz", allow_pickle=False, crops=crops, **answers)
    (folder / "model.weights.h5").touch()


def page_of(folder: Path) -> Checker:
    page = write_run_page(begin(folder))
    assert page == folder / "report.html"
    return look_at(page.read_text(encoding="utf-8"))


def test_a_run_under_way_says_how_far_it_is(tmp_path: Path) -> None:
    texts = page_of(tmp_path).texts
    assert any("2 of 4 epochs done" in text for text in texts)
    assert "0.4321" in texts
    assert "Classification report" not in texts


def test_a_finished_run_shows_its_result_on_validation(tmp_path: Path) -> None:
    """Three of four answers are right."""
    finish(tmp_path)
    checker = page_of(tmp_path)
    assert any("4 epochs, finished" in text for text in checker.texts)
    assert checker.texts[checker.texts.index("Validation accuracy") + 1] == "0.7500"
    assert {"Classification report", "Confusion matrix", "Most confident mistakes"} <= set(
        checker.texts
    )
    assert len([link for link in checker.links if link.startswith("data:")]) == 1


def test_four_curves_are_drawn(tmp_path: Path) -> None:
    checker = page_of(tmp_path)
    titles = {"Loss", "Accuracy", "Learning rate", "Seconds per epoch", "best: 0.4321, epoch 2"}
    assert titles <= set(checker.texts)
    assert checker.tags.count("svg") == 1


def test_everything_that_decides_the_run_is_named(tmp_path: Path) -> None:
    texts = page_of(tmp_path).texts
    for name, value in (
        ("seed", "7"), ("ema", "0.998"), ("architecture", "small"), ("backend", "jax"),
        ("digest", "c0ffee"), ("origins teachers 1 name", "older"),
        ("Seconds per epoch", "1900"), ("Training time", "1 h 03 min"),
    ):  # fmt: skip
        assert texts[texts.index(name) + 1] == value, name
    assert "train a.toml --out 'my <run>'" in texts
    assert texts[texts.index("No") + 1 :][:2] == ["900", "75.0%"]


def test_a_column_without_any_number_is_left_out(tmp_path: Path) -> None:
    texts = page_of(tmp_path).texts
    assert "Validation loss" in texts
    assert "Validation FER+" not in texts


def test_a_run_without_an_epoch_has_its_settings(tmp_path: Path) -> None:
    (begin(tmp_path) / "history.csv").unlink()
    checker = look_at(write_run_page(tmp_path).read_text(encoding="utf-8"))
    assert "svg" not in checker.tags
    assert any("0 of 4 epochs done" in text for text in checker.texts)


def test_the_chart_lies_beside_the_page(tmp_path: Path) -> None:
    page_of(tmp_path)
    with Image.open(tmp_path / "history.png") as image:
        assert image.size == (1440, 1110)


def test_two_pages_of_a_run_are_the_same(tmp_path: Path) -> None:
    finish(tmp_path)
    files = [tmp_path / "report.html", tmp_path / "history.png"]
    write_run_page(begin(tmp_path))
    before = [path.read_bytes() for path in files]
    write_run_page(begin(tmp_path))
    assert [path.read_bytes() for path in files] == before


def test_a_folder_that_holds_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"recipe\.toml is missing"):
        write_run_page(tmp_path)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("true", "true"), ("[0.5, 12000, false]", "0.5, 12,000, false"), ("[]", "none"),
        ("2026-01-02", "2026-01-02"), ("'<a>'", "<a>"),
    ],
)  # fmt: skip
def test_values_of_a_recipe_are_written_for_people(tmp_path: Path, value: str, text: str) -> None:
    (begin(tmp_path) / "recipe.toml").write_text(RECIPE + f"odd = {value}\n", encoding="utf-8")
    texts = look_at(write_run_page(tmp_path).read_text(encoding="utf-8")).texts
    assert texts[texts.index("odd") + 1] == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(29.6, "30 s"), (90, "2 min"), (3601, "1 h 00 min"), (7800, "2 h 10 min")]
)
def test_training_time_is_told_roughly(tmp_path: Path, seconds: float, text: str) -> None:
    row = f"1,1.9,0.3,1.8,0.35,0.1,{seconds},nan\n"
    (begin(tmp_path) / "history.csv").write_text(HEADER + row, encoding="utf-8")
    texts = look_at(write_run_page(tmp_path).read_text(encoding="utf-8")).texts
    assert texts[texts.index("Training time") + 1] == text
