"""What a worker does with its inputs: exactly one row each, whatever the inputs are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from facial_expressions.distributed.crew import Row, RowMaker
from facial_expressions.distributed.inputs import MAX_MEMBER_BYTES, BatchInput
from facial_expressions.errors import FacialExpressionsError
from facial_expressions.inference.recognizer import load_recognizer

RowsOf = Callable[[Sequence[BatchInput]], list[Row]]


@pytest.fixture
def rows_of(tmp_path: Path) -> RowsOf:
    maker = RowMaker(lambda: load_recognizer(threads=1), tmp_path)

    def ask(inputs: Sequence[BatchInput]) -> list[Row]:
        answer = maker.answer(inputs)
        assert not isinstance(answer, FacialExpressionsError)
        return answer

    assert ask([]) == []
    return ask


def test_every_input_has_its_row_in_order(rows_of: RowsOf, astronaut: Path, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no image")
    content = b"head" + astronaut.read_bytes() + b"tail"
    (tmp_path / "images.tar").write_bytes(content)
    inputs = [
        BatchInput("gone.jpg"),
        BatchInput("images.tar/a.png", "images.tar", 4, len(content) - 8),
        BatchInput("vanished.jpg", is_listed=True),
        BatchInput("text.jpg", is_listed=True),
        BatchInput(str(astronaut), is_listed=True),
        BatchInput("gone.tar/b.png", "gone.tar", 0, 10),
    ]
    read = rows_of(inputs)
    assert [row["source"] for row in read] == [one.source for one in inputs]
    statuses = ["rejected", "ok", "failed", "rejected", "ok", "failed"]
    assert [row["status"] for row in read] == statuses
    assert [len(row.get("faces", ())) for row in read] == [0, 1, 0, 0, 1, 0]
    assert read[1]["faces"] == read[4]["faces"]
    assert read[2]["error"].startswith("vanished: ")


def test_a_file_that_may_not_be_read_has_failed(
    rows_of: RowsOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "locked.jpg").write_bytes(b"x")

    def refuse(self: Path, mode: str = "r") -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    (row,) = rows_of([BatchInput("locked.jpg", is_listed=True)])
    assert row["status"] == "failed"
    assert "permission: " in row["error"]


def test_a_huge_member_is_rejected_unread(rows_of: RowsOf, tmp_path: Path) -> None:
    (tmp_path / "big.tar").write_bytes(b"")
    huge = BatchInput("big.tar/a.png", "big.tar", 0, MAX_MEMBER_BYTES + 1)
    (row,) = rows_of([huge])
    assert row["status"] == "rejected"
    assert "too large" in row["error"]
