"""What a worker does with its inputs: exactly one row each, whatever the inputs are."""

from __future__ import annotations

from pathlib import Path

import pytest

from facial_expressions.distributed import work
from facial_expressions.distributed.inputs import BatchInput
from facial_expressions.distributed.work import RowMaker
from facial_expressions.inference.recognizer import load_recognizer


@pytest.fixture
def maker(tmp_path: Path) -> RowMaker:
    maker = RowMaker(lambda: load_recognizer(threads=1), tmp_path)
    assert maker.open() is None
    return maker


def test_every_input_has_its_row_in_order(maker: RowMaker, astronaut: Path, tmp_path: Path) -> None:
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
    read = maker.answer(inputs)
    assert [row["source"] for row in read] == [one.source for one in inputs]
    statuses = ["rejected", "ok", "failed", "rejected", "ok", "failed"]
    assert [row["status"] for row in read] == statuses
    assert [len(row.get("faces", ())) for row in read] == [0, 1, 0, 0, 1, 0]
    assert read[1]["faces"] == read[4]["faces"]
    assert read[2]["error"].startswith("vanished: ")


def test_a_file_that_may_not_be_read_has_failed(
    maker: RowMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "locked.jpg").write_bytes(b"x")

    def refuse(self: Path, mode: str = "r") -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    (row,) = maker.answer([BatchInput("locked.jpg", is_listed=True)])
    assert row["status"] == "failed"
    assert "permission: " in row["error"]


def test_a_huge_member_is_rejected_unread(maker: RowMaker, tmp_path: Path) -> None:
    (tmp_path / "big.tar").write_bytes(b"")
    huge = BatchInput("big.tar/a.png", "big.tar", 0, work.MAX_MEMBER_BYTES + 1)
    (row,) = maker.answer([huge])
    assert row["status"] == "rejected"
    assert "too large" in row["error"]
