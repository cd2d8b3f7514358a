"""The progress bar: where it is shown, what it says, and that it goes."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest

from facial_expressions.cli import progress
from facial_expressions.cli.progress import progress_bar


class Terminal(io.StringIO):
    """Says of itself that it is a terminal."""

    def isatty(self) -> bool:
        return True


def make_terminal(monkeypatch: pytest.MonkeyPatch, name: str) -> Terminal:
    """Put a terminal in the place of a stream."""
    stream = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, name, stream)
    return stream


def run_bar(*, prints_rows: bool = False, is_logged: bool = False, text: str = "") -> None:
    with progress_bar("images", prints_rows=prints_rows, is_logged=is_logged) as bar:
        for done in range(1, 4):
            bar.show(done, 1200, text=text)


@pytest.mark.parametrize(("text", "said"), [("", "3/1,200"), ("3 frames", "3 frames")])
def test_a_terminal_shows_how_much_is_done_and_the_bar_goes(
    monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    terminal = make_terminal(monkeypatch, "stderr")
    run_bar(text=text)
    assert "images" in terminal.getvalue()
    assert said in terminal.getvalue()
    assert terminal.getvalue().endswith("\x1b[2K"), "the line is wiped"


def test_no_bar_is_shown_where_the_rows_are(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = make_terminal(monkeypatch, "stderr")
    make_terminal(monkeypatch, "stdout")
    run_bar(prints_rows=True)
    assert terminal.getvalue() == ""


def test_off_a_terminal_there_is_no_bar_but_lines_that_are_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_bar()
    with progress_bar("epoch") as bar:
        bar.say("epoch 1: [loss] 0.5")
    assert capsys.readouterr().err == "epoch 1: [loss] 0.5\n"


def test_a_long_batch_logs_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 10.0, 10.0, 15.0, 20.0, 20.0])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    run_bar(is_logged=True)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["images 1/1", "images 3/1"]
    assert lines[1].endswith(" left")
