"""Which images are measured, which count as training, and in which label set."""

from __future__ import annotations

import numpy as np
import pytest

from facial_expressions.data.dataset import Dataset
from facial_expressions.errors import DatasetError
from facial_expressions.evaluation.splits import align_labels, choose_split, training_images
from facial_expressions.labels import FER2013, FERPLUS, LabelSet
from tests.evaluation.fakes import TRIO, pixel_split


def dataset(*, validation_usage: str = "Training", n_test: int = 2) -> Dataset:
    return Dataset(
        name="made",
        protocol="kaggle",
        labels=TRIO,
        train=pixel_split([0, 1, 2], name="train", usages=["Training"] * 3),
        validation=pixel_split([1], name="validation", usages=[validation_usage]),
        test=pixel_split([2] * n_test, usages=["PublicTest"] * n_test),
    )


@pytest.mark.parametrize(("name", "n"), [("train", 3), ("validation", 1), ("test", 2), ("all", 6)])
def test_split_by_name(name: str, n: int) -> None:
    split = choose_split(dataset(), name)
    assert (split.name, len(split)) == (name, n)


def test_an_empty_split_lists_the_sizes() -> None:
    with pytest.raises(DatasetError, match=r"'test'.*train \(3\), validation \(1\), test \(0\)"):
        choose_split(dataset(n_test=0), "test")


@pytest.mark.parametrize(
    ("usage", "split", "n"),
    [
        ("Training", "test", 4),  # protocol kaggle: validation is a part of Training
        ("PublicTest", "test", 3),  # protocol competition: it is not
        ("Training", "validation", 3),
    ],
)
def test_training_images(usage: str, split: str, n: int) -> None:
    images = training_images(dataset(validation_usage=usage), split)
    assert images is not None
    assert len(images) == n


@pytest.mark.parametrize("split", ["train", "all"])
def test_training_images_have_no_training_images(split: str) -> None:
    assert training_images(dataset(), split) is None


def test_labels_are_put_into_the_classifiers_order_by_name() -> None:
    """FER-2013's 1, 4, 6 are disgust, neutral, surprise; in FER+ these are 2, 5, 7."""
    aligned, notes = align_labels(pixel_split([1, 4, 6]), FER2013, FERPLUS)
    assert aligned.labels.tolist() == [2, 5, 7]
    assert notes == ()


def test_expressions_the_model_lacks_are_left_out_and_named() -> None:
    aligned, notes = align_labels(pixel_split([1, 4, 1]), FERPLUS, FER2013)
    assert aligned.labels.tolist() == [FER2013.id_of("happy")]
    assert aligned.sources == ("image 1",)
    assert aligned.images[:, 0, 0].tolist() == [1]
    assert notes == ("left out, because the model does not know 'contempt': 2",)


def test_the_same_names_leave_the_split_as_it_is() -> None:
    split = pixel_split([0, 1])
    assert align_labels(split, TRIO, LabelSet("other name", TRIO.names)) == (split, ())


def test_nothing_in_common_is_refused() -> None:
    with pytest.raises(DatasetError, match="split 'test': no image shows"):
        align_labels(pixel_split([0, 1]), TRIO, FER2013)


def test_alignment_keeps_usages_with_their_images() -> None:
    split = pixel_split([1, 4], usages=["PublicTest", "PrivateTest"])
    aligned, _ = align_labels(split, FERPLUS, FER2013)
    assert np.array_equal(aligned.usages, ["PrivateTest"])
