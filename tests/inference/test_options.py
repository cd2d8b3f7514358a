"""The options of a recognizer as one value: checked, picklable, plain in JSON, one door for all."""

from __future__ import annotations

import json
import os
import pickle
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from facial_expressions.inference.classifier import load_classifier
from facial_expressions.inference.contracts import Detection, FaceDetector
from facial_expressions.inference.options import RecognizerOptions
from facial_expressions.inference.recognizer import load_recognizer
from facial_expressions.limits import MAX_PIXELS
from facial_expressions.preprocessing import Framing
from facial_expressions.results import Box


class Blind:
    """Finds nothing."""

    framing = Framing(0.8, 0.9, 0.5, 0.5, 20.0)

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        return []


class WithoutFraming:
    """Lacks what a detector needs to be framed."""

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        return []


@dataclass(frozen=True, slots=True)
class MoreOptions(RecognizerOptions):
    """The options of another version, which has one more."""

    mirrored: bool = field(default=False, metadata={"help": "Mirror every image."})


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"model": 5}, "model: must be str | Path, not 5"),
        ({"labels": 5}, "labels: must be str | None, not 5"),
        ({"tta": 1}, "tta: must be bool, not 1"),
        ({"threads": 0}, "threads: must be int | None, at least 1, not 0"),
        ({"threads": "2"}, "threads: must be int | None, at least 1, not '2'"),
        ({"threads": True}, "threads: must be int | None, at least 1, not True"),
        ({"device": None}, "device: must be str, not None"),
        ({"small_faces": "yes"}, "small_faces: must be bool, not 'yes'"),
        (
            {"min_confidence": 1.5},
            "min_confidence: must be float | None, at least 0, at most 1, not 1.5",
        ),
        (
            {"min_confidence": float("nan")},
            "min_confidence: must be float | None, at least 0, at most 1, not nan",
        ),
        ({"max_pixels": 0}, "max_pixels: must be int, at least 1, not 0"),
        ({"max_pixels": 1.5}, "max_pixels: must be int, at least 1, not 1.5"),
        ({"detector": 5}, "detector: must be str | FaceDetector, not 5"),
    ],
)
def test_a_bad_value_is_one_line_that_begins_with_its_option(
    bad: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=": must be ") as caught:
        RecognizerOptions(**bad)
    assert str(caught.value) == said


def test_a_detector_without_framing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"detector: must be .*, not <.*WithoutFraming"):
        RecognizerOptions(detector=WithoutFraming())  # type: ignore[arg-type]


@settings(max_examples=50)
@given(
    model=st.text(), labels=st.none() | st.text(), tta=st.booleans(),
    threads=st.none() | st.integers(1, 512), device=st.text(), small_faces=st.booleans(),
    min_confidence=st.none() | st.floats(0, 1) | st.sampled_from([0, 1]),
    max_pixels=st.integers(1), detector=st.text(),
)  # fmt: skip
def test_options_survive_json_and_pickle(**values: Any) -> None:  # noqa: ANN401 - any option
    options = RecognizerOptions(**values)
    assert RecognizerOptions.from_dict(json.loads(json.dumps(options.to_dict()))) == options
    assert pickle.loads(pickle.dumps(options)) == options


def test_options_that_are_missing_take_their_defaults() -> None:
    assert RecognizerOptions.from_dict({"threads": 2}) == RecognizerOptions(threads=2)


def test_an_unknown_key_in_json_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="Did you mean 'min_confidence'") as caught:
        RecognizerOptions.from_dict({"min_confidense": 0.5})
    assert str(caught.value).startswith("min_confidense: no such option of a recognizer. ")


def test_an_unknown_key_in_a_pickle_names_the_nearest() -> None:
    """A pickle holds the class and its values by name; here those of a version with one more."""
    build, (values,) = MoreOptions(mirrored=True).__reduce__()
    assert build(values).mirrored
    with pytest.raises(ValueError, match="mirrored: no such option of a recognizer"):
        RecognizerOptions.__reduce__(RecognizerOptions())[0](values)


def test_a_detector_of_ones_own_pickles_and_is_refused_as_json() -> None:
    options = RecognizerOptions(detector=Blind())
    assert isinstance(pickle.loads(pickle.dumps(options)).detector, Blind)
    with pytest.raises(ValueError, match=r"detector: .* cannot be written as JSON"):
        options.to_dict()


def test_a_path_is_never_taken_for_a_name() -> None:
    """``compact`` is a shipped model; a file of that name is asked for with its folder."""
    assert RecognizerOptions(Path("compact")).model == os.path.join(".", "compact")  # noqa: PTH118
    absolute = Path("a.onnx").absolute()
    assert RecognizerOptions(absolute).model == str(absolute)


def test_every_option_has_help_and_a_default() -> None:
    assert all(one.metadata["help"].endswith(".") for one in fields(RecognizerOptions))
    assert RecognizerOptions().max_pixels == MAX_PIXELS


def test_one_value_and_its_keywords_open_the_same_recognizer(tiny_model: Path) -> None:
    options = RecognizerOptions(tiny_model, threads=1, tta=True, min_confidence=0.25)
    for recognizer in (
        load_recognizer(options),
        load_recognizer(tiny_model, threads=1, tta=True, min_confidence=0.25),
    ):
        assert recognizer.options == options
        assert recognizer.classifier.n_views == 10
        assert recognizer.uncertain_below == 0.25
    assert load_classifier(options).n_views == load_classifier(tiny_model, tta=True).n_views == 10


def test_a_value_and_keywords_at_once_are_refused(tiny_model: Path) -> None:
    options = RecognizerOptions(tiny_model)
    with pytest.raises(TypeError, match="threads"):
        load_recognizer(options, threads=2)  # type: ignore[call-overload]
    assert load_recognizer(replace(options, threads=2)).options.threads == 2


def test_a_detector_of_ones_own_is_used_as_it_is(tiny_model: Path, astronaut: Path) -> None:
    assert isinstance(Blind(), FaceDetector)
    assert load_recognizer(tiny_model, threads=1, detector=Blind()).recognize(astronaut) == []


@pytest.mark.parametrize("landmarks", [(), None])
def test_a_detector_without_landmarks_works(
    landmarks: tuple[()] | None, tiny_model: Path, astronaut: Path
) -> None:
    class Fixed(Blind):
        def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
            return [Detection(Box(170, 60, 280, 200), 0.9, landmarks)]

    (face,) = load_recognizer(tiny_model, threads=1, detector=Fixed()).recognize(astronaut)
    assert face.landmarks == ()
    assert sum(face.probabilities.values()) == pytest.approx(1, abs=1e-5)
