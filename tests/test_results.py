"""Results: boxes, predictions and faces check themselves and survive the way through JSON."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facial_expressions.cli.result_rows import to_text
from facial_expressions.results import SCHEMA, Box, Face, ImageResult, Prediction, Status

PREDICTION = Prediction(("angry", "happy", "sad"), (0.2, 0.7, 0.1), uncertain_below=0.5)
FACE = Face(Box(10.0, 20.5, 40.0, 60.0), 0.98, ((15.0, 30.0), (35.0, 30.0)), PREDICTION)


@pytest.mark.parametrize(
    "xyxy",
    [
        pytest.param((40, 20, 10, 60), id="right before left"),
        pytest.param((10, 60, 40, 20), id="bottom before top"),
        pytest.param((10, 20, 10, 60), id="no width"),
        pytest.param((10, 20, 40, 20), id="no height"),
        pytest.param((math.nan, 20, 40, 60), id="not a number"),
        pytest.param((10, 20, math.inf, 60), id="infinite"),
    ],
)
def test_box_refuses_impossible_corners(xyxy: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match=r"^box .*: needs finite"):
        Box(*xyxy)


def test_box_measures() -> None:
    box = Box(10, 20, 40, 60)
    assert (box.width, box.height, box.center) == (30, 40, (25.0, 40.0))


@pytest.mark.parametrize(
    ("labels", "values"),
    [
        pytest.param(("happy", "sad"), (1.0,), id="a value is missing"),
        pytest.param((), (), id="empty"),
        pytest.param(("happy", "sad"), (0.9, 0.3), id="sum over one"),
        pytest.param(("happy", "sad"), (1.5, -0.5), id="outside 0 to 1"),
        pytest.param(("happy", "sad"), (math.nan, 0.5), id="not a number"),
    ],
)
def test_prediction_refuses_what_is_no_distribution(
    labels: tuple[str, ...], values: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match=r"^(prediction|probabilities .*): "):
        Prediction(labels, values)


def test_prediction_names_the_most_probable_expression() -> None:
    assert (PREDICTION.expression, PREDICTION.confidence) == ("happy", 0.7)


def test_prediction_names_the_first_of_equals() -> None:
    assert Prediction(("angry", "happy"), (0.5, 0.5)).expression == "angry"


@pytest.mark.parametrize(("threshold", "uncertain"), [(0.0, False), (0.7, False), (0.71, True)])
def test_prediction_is_uncertain_only_below_the_threshold(
    threshold: float, uncertain: bool
) -> None:
    assert Prediction(("happy", "sad"), (0.7, 0.3), threshold).uncertain is uncertain


@pytest.mark.parametrize("value", [FACE, FACE.box, FACE.prediction, ImageResult("a.jpg", "ok")])
def test_results_are_frozen(value: Face | Box | Prediction | ImageResult) -> None:
    field = dataclasses.fields(value)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, field, None)


def test_results_refuse_a_misspelt_name() -> None:
    with pytest.raises(AttributeError):
        _ = FACE.expresion  # type: ignore[attr-defined]  # that it does not exist is the point


coordinates = st.floats(0, 1e5, allow_nan=False)
sides = st.floats(0.5, 1e4)
weights = st.lists(st.floats(0.01, 1), min_size=7, max_size=7)


@given(coordinates, coordinates, sides, sides, weights, st.floats(0, 1))
def test_face_survives_json_exactly(
    left: float, top: float, width: float, height: float, shares: list[float], score: float
) -> None:
    total = sum(shares)
    prediction = Prediction(tuple("abcdefg"), tuple(share / total for share in shares), 0.25)
    face = Face(Box(left, top, left + width, top + height), score, ((left, top),), prediction)
    assert Face.from_dict(json.loads(json.dumps(face.to_dict()))) == face


def test_row_of_a_read_image_has_the_documented_keys() -> None:
    row = ImageResult("team.jpg", "ok", 1280, 853, (FACE,)).to_dict()
    assert {key: row[key] for key in ("schema", "source", "status", "width", "height")} == {
        "schema": SCHEMA,
        "source": "team.jpg",
        "status": "ok",
        "width": 1280,
        "height": 853,
    }
    assert row["faces"][0]["box"] == [10.0, 20.5, 40.0, 60.0]
    assert row["faces"][0]["probabilities"] == {"angry": 0.2, "happy": 0.7, "sad": 0.1}


@pytest.mark.parametrize(("n_faces", "truncated"), [(0, False), (99, False), (100, True)])
def test_i27_a_row_with_as_many_faces_as_are_kept_says_so(n_faces: int, truncated: bool) -> None:
    result = ImageResult("crowd.jpg", "ok", 640, 480, (FACE,) * n_faces)
    assert result.truncated is truncated
    assert result.to_dict().get("truncated", False) is truncated
    assert to_text(result).splitlines()[0].endswith("there may be more") is truncated


@pytest.mark.parametrize("status", ["rejected", "failed", "skipped"])
def test_row_of_an_unread_image_says_why(status: Status) -> None:
    row = ImageResult("a.txt", status, error="not an image").to_dict()
    assert row == {
        "schema": SCHEMA,
        "source": "a.txt",
        "status": status,
        "error": "not an image",
    }
