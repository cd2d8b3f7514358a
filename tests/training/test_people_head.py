"""The head ``people``: learnt from votes on the features of a trained network, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facial_expressions.cli.main import main
from facial_expressions.data import load_dataset
from facial_expressions.data.dataset import Dataset
from facial_expressions.errors import DatasetError, ExportError
from facial_expressions.inference.classifier import ExpressionClassifier, load_classifier
from facial_expressions.labels import FERPLUS_COLUMNS, PEOPLE
from facial_expressions.training.model_files import model_bytes, read_model, remove_named
from facial_expressions.training.people_head import (
    LABEL_SHARE,
    RIDGE,
    add_people_head,
    fit_linear_layer,
    people_targets,
)
from tests import builders
from tests.tiny_model import write_tiny_model

pytestmark = pytest.mark.train

SEEN_AS = {"angry": "sad", "happy": "happy"}
"""What the voters of these tests see in a face; in any other they see a neutral one."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A small FER-2013 of drawn faces."""
    path = tmp_path_factory.mktemp("fer2013") / "fer2013.csv"
    builders.write_competition_csv(path, builders.make_rows(train=6, public=3, private=1))
    return load_dataset(path, protocol="competition", allow_partial=True)


@pytest.fixture(scope="module")
def votes(dataset: Dataset) -> dict[str, NDArray[np.uint8]]:
    """Ten votes on each image, by ``SEEN_AS``."""
    columns = [FERPLUS_COLUMNS.index(SEEN_AS.get(name, "neutral")) for name in dataset.labels.names]
    ten = 10 * np.eye(len(FERPLUS_COLUMNS), dtype=np.uint8)
    return {split.name: ten[np.array(columns)[split.labels]] for split in dataset.splits()}


@pytest.fixture(scope="module")
def people(
    dataset: Dataset,
    votes: dict[str, NDArray[np.uint8]],
    tmp_path_factory: pytest.TempPathFactory,
) -> ExpressionClassifier:
    path = tmp_path_factory.mktemp("model") / "people.onnx"
    path.write_bytes(add_people_head("compact", dataset, votes))
    return load_classifier(path)


def test_the_file_answers_by_default_as_the_voters_do(
    people: ExpressionClassifier, dataset: Dataset
) -> None:
    assert people.metadata.default_head == "people"
    assert people.labels == PEOPLE
    answers = people.predict_proba(dataset.train.images).argmax(axis=1)
    seen = [SEEN_AS.get(dataset.labels.names[i], "neutral") for i in dataset.train.labels]
    assert [PEOPLE.names[i] for i in answers] == seen


def test_the_other_heads_answer_to_the_bit_as_before(
    people: ExpressionClassifier, dataset: Dataset
) -> None:
    before = load_classifier("compact")
    for name in ("fer2013", "ferplus"):
        expected = before.for_labels(name).predict_proba(dataset.train.images)
        actual = people.for_labels(name).predict_proba(dataset.train.images)
        np.testing.assert_array_equal(actual, expected)


def test_the_mean_of_its_maps_is_its_answer(people: ExpressionClassifier, dataset: Dataset) -> None:
    """Differences of classes that are not the answer, which a map of confidences leaves alone."""
    crops = dataset.train.images[:4]
    logits = people.explain(crops).mean(axis=(2, 3))
    said = np.log(people.predict_proba(crops))
    for row, answer in enumerate(said.argmax(axis=1)):
        apart = np.delete(logits[row] - said[row], answer)
        np.testing.assert_allclose(apart, apart[0], atol=1e-3)


def test_a_head_that_is_there_is_replaced(
    people: ExpressionClassifier, dataset: Dataset, votes: dict[str, NDArray[np.uint8]]
) -> None:
    again = add_people_head(people.path, dataset, votes)
    assert again == people.path.read_bytes()


def test_a_constant_that_another_head_shares_stays_with_that_head(
    dataset: Dataset, tmp_path: Path
) -> None:
    """Quantization keeps equal constants once, under the name of one of the heads."""
    before = load_classifier("compact", labels="fer2013")
    graph, metadata = read_model(before.path)
    own, other = (f"{name}_probabilities/confidence/far" for name in ("fer2013", "people"))
    for node in graph.graph.node:
        inputs = [other if name == own else name for name in node.input]
        node.input[:] = inputs
    remove_named(graph.graph, "people_")
    heads = tuple(head for head in metadata.heads if head.name != "people")
    metadata = replace(metadata, heads=heads, default_head="fer2013")
    made = tmp_path / "made.onnx"
    made.write_bytes(model_bytes(graph, metadata))
    actual = load_classifier(made, labels="fer2013").predict_proba(dataset.train.images)
    np.testing.assert_array_equal(actual, before.predict_proba(dataset.train.images))


def test_a_confidence_below_a_half_is_uncertain(people: ExpressionClassifier) -> None:
    assert people.head.calibration.uncertain_below == 0.5


def test_targets_are_votes_with_a_tenth_of_the_label() -> None:
    shares = np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    labels = np.eye(3)
    targets, weights = people_targets(shares, labels)
    mixed = np.array([[0.55, 0.45, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])  # by hand
    assert LABEL_SHARE == 0.1
    by_class = (mixed.sum(axis=0) / 3) ** -0.4
    expected = mixed * by_class / by_class.mean()
    np.testing.assert_allclose(targets * weights[:, None], expected)


def test_the_layer_is_the_one_that_scikit_learn_finds() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, 200)
    features = rng.normal(size=(200, 4)) + np.eye(3, 4)[labels]
    weights = rng.uniform(0.5, 2.0, 200)
    kernel, bias = fit_linear_layer(features, np.eye(3)[labels], weights)
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    other = LogisticRegression(C=1 / (RIDGE * weights.sum()), tol=1e-8, max_iter=1000)
    expected = other.fit(scaled, labels, sample_weight=weights).predict_log_proba(scaled)
    logits = features @ kernel + bias
    actual = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(actual, expected, atol=2e-2)


@pytest.mark.parametrize("spoilt", ["missing", "short", "zero"])
def test_votes_that_are_not_there_are_refused(
    dataset: Dataset, votes: dict[str, NDArray[np.uint8]], spoilt: str
) -> None:
    train = {"missing": None, "short": votes["train"][:-1], "zero": 0 * votes["train"]}[spoilt]
    given = {name: rows for name, rows in votes.items() if name != "train"}
    if train is not None:
        given["train"] = train
    with pytest.raises(DatasetError, match=r"FER\+ votes: .* for 42 train images"):
        add_people_head("compact", dataset, given)


def test_a_network_without_a_linear_layer_is_refused(
    dataset: Dataset, votes: dict[str, NDArray[np.uint8]], tmp_path: Path
) -> None:
    made = write_tiny_model(tmp_path / "tiny.onnx")
    with pytest.raises(ExportError, match="does not come from a linear layer"):
        add_people_head(made, dataset, votes)


def test_the_verb_needs_votes_with_people(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["export", "compact", "--out", str(tmp_path / "x.onnx")]
    assert main([*out, "--people", "--data", "fer2013.csv"]) == 2
    assert "--people needs --ferplus" in capsys.readouterr().err
    assert main([*out, "--people", "--ferplus", "fer2013new.csv"]) == 2
    assert main([*out, "--ferplus", "fer2013new.csv"]) == 2
    assert "Only --int8 and --people use --ferplus" in capsys.readouterr().err
