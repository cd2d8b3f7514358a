"""Training end to end on drawn faces: it learns, resumes bit for bit, and fills its folder."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from facial_expressions.cli.main import main
from facial_expressions.data.dataset import Dataset
from facial_expressions.errors import CheckpointError, DatasetError
from facial_expressions.labels import FER2013
from facial_expressions.pages.run_page import write_run_page
from facial_expressions.preprocessing import to_batch
from facial_expressions.training.devices import choose_precision, has_fast_bfloat16
from facial_expressions.training.network import build_network, preprocessing_of
from facial_expressions.training.recipe import Recipe
from facial_expressions.training.run_folder import RunFolder
from facial_expressions.training.train import TrainingProgress, train
from tests.builders import make_rows, write_competition_csv
from tests.eager import steps_without_a_graph
from tests.training import stoppable

pytestmark = pytest.mark.train


def _weights(run: RunFolder, recipe: Recipe) -> list[np.ndarray]:
    network = build_network(recipe, {"fer2013": FER2013})
    network.load_weights(run.weights)
    return [np.asarray(weight) for weight in network.get_weights()]


def test_it_learns_drawn_faces(dataset: Dataset, recipe: Recipe, tmp_path: Path) -> None:
    longer = dataclasses.replace(recipe.optimization, epochs=25)
    run = train(dataclasses.replace(recipe, optimization=longer), dataset, tmp_path / "run")
    assert run.read_history()[-1]["val_accuracy"] > 0.5  # chance is 1 in 7
    assert run.read_history()[-1]["loss"] < run.read_history()[0]["loss"]


@pytest.mark.usefixtures("_with_pages")
def test_the_run_folder_is_enough_to_repeat_the_run(
    dataset: Dataset, recipe: Recipe, tmp_path: Path
) -> None:
    folder = train(recipe, dataset, tmp_path / "run")
    assert Recipe.load(folder.recipe) == recipe
    facts = json.loads(folder.dataset.read_text())
    assert facts["digest"] == dataset.digest()
    assert facts["counts"] == {"train": 70, "validation": 21, "test": 7}
    environment = json.loads(folder.environment.read_text())
    assert environment["versions"]["keras"] == keras.__version__
    assert environment["backend"] == keras.backend.backend()
    assert [row["epoch"] for row in folder.read_history()] == [1, 2, 3]
    assert (folder.path / "history.png").read_bytes().startswith(b"\x89PNG")
    repeated = train(Recipe.load(folder.recipe), dataset, tmp_path / "again")
    for first, second in zip(_weights(folder, recipe), _weights(repeated, recipe), strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_run_in_bfloat16_keeps_the_validation_logits_of_float32(
    dataset: Dataset, recipe: Recipe, tmp_path: Path
) -> None:
    """The exported file computes in float32 and is compared with them."""
    optimization = dataclasses.replace(recipe.optimization, precision="mixed_bfloat16")
    recipe = dataclasses.replace(recipe, optimization=optimization)
    folder = train(recipe, dataset, tmp_path / "run")
    assert json.loads(folder.environment.read_text())["precision"] == "mixed_bfloat16"
    network = build_network(recipe, {"fer2013": FER2013})
    network.load_weights(folder.weights)
    split = dataset.validation
    expected = network.predict_on_batch(to_batch(split.images, preprocessing_of(recipe)))
    with np.load(folder.validation) as file:
        np.testing.assert_allclose(file["fer2013_logits"], expected, atol=1e-5)
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.usefixtures("_with_pages")
def test_a_stopped_and_resumed_run_equals_an_uninterrupted_one_to_the_bit(
    dataset: Dataset, recipe: Recipe, tmp_path: Path
) -> None:
    uneven = dataclasses.replace(recipe.optimization, batch_size=16)  # the last batch has 6
    recipe = dataclasses.replace(recipe, optimization=uneven)
    whole = train(recipe, dataset, tmp_path / "whole")

    def stop(progress: TrainingProgress) -> None:
        if progress.epoch == 2 and progress.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, dataset, tmp_path / "stopped", on_progress=stop)
    assert not (tmp_path / "stopped" / "report.html").exists()
    assert "1 of 3 epochs done" in write_run_page(tmp_path / "stopped").read_text("utf-8")
    resumed = train(recipe, dataset, tmp_path / "stopped")
    page = (tmp_path / "stopped" / "report.html").read_text("utf-8")
    assert f"{resumed.read_history()[-1]['val_accuracy']:.4f}" in page
    assert "3 epochs, finished" in page
    for first, second in zip(_weights(whole, recipe), _weights(resumed, recipe), strict=True):
        np.testing.assert_array_equal(first, second)
    for one, other in zip(whole.read_history(), resumed.read_history(), strict=True):
        assert one | {"seconds": 0} == other | {"seconds": 0}


def test_another_seed_gives_another_network(
    dataset: Dataset, recipe: Recipe, tmp_path: Path
) -> None:
    other = dataclasses.replace(recipe, run=dataclasses.replace(recipe.run, seed=6))
    first = _weights(train(recipe, dataset, tmp_path / "5"), recipe)
    second = _weights(train(other, dataset, tmp_path / "6"), other)
    assert not np.array_equal(first[0], second[0])


def test_m17_a_folder_of_another_recipe_is_refused_and_the_difference_named(
    dataset: Dataset, recipe: Recipe, tmp_path: Path
) -> None:
    train(recipe, dataset, tmp_path / "run")
    other = dataclasses.replace(recipe, run=dataclasses.replace(recipe.run, seed=9))
    with pytest.raises(
        CheckpointError, match=r"other data: recipe\.run\.seed is 5 there, 9 here\. Give another"
    ):
        train(other, dataset, tmp_path / "run")


def test_a_data_set_without_validation_is_refused(
    dataset: Dataset, recipe: Recipe, tmp_path: Path
) -> None:
    empty = dataset.validation.take(np.zeros(0, np.int64))
    with pytest.raises(DatasetError, match="70 train and 0 validation images"):
        train(recipe, dataclasses.replace(dataset, validation=empty), tmp_path / "run")


def test_the_dtype_policy_is_put_back(dataset: Dataset, recipe: Recipe, tmp_path: Path) -> None:
    optimization = dataclasses.replace(recipe.optimization, precision="mixed_bfloat16", epochs=1)
    train(dataclasses.replace(recipe, optimization=optimization), dataset, tmp_path / "run")
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize(
    ("flags", "fast"),
    [("avx2 avx512f", False), ("avx512_bf16", True), ("amx_tile amx_bf16", True), ("", False)],
)
def test_bfloat16_is_chosen_where_the_processor_has_it(
    flags: str, fast: bool, tmp_path: Path
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\nflags : fpu {flags}\n")
    assert has_fast_bfloat16(cpuinfo) is (fast and sys.platform.startswith("linux"))
    assert choose_precision("float32") == "float32"


@pytest.mark.slow
def test_a_killed_command_resumes_where_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_competition_csv(tmp_path / "fer2013.csv", make_rows(train=2, public=1, private=1))
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[network]\narchitecture = 'tiny_for_tests'\n[optimization]\nepochs = 3\n")
    out = tmp_path / "run"
    words = ("train", str(recipe), "--data", str(data), "--out", str(out), "--allow-partial")
    with stoppable.start(*words) as process:
        process.kill()
    first = (out / "history.csv").read_text().splitlines()
    assert len(first) == 2
    with steps_without_a_graph():
        assert main(words) == 0, capsys.readouterr().err
    assert "after 3 epochs" in capsys.readouterr().out
    rows = (out / "history.csv").read_text().splitlines()
    assert rows[:2] == first, "the first epoch is not trained again"
    assert len(rows) == 4
