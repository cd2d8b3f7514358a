"""First weights out of a model file: what ships can be trained on."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from facial_expressions.errors import ModelError
from facial_expressions.inference.classifier import ExpressionClassifier, load_classifier
from facial_expressions.labels import FER2013, FERPLUS
from facial_expressions.preprocessing import to_batch
from facial_expressions.training.network import build_network, preprocessing_of
from facial_expressions.training.recipe import Recipe
from facial_expressions.training.trained_networks import copy_weights, open_network
from tests.tiny_model import write_tiny_model

pytestmark = [pytest.mark.train]

CROPS = np.random.default_rng(1).integers(0, 256, (12, 48, 48), dtype=np.uint8)


def _recipe(architecture: str, **more: dict[str, object]) -> Recipe:
    values: dict[str, dict[str, object]] = {"network": {"architecture": architecture}}
    return Recipe.from_dict(values | more)


def _logits(model: keras.Model, recipe: Recipe) -> list[np.ndarray]:
    outputs = model.predict_on_batch(to_batch(CROPS, preprocessing_of(recipe)))
    heads = outputs if isinstance(outputs, list) else [outputs]
    return [keras.ops.convert_to_numpy(one).astype(np.float64) for one in heads]


@pytest.mark.parametrize(
    ("name", "architecture", "sizes"),
    [
        ("standardized-cnn", "standardized_cnn", ()),
        ("compact", "compact_resnet", ()),
        ("compact", "compact_resnet", (32, 40)),  # then the network's input has no fixed size
    ],
)
def test_the_network_answers_as_the_shipped_file_but_for_its_calibration(
    name: str, architecture: str, sizes: tuple[int, ...]
) -> None:
    """Among classes that are not the answer, log-probabilities are logits plus class biases.

    But for temperature and a constant an image; the map of confidences moves the answer only.
    """
    recipe = _recipe(architecture, augmentation={"sizes": list(sizes)})
    model = build_network(recipe, {"fer2013": FER2013}, any_size=bool(sizes))
    copy_weights(open_network(name), model, recipe, FER2013)
    _check_logits(_logits(model, recipe)[0], load_classifier(name, labels="fer2013"))


def test_the_second_head_is_taken_over_too() -> None:
    recipe = _recipe("compact_resnet", optimization={"ferplus_weight": 0.3})
    model = build_network(recipe, {"fer2013": FER2013, "ferplus": FERPLUS})
    copy_weights(open_network("compact"), model, recipe, FER2013)
    _check_logits(_logits(model, recipe)[1], load_classifier("compact", labels="ferplus"))


def _check_logits(logits: np.ndarray, classifier: ExpressionClassifier) -> None:
    answers = np.log(classifier.predict_proba(CROPS).astype(np.float64))
    apart = logits - answers * classifier.head.calibration.temperature
    apart[np.arange(len(CROPS)), answers.argmax(axis=1)] = np.nan
    for _ in range(200):  # takes out constants of rows and columns, though some cells are empty
        apart -= np.nanmean(apart, axis=1, keepdims=True)
        apart -= np.nanmean(apart, axis=0, keepdims=True)
    np.testing.assert_allclose(apart[~np.isnan(apart)], 0, atol=2e-3)


def test_a_larger_network_grown_from_a_smaller_one_answers_as_it_does() -> None:
    outputs = []
    for architecture in ("compact_resnet", "compact_resnet_wide"):
        recipe = _recipe(architecture, optimization={"ferplus_weight": 0.3})
        model = build_network(recipe, {"fer2013": FER2013, "ferplus": FERPLUS})
        copy_weights(open_network("compact"), model, recipe, FER2013)
        outputs.append(_logits(model, recipe))
    for smaller, larger in zip(*outputs, strict=True):
        np.testing.assert_allclose(larger, smaller, atol=1e-5)


def test_what_a_grown_network_has_more_can_learn() -> None:
    """New channels carry something, and the weights that will listen to them start at zero."""
    recipe = _recipe("compact_resnet_wide")
    model = build_network(recipe, {"fer2013": FER2013})
    copy_weights(open_network("compact"), model, recipe, FER2013)
    kernel = np.asarray(model.get_layer("stage2_2_1_conv").get_weights()[0])
    assert (kernel[:, :, 96:, :96] == 0).all()
    assert (kernel[:, :, :, 96:].std(axis=(0, 1, 2)) > 0).all()


def test_standardised_kernels_keep_their_variance() -> None:
    recipe = _recipe("standardized_cnn")
    model = build_network(recipe, {"fer2013": FER2013})
    copy_weights(open_network("standardized-cnn"), model, recipe, FER2013)
    kernel = np.asarray(keras.ops.convert_to_numpy(model.get_layer("standardized_conv2d").kernel))
    np.testing.assert_allclose(kernel.mean(axis=(0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(kernel.var(axis=(0, 1, 2)), 1, atol=1e-3)


def test_a_file_of_another_network_is_refused_with_what_differs(tmp_path: Path) -> None:
    weights = open_network("compact")
    recipe = _recipe("standardized_cnn")
    expected = r"architecture is 'compact_resnet' there, 'standardized_cnn' here"
    with pytest.raises(ModelError, match=expected):
        copy_weights(weights, build_network(recipe, {"fer2013": FER2013}), recipe, FER2013)
    recipe = _recipe("compact_resnet")
    with pytest.raises(ModelError, match=r"label set is .*angry.* there, .*contempt.* here"):
        copy_weights(weights, build_network(recipe, {"ferplus": FERPLUS}), recipe, FERPLUS)
    other = build_network(recipe, {"ferplus": FERPLUS})
    with pytest.raises(ModelError, match=r"logits has weights \[\(192, 7\), \(7,\)\] there"):
        copy_weights(weights, other, recipe, FER2013)
    with pytest.raises(ModelError, match="no such model"):
        open_network(str(tmp_path / "absent"))
    made = open_network(write_tiny_model(tmp_path / "tiny.onnx"))
    with pytest.raises(ModelError, match=r"tiny\.onnx: its weights do not fit this network"):
        copy_weights(made, build_network(recipe, {"fer2013": FER2013}), recipe, FER2013)


def test_what_starts_a_run_is_written_down() -> None:
    described = open_network("compact").describe()
    assert described["name"] == "compact.onnx"
    assert len(str(described["sha256"])) == 64
