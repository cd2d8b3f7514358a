"""Label sets: names, ids and other data sets' spellings."""

from __future__ import annotations

import pytest

from facial_expressions.labels import (
    COMPETITION_ORDER,
    FER2013,
    FERPLUS,
    FERPLUS_COLUMNS,
    PEOPLE,
    LabelSet,
    canonical_label,
)


def test_fer2013_is_in_alphabetical_order() -> None:
    assert FER2013.names == ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


def test_competition_codes_are_another_order_of_the_same_names() -> None:
    assert sorted(COMPETITION_ORDER) == list(FER2013)
    assert (COMPETITION_ORDER[4], COMPETITION_ORDER[6]) == ("sad", "neutral")


def test_ferplus_adds_contempt() -> None:
    assert set(FERPLUS) - set(FER2013) == {"contempt"}
    assert set(FERPLUS_COLUMNS) - set(FERPLUS) == {"unknown", "not a face"}


def test_people_have_the_seven_names_in_the_same_order() -> None:
    assert (PEOPLE.name, PEOPLE.names) == ("people", FER2013.names)


def test_id_and_name_are_inverse() -> None:
    assert [FER2013.id_of(name) for name in FER2013] == list(range(7))


def test_unknown_label_lists_the_known_ones() -> None:
    with pytest.raises(
        ValueError,
        match=r"label 'smirk': not in label set 'fer2013'. Use one of \['angry', .*'surprise'\]",
    ):
        FER2013.id_of("smirk")


@pytest.mark.parametrize("names", [("one",), ("a", "a"), ("a", "")])
def test_label_set_refuses_too_few_equal_and_empty_names(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="two or more different, non-empty names"):
        LabelSet("odd", names)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Anger", "angry"),
        ("ANGRY", "angry"),
        ("happiness", "happy"),
        ("joy", "happy"),
        ("03_Sad", "sad"),
        ("1-sadness", "sad"),
        ("Fearful", "fear"),
        ("surprised", "surprise"),
        ("disgusted", "disgust"),
        ("calm", "neutral"),
        (" contempt ", "contempt"),
        ("smirk", None),
        ("unknown", None),
        ("", None),
    ],
)
def test_other_spellings_are_understood(text: str, expected: str | None) -> None:
    assert canonical_label(text) == expected
