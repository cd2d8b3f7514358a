"""What a model file says of itself: written and read back, and refused when it makes no sense."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from facial_expressions.calibration import Calibration, TopLabelMap
from facial_expressions.errors import ModelError
from facial_expressions.labels import FER2013, FERPLUS, LabelSet
from facial_expressions.model_metadata import FORMAT, Head, ModelMetadata
from facial_expressions.preprocessing import Preprocessing

PAIR = LabelSet("pair", ("no", "yes"))
MAPPED = Calibration((0.1, -0.2), 1.5, TopLabelMap((0.9, 1.1), (0.0, 0.3)), 0.6)
METADATA = ModelMetadata(
    name="made",
    architecture="none",
    heads=(Head("plain", FERPLUS), Head("mapped", PAIR, MAPPED, {"validation_accuracy": 0.75})),
    default_head="mapped",
    preprocessing=Preprocessing(size=64, mean=0.4),
    data="drawn faces",
)


def read(**changes: str) -> ModelMetadata:
    """Read the entries with some of them changed."""
    return ModelMetadata.from_entries({**METADATA.to_entries(), **changes}, source="made.onnx")


def heads_with(path: tuple[str, ...], value: object) -> str:
    """Return the entry ``heads`` with one value of the second head changed."""
    heads = json.loads(METADATA.to_entries()["heads"])
    inner = heads[1]
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return json.dumps(heads)


def test_what_is_written_is_read_back() -> None:
    assert read() == METADATA


def test_a_head_is_found_by_its_name_or_is_the_default() -> None:
    assert METADATA.head("plain").labels == FERPLUS
    assert METADATA.head().name == "mapped"
    assert METADATA.head_names == ("plain", "mapped")


def test_one_head_can_be_replaced() -> None:
    other = Head("plain", FER2013)
    assert METADATA.with_head(other).heads == (other, METADATA.heads[1])


def test_a_file_of_format_1_is_refused_with_the_line_that_converts_it() -> None:
    expected = r"^made\.onnx: a model file of format 1.*python examples/convert_model\.py OLD NEW$"
    with pytest.raises(ModelError, match=expected):
        read(format="facial-expressions-model/1")


def test_a_file_of_a_later_format_asks_for_an_update() -> None:
    with pytest.raises(ModelError, match=f"model/3'; this version reads '{FORMAT}'. Update"):
        read(format="facial-expressions-model/3")


@pytest.mark.parametrize("entries", [{}, {"format": "other"}])
def test_what_is_no_model_of_ours_is_refused(entries: Mapping[str, str]) -> None:
    with pytest.raises(ModelError, match="not a facial-expressions model"):
        ModelMetadata.from_entries(entries, source="made.onnx")


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("name",), "plain", "different names"),
        (("name",), "third", "one of them is the default"),
        (("labels", "names"), ["no", "no"], "'pair': needs two or more different"),
        (("labels", "names"), ["no", "yes", "maybe"], "each of its 3 classes, not"),
        (("calibration", "biases"), [0.1], r"not \[1, 2, 2\]"),
        (
            ("calibration", "top_label"),
            {"slopes": [1.0], "offsets": [0.0]},
            r"not \[2, 1, 1\]",
        ),
        (("calibration", "temperature"), 0, "A temperature is above 0"),
        (("calibration", "temperature"), "warm", "could not convert"),
        (("calibration",), {}, "'top_label' is missing"),
        (("figures",), None, "not iterable"),
    ],
)
def test_heads_that_make_no_sense_are_one_clear_error(
    path: tuple[str, ...], value: object, said: str
) -> None:
    with pytest.raises(ModelError, match=f"^made.onnx: damaged metadata: .*{said}"):
        read(heads=heads_with(path, value))


def test_a_file_without_heads_is_refused() -> None:
    with pytest.raises(ModelError, match=r"damaged metadata: heads \[\]"):
        read(heads="[]")


def test_a_missing_entry_is_named() -> None:
    entries = METADATA.to_entries()
    del entries["default_head"]
    with pytest.raises(ModelError, match="'default_head' is missing"):
        ModelMetadata.from_entries(entries, source="made.onnx")


def test_two_heads_may_have_equal_labels_but_not_one_name() -> None:
    first, second = Head("a", PAIR), Head("b", PAIR)
    assert replace(METADATA, heads=(first, second), default_head="a").head("b") == second
    with pytest.raises(ValueError, match="different names"):
        replace(METADATA, heads=(first, first), default_head="a")


def test_a_head_without_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a name"):
        Head("", PAIR)
