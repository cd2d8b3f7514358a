"""Runs that build on earlier ones: first weights, teachers, averages."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from facial_expressions.data.dataset import Dataset
from facial_expressions.errors import CheckpointError, ModelError, RecipeError
from facial_expressions.inference.classifier import load_classifier
from facial_expressions.labels import FER2013, FERPLUS
from facial_expressions.preprocessing import to_batch
from facial_expressions.training.averaging import average_runs
from facial_expressions.training.export import export_run
from facial_expressions.training.material import EarlierWork, Material, Teachers
from facial_expressions.training.network import build_network
from facial_expressions.training.recipe import Recipe
from facial_expressions.training.train import train
from facial_expressions.training.trained_networks import FinishedRun, copy_weights, open_network
from tests.eager import steps_without_a_graph
from tests.training.still import STILL

pytestmark = [pytest.mark.train, pytest.mark.slow, pytest.mark.timeout(900)]

Votes = dict[str, NDArray[np.uint8]]
Values = dict[str, dict[str, object]]


def _recipe(**sections: dict[str, object]) -> Recipe:
    """Return a recipe of two epochs of the tiny network, with further values by section."""
    values: Values = {
        "run": {"name": "tiny", "seed": 5},
        "data": {"protocol": "folder"},
        "network": {"architecture": "tiny_for_tests"},
        "augmentation": {},
        "optimization": {
            "epochs": 2,
            "batch_size": 7,
            "ema": 0.9,
            "learning_rate": 0.01,
            "precision": "float32",
        },
    }
    for name, section in sections.items():
        values[name] = values.get(name, {}) | section
    return Recipe.from_dict(values)


@pytest.fixture(scope="module", autouse=True)
def _quick_steps() -> Iterator[None]:
    with steps_without_a_graph():
        yield


@pytest.fixture(scope="module")
def runs(dataset: Dataset, votes: Votes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``one``, ``other`` (another seed), ``again`` (from ``one``) and ``votes``, two heads."""
    folder = tmp_path_factory.mktemp("runs")
    other = _recipe(run={"seed": 6})
    train(_recipe(), dataset, folder / "one")
    train(other, dataset, folder / "other")
    train(other, dataset, folder / "again", earlier=EarlierWork(start=folder / "one"))
    with_votes = _recipe(optimization={"ferplus_weight": 0.5})
    train(with_votes, dataset, folder / "votes", votes=votes)
    return folder


def _teachers(*sources: Path, votes: bool = False, size: int = 48) -> Teachers:
    return Teachers(
        sources,
        {"fer2013": FER2013, "ferplus": FERPLUS} if votes else {"fer2013": FER2013},
        size=size,
    )


def _answers_of(run: Path, crops: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
    """Return a run's probabilities for crops, for each head."""
    finished = FinishedRun(run)
    inputs = to_batch(crops, finished.preprocessing)
    outputs = finished.build().predict_on_batch(inputs)
    heads = outputs if isinstance(outputs, list) else [outputs]
    powers = [np.exp(keras.ops.convert_to_numpy(one).astype(np.float64)) for one in heads]
    return [one / one.sum(axis=1, keepdims=True) for one in powers]


# First weights.


def test_a_run_starts_from_the_final_weights_of_another(
    dataset: Dataset, runs: Path, tmp_path: Path
) -> None:
    still = _recipe(optimization={"learning_rate": 1e-12, "epochs": 1, "weight_decay": 0.0})
    run = train(still, dataset, tmp_path / "run", earlier=EarlierWork(start=runs / "one"))
    first = FinishedRun(runs / "one")
    pairs = zip(
        first.build().trainable_variables,
        FinishedRun(run.path).build().trainable_variables,
        strict=True,
    )
    for one, other in pairs:
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), atol=1e-6)
    origins = json.loads(run.origins.read_text())
    assert origins["start"]["weights_sha256"] == first.describe()["weights_sha256"]
    assert origins["start"]["name"] == "one"


def test_resuming_with_other_first_weights_is_refused(
    dataset: Dataset, runs: Path, tmp_path: Path
) -> None:
    shutil.copytree(runs / "again", tmp_path / "run")
    recipe = Recipe.load(tmp_path / "run" / "recipe.toml")
    other = EarlierWork(start=runs / "other")
    with pytest.raises(CheckpointError, match=r"start\.weights_sha256 is '\w+' there, '\w+' here"):
        train(recipe, dataset, tmp_path / "run", earlier=other)
    with pytest.raises(CheckpointError, match=r"start\.weights_sha256 is '\w+' there, absent here"):
        train(recipe, dataset, tmp_path / "run")


def test_weights_of_another_network_are_refused_with_what_differs(runs: Path) -> None:
    run = open_network(runs / "one")
    other = _recipe(network={"architecture": "standardized_cnn"})
    expected = r"architecture is 'tiny_for_tests' there, 'standardized_cnn' here"
    with pytest.raises(ModelError, match=expected):
        copy_weights(run, build_network(other, {"fer2013": FER2013}), other, FER2013)
    with pytest.raises(ModelError, match=r"label set is .*angry.* there, .*contempt.* here"):
        copy_weights(run, build_network(_recipe(), {"ferplus": FERPLUS}), _recipe(), FERPLUS)
    smaller = _recipe(network={"size": 32})
    with pytest.raises(
        ModelError, match=r"has weights \[\(1152, 7\), \(7,\)\] there, \[\(512, 7\)"
    ):
        copy_weights(run, build_network(smaller, {"fer2013": FER2013}), smaller, FER2013)


def test_a_second_head_is_taken_over_where_both_have_one_and_else_left(runs: Path) -> None:
    with_votes = _recipe(optimization={"ferplus_weight": 0.1}, run={"seed": 9})
    model = build_network(with_votes, {"fer2013": FER2013, "ferplus": FERPLUS})
    head = model.get_layer("ferplus_logits")
    fresh = head.get_weights()[0].copy()
    copy_weights(open_network(runs / "one"), model, with_votes, FER2013)
    np.testing.assert_array_equal(head.get_weights()[0], fresh)
    source = open_network(runs / "votes")
    copy_weights(source, model, with_votes, FER2013)
    for one, other in zip(model.get_weights(), source.build().get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    single = build_network(_recipe(), {"fer2013": FER2013})
    copy_weights(source, single, _recipe(), FER2013)
    np.testing.assert_array_equal(
        single.layers[-1].get_weights()[0], source.build().outputs[0]._keras_history[0].kernel
    )


def test_what_is_no_finished_run_is_refused(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"finished run: recipe\.toml, dataset\.json, model"):
        FinishedRun(tmp_path)
    shutil.copytree(runs / "one", tmp_path / "run")
    (tmp_path / "run" / "model.weights.h5").write_bytes(b"not weights")
    with pytest.raises(ModelError, match="cannot be read into 'tiny_for_tests'"):
        FinishedRun(tmp_path / "run").build()
    (tmp_path / "run" / "dataset.json").write_text("{}")
    with pytest.raises(ModelError, match=r"dataset\.json: damaged"):
        FinishedRun(tmp_path / "run")


# Teachers.


def test_teachers_answer_with_their_mean(dataset: Dataset, runs: Path) -> None:
    crops = dataset.train.images[[3, 50, 7]]
    answers = _teachers(runs / "one", runs / "other").answer(crops.astype(np.float32))
    expected = (_answers_of(runs / "one", crops)[0] + _answers_of(runs / "other", crops)[0]) / 2
    assert list(answers) == [0]
    np.testing.assert_allclose(answers[0], expected, atol=1e-5)


def test_each_head_learns_from_the_teachers_of_its_label_set(dataset: Dataset, runs: Path) -> None:
    teachers = _teachers(runs / "one", runs / "votes", votes=True)
    assert teachers.taught == {0, 1}
    crops = dataset.train.images[[1, 2]]
    answers = teachers.answer(crops.astype(np.float32))
    of_votes = _answers_of(runs / "votes", crops)
    expected = (_answers_of(runs / "one", crops)[0] + of_votes[0]) / 2
    np.testing.assert_allclose(answers[0], expected, atol=1e-5)
    np.testing.assert_allclose(answers[1], of_votes[1], atol=1e-5)
    assert _teachers(runs / "one", votes=True).taught == {0}


def test_a_shipped_model_teaches_with_both_heads_as_its_file_answers(dataset: Dataset) -> None:
    crops = dataset.train.images[:12]
    taught = _teachers(Path("compact"), votes=True).answer(crops.astype(np.float32))
    assert set(taught) == {0, 1}
    for answers, labels in ((taught[0], "fer2013"), (taught[1], "ferplus")):
        classifier = load_classifier("compact", labels=labels)
        of_file = classifier.predict_proba(crops)
        top = of_file.argmax(axis=1)
        # Without the file's biases and temperature; its map of confidences moves the answer only.
        calibration = classifier.head.calibration
        expected = calibration.temperature * np.log(of_file) - calibration.biases
        apart = np.log(answers) - expected
        apart[np.arange(12), top] = np.nan
        apart -= np.nanmean(apart, axis=1, keepdims=True)
        np.testing.assert_allclose(apart[~np.isnan(apart)], 0, atol=2e-2)


def test_answers_of_an_image_are_the_mean_over_ten_views_of_it(
    dataset: Dataset, runs: Path
) -> None:
    rows = np.array([60, 3])
    answers = _teachers(runs / "one").answer_each(dataset.train.images)[0]
    padded = np.pad(dataset.train.images[rows], ((0, 0), (1, 1), (1, 1)), mode="edge")
    views = [
        padded[:, 1 - down : 49 - down, 1 - right : 49 - right]
        for down, right in ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
    ]
    views += [view[:, :, ::-1] for view in views]
    expected = np.mean([_answers_of(runs / "one", view)[0] for view in views], axis=0)
    # A view is mirrored before it moves; to the left and to the right there is one of each.
    np.testing.assert_allclose(answers[rows], expected, atol=1e-5)


@pytest.mark.parametrize("per_image", [False, True])
def test_answers_stand_behind_the_targets_of_each_head(
    dataset: Dataset, votes: Votes, runs: Path, per_image: bool
) -> None:
    recipe = _recipe(
        distillation={"weight": 0.5, "temperature": 1.0, "per_image": per_image},
        optimization={"ferplus_weight": 0.5},
    )
    recipe = dataclasses.replace(recipe, augmentation=STILL)
    material = Material(recipe, dataset, votes, EarlierWork(teachers=(runs / "votes",)))
    batch = material.batches().load(0, 0)
    images = dataset.train.images[np.random.default_rng([5, 0, 0]).permutation(70)[:7]]
    teachers = _teachers(runs / "votes", votes=True)
    shown = teachers.answer(images.astype(np.float32))
    expected = teachers.answer_each(images) if per_image else shown
    for head, n_classes in ((0, 7), (1, 8)):
        np.testing.assert_allclose(batch.targets[head][:, n_classes:], expected[head], atol=1e-5)
    assert not np.allclose(shown[0], teachers.answer_each(images)[0], atol=1e-3)


def test_a_teacher_that_does_not_fit_is_refused_with_what_differs(runs: Path) -> None:
    with pytest.raises(ModelError, match=r"takes crops of 48 pixels, the recipe has 64"):
        _teachers(runs / "one", size=64)
    with pytest.raises(
        ModelError, match=r"has the label sets \['fer2013'\], the network learns \['ferplus'"
    ):
        Teachers([runs / "one"], {"ferplus": FERPLUS}, size=48)


def test_a_file_in_8_bits_cannot_teach() -> None:
    with pytest.raises(ModelError, match=r"compact-int8\.onnx: does not hold the weights of"):
        _teachers(Path("compact-int8"))


@pytest.mark.parametrize(
    ("weight", "teachers", "message"),
    [
        (0.5, (), r"weight: 0\.5 with the teachers \[\]\. Give teachers"),
        (0.0, (Path("run"),), r"weight: 0 with the teachers \['run'\]"),
    ],
)
def test_recipe_and_teachers_must_go_together(
    weight: float, teachers: tuple[Path, ...], message: str, dataset: Dataset
) -> None:
    recipe = _recipe(distillation={"weight": weight})
    with pytest.raises(RecipeError, match=message):
        Material(recipe, dataset, None, EarlierWork(teachers=teachers))


def test_a_run_learns_from_its_teachers_and_says_which(
    dataset: Dataset, runs: Path, tmp_path: Path
) -> None:
    """All of the loss is the teacher's, so that weights from the teacher itself start near zero."""
    recipe = _recipe(
        distillation={"weight": 1.0, "temperature": 1.0},
        optimization={"epochs": 1, "learning_rate": 1e-12, "weight_decay": 0.0},
        network={"dropout": 0.0},
    )
    losses = {}
    for start in ("one", "other"):
        earlier = EarlierWork(start=runs / start, teachers=(runs / "one",))
        run = train(recipe, dataset, tmp_path / start, earlier=earlier)
        losses[start] = run.read_history()[0]["loss"]
    assert losses["one"] < losses["other"]
    (described,) = json.loads(run.origins.read_text())["teachers"]
    assert described == FinishedRun(runs / "one").describe()


# Averages of runs.


def test_an_average_has_the_mean_weights_and_its_own_statistics(
    dataset: Dataset, runs: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "average"
    val_accuracy = average_runs([runs / "one", runs / "again"], folder, dataset)
    model = FinishedRun(folder).build()
    sources = [FinishedRun(runs / name).build() for name in ("one", "again")]
    for index, variable in enumerate(model.trainable_variables):
        parts = [np.asarray(source.trainable_variables[index]) for source in sources]
        np.testing.assert_allclose(np.asarray(variable), np.mean(parts, axis=0), atol=1e-6)
    norm = next(one for one in model.layers if isinstance(one, keras.layers.BatchNormalization))
    before = keras.Model(model.inputs[0], norm.input)
    recipe = FinishedRun(runs / "one").recipe
    batches = Material(recipe, dataset).batches()
    maps = [before.predict_on_batch(batches.load(1, k).inputs) for k in range(len(batches))]
    means = [one.mean(axis=(0, 1, 2)) for one in maps]
    np.testing.assert_allclose(np.asarray(norm.moving_mean), np.mean(means, axis=0), atol=1e-4)
    variances = [one.var(axis=(0, 1, 2)) for one in maps]
    expected = np.mean(variances, axis=0)
    np.testing.assert_allclose(np.asarray(norm.moving_variance), expected, rtol=1e-3)
    origins = json.loads((folder / "origins.json").read_text())
    assert [one["name"] for one in origins["average_of"]] == ["one", "again"]
    exported = export_run(folder, tmp_path / "average.onnx")
    accuracy = exported.metadata.head().figures["validation_accuracy"]
    assert accuracy == pytest.approx(val_accuracy, abs=0.2)  # after class biases


def test_runs_that_do_not_go_together_are_refused_with_what_differs(
    dataset: Dataset, runs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "average"
    with pytest.raises(ModelError, match=r"label sets is \['fer2013', 'ferplus'\] there"):
        average_runs([runs / "one", runs / "votes"], out, dataset)
    with pytest.raises(ModelError, match="an average needs two or more, not 1"):
        average_runs([runs / "one"], out, dataset)
    other = dataclasses.replace(dataset, train=dataset.train.take(np.arange(60)))
    with pytest.raises(ModelError, match=r"data is '\w+' there, '\w+' here"):
        average_runs([runs / "one", runs / "again"], out, other)
    with pytest.raises(CheckpointError, match="holds a run already"):
        average_runs([runs / "one", runs / "again"], runs / "other", dataset)
    assert not out.exists()
