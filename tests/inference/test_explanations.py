"""Explanations: exact maps, a second label set, and what a recognizer makes of them."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facial_expressions.errors import ModelError
from facial_expressions.image_sources import ImageSource
from facial_expressions.images import load_image
from facial_expressions.inference.classifier import load_classifier
from facial_expressions.inference.detectors.centerface import CenterFaceDetector
from facial_expressions.inference.recognizer import load_recognizer
from facial_expressions.labels import FER2013, FERPLUS, LabelSet
from facial_expressions.preprocessing import crop_faces
from facial_expressions.results import Box
from tests.tiny_model import (
    FERPLUS_HEAD,
    HEAD,
    MAPPED_METADATA,
    mapped_weights,
    write_mapped_model,
)

CROPS = np.random.default_rng(3).integers(0, 256, (5, 48, 48), dtype=np.uint8)


@pytest.fixture(scope="module")
def mapped_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mapped_model(tmp_path_factory.mktemp("mapped") / "mapped.onnx")


@pytest.mark.parametrize("labels", [FER2013, FERPLUS])
def test_maps_are_those_of_the_graph(mapped_model: Path, labels: LabelSet) -> None:
    kernel, bias = mapped_weights(labels)
    blocks = ((CROPS / 255 - 0.5) / 0.25).reshape(5, 6, 8, 6, 8).mean(axis=(2, 4))
    expected = kernel[None, :, None, None] * blocks[:, None] + bias[None, :, None, None]
    maps = load_classifier(mapped_model, labels=labels.name).explain(CROPS)
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, expected, atol=1e-4)


@pytest.mark.parametrize("labels", ["fer2013", "ferplus"])
def test_the_softmax_of_the_mean_map_is_the_answer(mapped_model: Path, labels: str) -> None:
    classifier = load_classifier(mapped_model, labels=labels)
    logits = classifier.explain(CROPS).astype(np.float64).mean(axis=(2, 3))
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(classifier.predict_proba(CROPS), expected, atol=1e-6)


def test_a_second_label_set_has_its_own_labels_threshold_and_figures(mapped_model: Path) -> None:
    first, second = load_classifier(mapped_model), load_classifier(mapped_model, labels="ferplus")
    assert (first.labels, second.labels) == (FER2013, FERPLUS)
    assert (first.head, second.head) == (HEAD, FERPLUS_HEAD)
    assert first.metadata == second.metadata == MAPPED_METADATA


def test_an_unknown_head_is_refused_by_name(mapped_model: Path, tiny_model: Path) -> None:
    with pytest.raises(ModelError, match=r"labels 'rafdb', only in fer2013, ferplus"):
        load_classifier(mapped_model, labels="rafdb")
    with pytest.raises(ModelError, match=r"labels 'ferplus', only in fer2013\."):
        load_classifier(tiny_model, labels="ferplus")


def test_a_copy_by_pickle_keeps_the_label_set(mapped_model: Path) -> None:
    classifier = load_classifier(mapped_model, labels="ferplus")
    copy = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(copy.predict_proba(CROPS), classifier.predict_proba(CROPS))


def test_a_model_without_maps_says_so(tiny_model: Path) -> None:
    classifier = load_classifier(tiny_model)
    assert not classifier.explains
    with pytest.raises(ModelError, match="model 'tiny': cannot explain its answers"):
        classifier.explain(CROPS)


def test_maps_do_not_depend_on_the_batch_size(mapped_model: Path) -> None:
    classifier = load_classifier(mapped_model)
    together = classifier.explain(CROPS)
    np.testing.assert_allclose(classifier.explain(CROPS, batch_size=2), together, atol=1e-6)
    assert classifier.explain(CROPS[:0]).shape == (0, 7, 6, 6)


def test_a_face_is_explained_by_what_sets_its_answer_apart(
    mapped_model: Path, astronaut: Path
) -> None:
    ((face, explanation),) = load_recognizer(mapped_model).explain(astronaut)
    kernel, bias = mapped_weights(FER2013)
    chosen = FER2013.names.index(face.expression)
    # A class's map is kernel * block + bias, so what sets it apart is affine in the block's mean.
    heat = np.array(explanation.heat)
    blocks = (heat - (bias[chosen] - bias.mean())) / (kernel[chosen] - kernel.mean())
    assert explanation.expression == face.expression
    assert heat.shape == (6, 6)
    assert np.all(np.abs(blocks) <= 2.001)  # scaled grey values lie in -2 to 2
    means = np.outer(kernel, blocks.mean()) + bias[:, None]
    probabilities = np.exp(means[:, 0]) / np.exp(means[:, 0]).sum()
    np.testing.assert_allclose(list(face.probabilities.values()), probabilities, atol=1e-4)


def test_an_explanation_lies_around_its_face(mapped_model: Path, astronaut: Path) -> None:
    ((face, explanation),) = load_recognizer(mapped_model).explain(astronaut)
    (left, top), (right, _), (_, bottom), _ = explanation.corners
    assert left < face.box.left < face.box.right < right
    assert top < face.box.top < face.box.bottom
    assert bottom == pytest.approx(top + right - left)  # a square, not turned
    assert abs(bottom - face.box.bottom) < 0.1 * face.box.height


def test_rows_carry_explanations_only_when_asked_for(mapped_model: Path, astronaut: Path) -> None:
    recognizer = load_recognizer(mapped_model)
    plain_wall = np.zeros((40, 40, 3), np.uint8)
    sources: list[ImageSource] = [astronaut, plain_wall, astronaut.with_name("no-such.png")]
    plain = list(recognizer.recognize_rows(sources))
    explained = list(recognizer.recognize_rows(sources, explain=True))
    assert [row.status for row in explained] == ["ok", "ok", "rejected"]
    assert [len(row.explanations) for row in explained] == [1, 0, 0]
    assert [replace(row, explanations=()) for row in explained] == plain
    assert "explanation" in explained[0].to_dict()["faces"][0]
    assert "explanation" not in plain[0].to_dict()["faces"][0]


def test_covering_the_most_marked_place_harms_the_answer_more_than_the_least_marked(
    astronaut: Path,
) -> None:
    """Of the shipped network, on average over one face cut out in thirty ways.

    Half of the crop's side is covered: the network learnt to do without up to a third.
    """
    recognizer, classifier = load_recognizer("compact"), load_classifier("compact")
    image = load_image(astronaut)
    (found,) = recognizer.detect(image)
    random = np.random.default_rng(0)
    boxes = [
        Box(*(np.array(found.box.xyxy) + random.uniform(-9, 9, 4)).tolist()) for _ in range(30)
    ]
    crops = crop_faces(image, boxes, [()] * 30, CenterFaceDetector.framing, size=48)
    maps, before = classifier.explain(crops), classifier.predict_proba(crops)
    rows, answers = np.arange(len(crops)), before.argmax(axis=1)
    heat = (maps[rows, answers] - maps.mean(axis=1)).reshape(len(crops), 36)
    falls = []
    for place in (heat.argmax(axis=1), heat.argmin(axis=1)):
        covered = crops.copy()
        for crop, where in zip(covered, place, strict=True):
            top, left = 8 * (int(where) // 6), 8 * (int(where) % 6)
            crop[max(top - 8, 0) : top + 16, max(left - 8, 0) : left + 16] = crop.mean()
        after = classifier.predict_proba(covered)
        falls.append(float((before[rows, answers] - after[rows, answers]).mean()))
    assert falls[0] > falls[1] + 0.1
