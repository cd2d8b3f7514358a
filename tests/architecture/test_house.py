"""The size of the house: what ``tests/architecture/house.py`` prints, and how it is measured."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.architecture.house import LIMITS, count_code, longest_chain, measure, names_columns

SO_FAR = {"lines of code": 15_012}
"""Where a limit is not reached yet; a figure may fall, and then its entry goes."""


def test_the_house_keeps_its_limits() -> None:
    allowed = LIMITS | SO_FAR
    too_large = {what: found for what, found in measure().items() if found > allowed[what]}
    assert too_large == {}


def test_docstrings_comments_and_blank_lines_are_no_code() -> None:
    """Two lines of assignments, one of them over two lines, and the function's two."""
    text = (
        '"""A module\n\nof three lines."""\n\nA = 1  # a comment\n"""What it is."""\n# another\n'
        'B = """two\nlines"""\n\ndef f() -> int:\n    """Return."""\n    return 1\n'
    )
    assert count_code(text) == 5


def test_a_chain_has_the_modules_of_the_package_that_import_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Top imports middle inside a function, middle imports low; what is outside does not count."""
    inner = tmp_path / "house_of_cards" / "inner"
    inner.mkdir(parents=True)
    for name, text in {
        "__init__": "",
        "top": "def f():\n    from house_of_cards.inner import middle\n",
        "middle": "from house_of_cards.inner import low\n",
        "low": "import house_of_cards.outside\n",
    }.items():
        (inner / f"{name}.py").write_text(text)
    for name in ("__init__", "outside"):
        (inner.parent / f"{name}.py").write_text("")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert longest_chain("house_of_cards.inner") == 3


@pytest.mark.parametrize(
    ("text", "is_writer"),
    [
        ('row = {"confidence": 1, "detection_score": 1}', True),
        ("class Face(Schema):\n    confidence: float\n    detection_score: float", True),
        ("class Face:\n    confidence: float\n    detection_score: float", False),
        ('row = {"confidence": face.detection_score}', False),
    ],
    ids=["keys", "schema", "value", "attribute"],
)
def test_a_writer_of_a_face_names_its_columns(text: str, is_writer: bool) -> None:
    assert names_columns(text) is is_writer
