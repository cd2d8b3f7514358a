"""Runs that build on earlier ones: first weights, folds, teachers, banks of answers, averages."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from facial_expressions.data.dataset import Dataset
from facial_expressions.data.folds import content_folds
from facial_expressions.errors import CheckpointError, ModelError, RecipeError
from facial_expressions.inference.classifier import ExpressionClassifier
from facial_expressions.labels import FER2013, FERPLUS
from facial_expressions.preprocessing import to_batch
from facial_expressions.training.averaging import average_runs
from facial_expressions.training.export import export_run
from facial_expressions.training.finished_run import read_finished_run
from facial_expressions.training.first_weights import open_first_weights
from facial_expressions.training.material import EarlierWork, gather
from facial_expressions.training.network import FERPLUS_HEAD, build_network, preprocessing_of
from facial_expressions.training.recipe import Recipe
from facial_expressions.training.teacher_bank import TeacherBank, write_bank
from facial_expressions.training.teachers import open_teachers
from facial_expressions.training.teaching import Lesson, Pupil
from facial_expressions.training.train import train
from tests.tiny_model import write_tiny_model

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


@pytest.fixture(scope="module")
def runs(dataset: Dataset, votes: Votes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``fold0``, ``fold1``, ``again`` (from ``fold0``, another seed) and ``votes``, two heads."""
    folder = tmp_path_factory.mktemp("runs")
    for fold in (0, 1):
        recipe = _recipe(data={"folds": 2, "fold": fold})
        train(recipe, dataset, folder / f"fold{fold}")
    again = _recipe(data={"folds": 2, "fold": 0}, run={"seed": 6})
    train(again, dataset, folder / "again", earlier=EarlierWork(start=folder / "fold0"))
    with_votes = _recipe(optimization={"ferplus_weight": 0.5})
    train(with_votes, dataset, folder / "votes", votes=votes)
    return folder


@pytest.fixture(scope="module")
def file_teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("teacher") / "tiny.onnx")


def _pupil(dataset: Dataset, recipe: Recipe, *, with_votes: bool = False) -> Pupil:
    label_sets = (FER2013, FERPLUS) if with_votes else (FER2013,)
    return Pupil(recipe, label_sets, dataset.train.images, dataset.digest())


def _lesson(dataset: Dataset, rows: NDArray[np.int64]) -> Lesson:
    crops = dataset.train.images[rows].astype(np.float32)
    return Lesson(epoch=0, start=0, rows=rows, crops=lambda: crops)


def _answers_of(run: Path, crops: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
    """Return a run's probabilities for crops, for each head."""
    finished = read_finished_run(run)
    inputs = to_batch(crops, preprocessing_of(finished.recipe))
    outputs = finished.build().predict_on_batch(inputs)
    heads = outputs if isinstance(outputs, list) else [outputs]
    powers = [np.exp(keras.ops.convert_to_numpy(one).astype(np.float64)) for one in heads]
    return [one / one.sum(axis=1, keepdims=True) for one in powers]


# First weights.


def test_a_run_starts_from_the_final_weights_of_another(
    dataset: Dataset, runs: Path, tmp_path: Path
) -> None:
    still = _recipe(optimization={"learning_rate": 1e-12, "epochs": 1, "weight_decay": 0.0})
    run = train(still, dataset, tmp_path / "run", earlier=EarlierWork(start=runs / "fold0"))
    first = read_finished_run(runs / "fold0")
    pairs = zip(
        first.build().trainable_variables,
        read_finished_run(run.folder.path).build().trainable_variables,
        strict=True,
    )
    for one, other in pairs:
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), atol=1e-6)
    origins = json.loads(run.folder.origins.read_text())
    assert origins["start"]["weights_sha256"] == first.sha256
    assert origins["start"]["name"] == "fold0"


def test_resuming_with_other_first_weights_is_refused(
    dataset: Dataset, runs: Path, tmp_path: Path
) -> None:
    shutil.copytree(runs / "again", tmp_path / "run")
    recipe = Recipe.load(tmp_path / "run" / "recipe.toml")
    other = EarlierWork(start=runs / "fold1")
    with pytest.raises(CheckpointError, match=r"start\.weights_sha256 is '\w+' there, '\w+' here"):
        train(recipe, dataset, tmp_path / "run", earlier=other)
    with pytest.raises(CheckpointError, match=r"start\.weights_sha256 is '\w+' there, absent here"):
        train(recipe, dataset, tmp_path / "run")


def test_weights_of_another_network_are_refused_with_what_differs(runs: Path) -> None:
    run = open_first_weights(runs / "fold0")
    other = _recipe(network={"architecture": "standardized_cnn", "mean": 0.4})
    expected = r"architecture is 'tiny_for_tests' there, 'standardized_cnn' here; mean is 0\.5"
    with pytest.raises(ModelError, match=expected):
        run.copy_to(build_network(_recipe(), 7), other, FER2013)
    with pytest.raises(ModelError, match=r"label set is .*angry.* there, .*contempt.* here"):
        run.copy_to(build_network(_recipe(), 8), _recipe(), FERPLUS)
    smaller = _recipe(network={"size": 32})
    with pytest.raises(
        ModelError, match=r"has weights \[\(1152, 7\), \(7,\)\] there, \[\(512, 7\)"
    ):
        run.copy_to(build_network(smaller, 7), smaller, FER2013)


def test_a_second_head_is_taken_over_where_both_have_one_and_else_left(runs: Path) -> None:
    with_votes = _recipe(optimization={"ferplus_weight": 0.1}, run={"seed": 9})
    model = build_network(with_votes, 7)
    fresh = model.get_layer(FERPLUS_HEAD).get_weights()[0].copy()
    open_first_weights(runs / "fold0").copy_to(model, with_votes, FER2013)
    np.testing.assert_array_equal(model.get_layer(FERPLUS_HEAD).get_weights()[0], fresh)
    source, weights = read_finished_run(runs / "votes"), open_first_weights(runs / "votes")
    weights.copy_to(model, with_votes, FER2013)
    for one, other in zip(model.get_weights(), source.build().get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    single = build_network(_recipe(), 7)
    weights.copy_to(single, _recipe(), FER2013)
    np.testing.assert_array_equal(
        single.layers[-1].get_weights()[0], source.build().outputs[0]._keras_history[0].kernel
    )


def test_what_is_no_finished_run_is_refused(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"missing \['recipe.toml', 'dataset.json', 'model"):
        read_finished_run(tmp_path)
    shutil.copytree(runs / "fold0", tmp_path / "run")
    (tmp_path / "run" / "model.weights.h5").write_bytes(b"not weights")
    with pytest.raises(ModelError, match="cannot be read into 'tiny_for_tests'"):
        read_finished_run(tmp_path / "run").build()
    (tmp_path / "run" / "dataset.json").write_text("{}")
    with pytest.raises(ModelError, match=r"dataset\.json is damaged"):
        read_finished_run(tmp_path / "run")


# Folds.


def test_a_run_does_not_learn_from_its_fold(dataset: Dataset, runs: Path) -> None:
    folds = content_folds(dataset.train.images, 2)
    for fold in (0, 1):
        facts = json.loads((runs / f"fold{fold}" / "dataset.json").read_text())
        assert facts["counts"]["train"] == int((folds != fold).sum())
        assert facts["digest"] == dataset.digest(), "of all parts"
    material = gather(_recipe(data={"folds": 2, "fold": 1}), dataset, None, EarlierWork())
    np.testing.assert_array_equal(material.dataset.train.images, dataset.train.images[folds == 0])


def test_votes_follow_their_pictures_out_of_a_fold(dataset: Dataset, votes: Votes) -> None:
    recipe = _recipe(data={"folds": 2, "fold": 1}, optimization={"ferplus_weight": 0.5})
    material = gather(recipe, dataset, votes, EarlierWork())
    kept = content_folds(dataset.train.images, 2) == 0
    assert material.votes is not None
    np.testing.assert_array_equal(material.votes["train"], votes["train"][kept])
    np.testing.assert_array_equal(material.votes["validation"], votes["validation"])


# Teachers.


def test_teachers_answer_with_the_mean_of_runs_and_files(
    dataset: Dataset, runs: Path, file_teacher: Path
) -> None:
    teachers = open_teachers([runs / "fold0", file_teacher], _pupil(dataset, _recipe()))
    rows = np.array([3, 50, 7])
    (actual,) = teachers.answer(_lesson(dataset, rows))
    crops = dataset.train.images[rows]
    file = ExpressionClassifier.load(file_teacher).predict_proba(crops)
    expected = (_answers_of(runs / "fold0", crops)[0] + file) / 2
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_each_head_learns_from_the_teachers_of_its_label_set(dataset: Dataset, runs: Path) -> None:
    pupil = _pupil(dataset, _recipe(), with_votes=True)
    teachers = open_teachers([runs / "fold0", runs / "votes"], pupil)
    assert teachers.taught == (True, True)
    rows = np.array([1, 2])
    first, second = teachers.answer(_lesson(dataset, rows))
    crops = dataset.train.images[rows]
    of_votes = _answers_of(runs / "votes", crops)
    expected = (_answers_of(runs / "fold0", crops)[0] + of_votes[0]) / 2
    np.testing.assert_allclose(first, expected, atol=1e-5)
    np.testing.assert_allclose(second, of_votes[1], atol=1e-5)
    assert open_teachers([runs / "fold0"], pupil).taught == (True, False)


def test_a_shipped_model_teaches_with_both_heads_as_its_file_answers(dataset: Dataset) -> None:
    pupil = _pupil(dataset, _recipe(), with_votes=True)
    teachers = open_teachers([Path("compact")], pupil)
    assert teachers.taught == (True, True)
    rows = np.arange(12)
    first, second = teachers.answer(_lesson(dataset, rows))
    crops = dataset.train.images[rows]
    for answers, labels in ((first, "fer2013"), (second, "ferplus")):
        classifier = ExpressionClassifier.load("compact", labels=labels)
        of_file = classifier.predict_proba(crops)
        top = of_file.argmax(axis=1)
        # Without the file's biases and temperature; its map of confidences moves the answer only.
        calibration = classifier.head.calibration
        expected = calibration.temperature * np.log(of_file) - calibration.biases
        apart = np.log(answers) - expected
        apart[np.arange(12), top] = np.nan
        apart -= np.nanmean(apart, axis=1, keepdims=True)
        np.testing.assert_allclose(apart[~np.isnan(apart)], 0, atol=2e-2)


def test_answers_of_a_picture_are_the_mean_over_ten_views_of_it(
    dataset: Dataset, runs: Path
) -> None:
    pupil = _pupil(dataset, _recipe(distillation={"per_picture": True}))
    teachers = open_teachers([runs / "fold0"], pupil)
    rows = np.array([60, 3])
    (actual,) = teachers.answer(Lesson(1, 0, rows, pytest.fail))
    padded = np.pad(dataset.train.images[rows], ((0, 0), (1, 1), (1, 1)), mode="edge")
    views = [
        padded[:, 1 - down : 49 - down, 1 - right : 49 - right]
        for down, right in ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
    ]
    views += [view[:, :, ::-1] for view in views]
    expected = np.mean([_answers_of(runs / "fold0", view)[0] for view in views], axis=0)
    # A view is mirrored before it moves; to the left and to the right there is one of each.
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_out_of_fold_a_picture_learns_only_from_a_teacher_that_has_not_seen_it(
    dataset: Dataset, runs: Path
) -> None:
    pupil = _pupil(dataset, _recipe(distillation={"out_of_fold": True}))
    teachers = open_teachers([runs / "fold0", runs / "fold1"], pupil)
    rows = np.arange(70)
    (actual,) = teachers.answer(_lesson(dataset, rows))
    folds = content_folds(dataset.train.images, 2)
    answers = [_answers_of(runs / f"fold{k}", dataset.train.images)[0] for k in (0, 1)]
    expected = np.where(folds[:, None] == 0, answers[0], answers[1])
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_out_of_fold_needs_a_teacher_for_every_picture_and_runs_with_a_fold(
    dataset: Dataset, runs: Path, file_teacher: Path
) -> None:
    pupil = _pupil(dataset, _recipe(distillation={"out_of_fold": True}))
    without = int((content_folds(dataset.train.images, 2) == 1).sum())
    with pytest.raises(ModelError, match=f"received none for {without} of 70 pictures"):
        open_teachers([runs / "fold0", runs / "again"], pupil)
    for teacher in (file_teacher, runs / "votes"):
        with pytest.raises(ModelError, match="is a run on the same data with one part left out"):
            open_teachers([runs / "fold0", runs / "fold1", teacher], pupil)
    elsewhere = dataclasses.replace(pupil, data_digest="another")
    with pytest.raises(ModelError, match="on the same data with one part left out"):
        open_teachers([runs / "fold0", runs / "fold1"], elsewhere)


def test_a_teacher_that_does_not_fit_is_refused_with_what_differs(
    dataset: Dataset, runs: Path, file_teacher: Path
) -> None:
    larger = _pupil(dataset, _recipe(network={"size": 64}))
    with pytest.raises(ModelError, match=r"received 48 pixels, the recipe has 64"):
        open_teachers([runs / "fold0"], larger)
    other = dataclasses.replace(_pupil(dataset, _recipe()), label_sets=(FERPLUS,))
    with pytest.raises(ModelError, match=r"received \['fer2013'\], the network learns \['ferplus'"):
        open_teachers([file_teacher], other)


@pytest.mark.parametrize(
    ("weight", "teachers", "bank", "message"),
    [
        (0.5, (), None, r"received 0\.5 and \[\]; give teachers"),
        (0.0, (Path("run"),), None, r"received 0 and \['run'\]"),
        (0.5, (Path("run"),), Path("bank"), "from teachers or from a bank"),
    ],
)
def test_recipe_and_teachers_must_go_together(
    weight: float, teachers: tuple[Path, ...], bank: Path | None, message: str, dataset: Dataset
) -> None:
    recipe = _recipe(distillation={"weight": weight})
    with pytest.raises(RecipeError, match=message):
        gather(recipe, dataset, None, EarlierWork(teachers=teachers, bank=bank))


# Banks of answers.


@pytest.fixture(scope="module")
def taught_recipe() -> Recipe:
    return _recipe(
        augmentation={"blur": 0.5, "mixup": 0.2},
        optimization={"views": 2, "ferplus_weight": 0.3},
        distillation={"weight": 0.8, "temperature": 3.0},
    )


@pytest.fixture(scope="module")
def bank(dataset: Dataset, votes: Votes, runs: Path, taught_recipe: Recipe) -> Path:
    """A bank of the run ``votes``, whose writing was stopped once."""
    calls = 0

    def stop(done: int, total: int) -> None:
        nonlocal calls
        calls += 1
        assert total == 20
        if done == 13:  # in the second epoch
            raise KeyboardInterrupt

    def write(on_progress: Callable[[int, int], None] | None) -> Path:
        earlier = EarlierWork(teachers=(runs / "votes",))
        material = gather(taught_recipe, dataset, votes, earlier)
        assert material.teacher is not None
        return write_bank(
            runs / "bank",
            material.teacher,
            material.batches(),
            material.pupil,
            on_progress=on_progress,
        )

    with pytest.raises(KeyboardInterrupt):
        write(stop)
    first = (runs / "bank" / "epoch-00000.npy").stat().st_mtime_ns
    folder = write(None)
    assert (folder / "epoch-00000.npy").stat().st_mtime_ns == first, "it went on, not anew"
    return folder


def test_a_bank_holds_half_precision_answers_of_every_input(bank: Path, runs: Path) -> None:
    answers = np.load(bank / "epoch-00001.npy")
    assert answers.dtype == np.float16
    assert answers.shape == (2, 70, 7 + 8)  # views, pictures, columns of both heads
    np.testing.assert_allclose(answers[..., :7].astype(np.float32).sum(axis=-1), 1, atol=5e-3)
    facts = json.loads((bank / "bank.json").read_text())
    digest = read_finished_run(runs / "votes").sha256
    assert [teacher["weights_sha256"] for teacher in facts["teachers"]] == [digest]
    assert len(facts["epochs"]) == 2


def test_a_run_with_a_bank_trains_as_with_the_teacher_itself(
    bank: Path, dataset: Dataset, votes: Votes, runs: Path, taught_recipe: Recipe, tmp_path: Path
) -> None:
    live = EarlierWork(teachers=(runs / "votes",))
    losses: list[list[float]] = []
    for earlier in (live, EarlierWork(bank=bank)):
        out = tmp_path / str(len(losses))
        run = train(taught_recipe, dataset, out, votes=votes, earlier=earlier)
        losses.append([row.loss for row in run.history])
        assert "teachers" in json.loads(run.folder.origins.read_text())
    np.testing.assert_allclose(losses[0], losses[1], rtol=2e-3)


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("run", "seed", 6, "seed is 5 there, 6 here"),
        ("augmentation", "blur", 0.25, r"augmentation\.blur is 0\.5 there, 0\.25 here"),
        ("data", "balance", 0.5, r"data\.balance is 0\.0 there, 0\.5 here"),
        ("optimization", "views", 1, "views is 2 there, 1 here"),
        ("optimization", "epochs", 3, "received 2 epochs.*the recipe has 3 epochs"),
    ],
)
def test_a_bank_of_other_pictures_is_refused_with_what_differs(
    bank: Path,
    dataset: Dataset,
    taught_recipe: Recipe,
    section: str,
    key: str,
    value: float,
    message: str,
) -> None:
    changed = dataclasses.replace(getattr(taught_recipe, section), **{key: value})
    recipe = dataclasses.replace(taught_recipe, **{section: changed})
    with pytest.raises(ModelError, match=message):
        TeacherBank(bank, _pupil(dataset, recipe, with_votes=True))


def test_a_bank_of_other_data_is_refused(
    bank: Path, dataset: Dataset, taught_recipe: Recipe
) -> None:
    pupil = _pupil(dataset, taught_recipe, with_votes=True)
    with pytest.raises(ModelError, match=r"data\.digest is '\w+' there, 'other' here"):
        TeacherBank(bank, dataclasses.replace(pupil, data_digest="other"))


def test_what_comes_after_the_teachers_may_differ(
    bank: Path, dataset: Dataset, taught_recipe: Recipe
) -> None:
    changes = dataclasses.replace(taught_recipe.augmentation, mixup=0.0, sizes=(32,))
    recipe = dataclasses.replace(taught_recipe, augmentation=changes)
    assert TeacherBank(bank, _pupil(dataset, recipe, with_votes=True)).taught == (True, True)


def test_a_changed_or_missing_bank_is_refused(
    bank: Path, dataset: Dataset, taught_recipe: Recipe, tmp_path: Path
) -> None:
    pupil = _pupil(dataset, taught_recipe, with_votes=True)
    shutil.copytree(bank, tmp_path / "bank")
    (tmp_path / "bank" / "epoch-00000.npy").write_bytes(b"changed")
    with pytest.raises(ModelError, match=r"epoch-00000\.npy .* is missing or changed"):
        TeacherBank(tmp_path / "bank", pupil).answer(_lesson(dataset, np.arange(16)))
    (tmp_path / "bank" / "bank.json").write_text('{"format": "other", "epochs": []}')
    with pytest.raises(ModelError, match="is no teacher bank; received format 'other'"):
        TeacherBank(tmp_path / "bank", pupil)
    with pytest.raises(ModelError, match="is no teacher bank"):
        TeacherBank(tmp_path, pupil)


# Averages of runs.


def test_an_average_has_the_mean_weights_and_its_own_statistics(
    dataset: Dataset, runs: Path, tmp_path: Path
) -> None:
    average = average_runs([runs / "fold0", runs / "again"], tmp_path / "average", dataset)
    model = read_finished_run(average.folder.path).build()
    sources = [read_finished_run(runs / name).build() for name in ("fold0", "again")]
    for index, variable in enumerate(model.trainable_variables):
        parts = [np.asarray(source.trainable_variables[index]) for source in sources]
        np.testing.assert_allclose(np.asarray(variable), np.mean(parts, axis=0), atol=1e-6)
    norm = next(one for one in model.layers if isinstance(one, keras.layers.BatchNormalization))
    before = keras.Model(model.inputs[0], norm.input)
    recipe = read_finished_run(runs / "fold0").recipe
    batches = gather(recipe, dataset, None, EarlierWork()).batches()
    maps = [before.predict_on_batch(batches.load(1, k).inputs) for k in range(len(batches))]
    means = [one.mean(axis=(0, 1, 2)) for one in maps]
    np.testing.assert_allclose(np.asarray(norm.moving_mean), np.mean(means, axis=0), atol=1e-4)
    variances = [one.var(axis=(0, 1, 2)) for one in maps]
    expected = np.mean(variances, axis=0)
    np.testing.assert_allclose(np.asarray(norm.moving_variance), expected, rtol=1e-3)
    origins = json.loads(average.folder.origins.read_text())
    assert [one["name"] for one in origins["average_of"]] == ["fold0", "again"]
    exported = export_run(average.folder.path, tmp_path / "average.onnx")
    accuracy = exported.metadata.head().figures["validation_accuracy"]
    assert accuracy == pytest.approx(average.val_accuracy, abs=0.2)  # after class biases


def test_runs_that_do_not_go_together_are_refused_with_what_differs(
    dataset: Dataset, runs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "average"
    with pytest.raises(ModelError, match=r"fold is '1 of 2' there, '0 of 2' here"):
        average_runs([runs / "fold0", runs / "fold1"], out, dataset)
    with pytest.raises(ModelError, match=r"label sets is \['fer2013', 'ferplus'\] there"):
        average_runs([runs / "fold0", runs / "votes"], out, dataset)
    with pytest.raises(ModelError, match="needs two runs or more; received 1"):
        average_runs([runs / "fold0"], out, dataset)
    other = dataclasses.replace(dataset, train=dataset.train.take(np.arange(60)))
    with pytest.raises(ModelError, match=r"data is '\w+' there, '\w+' here"):
        average_runs([runs / "fold0", runs / "again"], out, other)
    with pytest.raises(CheckpointError, match="holds a run already"):
        average_runs([runs / "fold0", runs / "again"], runs / "fold1", dataset)
    assert not out.exists()
