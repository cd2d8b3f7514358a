"""A head of your own: a model file that has one answers by it, with no change to the package."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from facial_expressions.calibration import Calibration
from facial_expressions.cli.main import main
from facial_expressions.labels import FER2013, LabelSet
from facial_expressions.model_metadata import Head
from tests.tiny_model import FERPLUS_HEAD, HEAD, mapped_weights, metadata_of, write_mapped_model

TOY = Head("toy", LabelSet("animals", ("cat", "dog", "owl")), Calibration(uncertain_below=0.9))


def predict(
    capsys: pytest.CaptureFixture[str], model: Path, photo: Path, labels: str
) -> dict[str, float]:
    """Return the probabilities of the one face that ``predict`` finds."""
    words = ["predict", str(photo), "--model", str(model), "--labels", labels, "--format", "json"]
    assert main(words) == 0
    (face,) = json.loads(capsys.readouterr().out)["faces"]
    assert face["uncertain"] == (face["confidence"] < face["uncertain_below"])
    probabilities: dict[str, float] = face["probabilities"]
    return probabilities


def test_predict_answers_by_a_third_head(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, astronaut: Path
) -> None:
    """Both heads see the crop's mean grey value, which the first one's answer gives away."""
    model = write_mapped_model(tmp_path / "toy.onnx", metadata_of(HEAD, FERPLUS_HEAD, TOY))
    first = np.log(list(predict(capsys, model, astronaut, "fer2013").values()))
    kernel, bias = mapped_weights(FER2013)
    mean = (first[-1] - first[0] - (bias[-1] - bias[0])) / (kernel[-1] - kernel[0])
    kernel, bias = mapped_weights(TOY.labels)
    expected = np.exp(kernel * mean + bias)
    toy = predict(capsys, model, astronaut, "toy")
    assert list(toy) == ["cat", "dog", "owl"]
    np.testing.assert_allclose(list(toy.values()), expected / expected.sum(), atol=1e-4)
