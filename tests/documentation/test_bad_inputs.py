"""The page of bad inputs: every row is there once, and names tests that exist."""

from __future__ import annotations

import re
from typing import Final

import pytest

from tests.documentation.pages import ROOT

PAGE: Final = ROOT / "docs" / "concepts" / "bad-inputs.md"
LEAST: Final = {"A": 10, "B": 8, "I": 32, "V": 17, "M": 19, "D": 18, "C": 22, "E": 15, "H": 27}
ROW: Final = re.compile(r"^\| ([A-Z]\d\d) \|(.*)\|$", re.MULTILINE)
ROWS: Final = ROW.findall(PAGE.read_text(encoding="utf-8"))


def test_every_row_of_the_catalogue_stands_on_the_page_once() -> None:
    names = [row for row, _ in ROWS]
    for kind, least in LEAST.items():
        numbers = [int(name[1:]) for name in names if name[0] == kind]
        assert sorted(numbers) == list(range(1, len(numbers) + 1)), kind
        assert len(numbers) >= least
    assert {name[0] for name in names} == {*LEAST}


@pytest.mark.parametrize(("row", "cells"), ROWS, ids=[row for row, _ in ROWS])
def test_a_row_names_a_test_that_exists_or_why_there_is_none(row: str, cells: str) -> None:
    test = cells.rpartition("|")[2].strip()
    if not test:
        assert "not applicable: " in cells
        return
    path, word = re.fullmatch(r"`([\w/.]+)` (\w+)", test).groups()  # type: ignore[union-attr]
    text = (ROOT / path).read_text(encoding="utf-8")
    is_name = re.search(rf"def test_\w*{word}\w*\(", text)
    is_id = re.search(rf'["\']{word}[-"\']|f"{word}-', text)
    assert is_name or is_id, f"{path} has no test with {word}"
