"""All text to stdout and stderr: harmless to a terminal, and quiet where a stream is closed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from facial_expressions.cli.main import main
from facial_expressions.cli.progress import progress_bar
from facial_expressions.cli.streams import harmless_streams
from facial_expressions.errors import StorageError
from facial_expressions.plain_text import one_line, visible
from tests.catalogue.image_files import encode, photo
from tests.tiny_model import FERPLUS_HEAD, metadata_of, write_mapped_model

PROGRAM: Final = [sys.executable, "-m", "facial_expressions"]
on_posix = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
STEERING: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
MARKS: Final = {
    "esc": "\x1b[31mred", "osc": "\x1b]0;title\x07", "csi": "\x9b2J", "nel": "a\x85b",
    "del": "\x7f", "backspace": "a\bb", "return": "ok\rno", "override": "\u202egpj.exe",
    "isolate": "\u2067x\u2069", "embedding": "\u202ax", "mark": "\u200fx", "line": "a\u2028b",
    "tag": "x\U000e0041",
}  # fmt: skip


@pytest.mark.parametrize("name", MARKS.values(), ids=MARKS)
def test_what_would_steer_a_terminal_is_shown_as_json_writes_it(name: str) -> None:
    shown = visible(name)
    assert not STEERING.search(shown)
    assert "\U000e0041" not in shown
    assert json.loads(f'"{shown}"') == name


@pytest.mark.parametrize("name", ["写真 é 😀.png", "a\tb\n", "👩‍👧.jpg", "می‌خواهم", "\\u001b"])
def test_other_text_stays_as_it_is(name: str) -> None:
    assert visible(name) == name


def test_a_name_within_a_line_ends_no_line() -> None:
    assert one_line("a\nb\tc") == r"a\u000ab\u0009c"


@pytest.fixture
def named_model(tmp_path: Path) -> Path:
    """Return a model whose name holds what steers a terminal, under such a name."""
    metadata = metadata_of(FERPLUS_HEAD, name="tiny\x1b[31m\x9b2J\u202e\nforged: 1")
    return write_mapped_model(tmp_path / "model\x1b]0;x\x07\u202e.onnx", metadata)


VERBS: Final = {
    "predict": ["predict", "IMAGE"],
    "predict csv": ["predict", "IMAGE", "--format", "csv"],
    "predict json": ["predict", "IMAGE", "--format", "json"],
    "predict missing": ["predict", "IMAGE.gone"],
    "predict many": ["predict", "IMAGE", "IMAGE.gone", "--draw", "NAME"],
    "predict no model": ["predict", "IMAGE", "--model", "NAME.onnx"],
    "video missing": ["video", "NAME.mp4"],
    "video not one": ["video", "IMAGE"],
    "video out": ["video", "IMAGE", "--out", "NAME.xyz"],
    "batch": ["batch", "IMAGE", "NAME"],
    "batch missing": ["batch", "NAME.txt", "NAME"],
    "models info": ["models", "info", "MODEL"],
    "models info json": ["models", "info", "MODEL", "--json"],
    "models path": ["models", "path", "MODEL"],
    "models verify": ["models", "verify", "MODEL"],
    "models verify missing": ["models", "verify", "NAME"],
    "evaluate": ["evaluate", "MODEL", "--data", "NAME"],
    "compare": ["compare", "NAME", "NAME"],
    "export": ["export", "NAME", "--out", "NAME.onnx"],
    "train": ["train", "NAME.toml", "--data", "NAME", "--out", "NAME"],
    "data audit": ["data", "audit", "NAME"],
    "serve": ["serve", "--model", "NAME.onnx", "--port", "0"],
    "unknown verb": ["NAME"],
    "unknown option": ["predict", "--NAME"],
    "unknown value": ["predict", "IMAGE", "--labels", "NAME"],
}


@on_posix
@pytest.mark.parametrize("words", VERBS.values(), ids=VERBS)
def test_c16_no_name_steers_the_terminal_through_any_verb(
    words: list[str], named_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd\x1b[2J\x9b\u202e\x85.png").write_bytes(encode(photo(), "PNG"))
    places = {
        "IMAGE": "odd\x1b[2J\x9b\u202e\x85.png",
        "NAME": "no\x1b[31m\x9b\u202e\x85",
        "MODEL": str(named_model),
    }
    given = [re.sub("IMAGE|NAME|MODEL", lambda found: places[found[0]], word) for word in words]
    main(given)
    out, err = capfd.readouterr()
    assert out + err
    assert not STEERING.search(out + err)
    assert not re.search(r"^forged", out, re.MULTILINE)


@on_posix
@pytest.mark.parametrize(
    ("closed", "code"),
    [(">&-", 4), ("2>&-", 0), ("<&-", 0), ("<&- 2>&-", 0), (">&- 2>&-", 4), ("<&- >&- 2>&-", 4),
     (">/dev/full", 4), ("2>/dev/full", 0)],
)  # fmt: skip
def test_c17_a_closed_stream_is_a_sentence_or_quiet(
    closed: str, code: int, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(encode(photo(), "PNG"))
    program = " ".join([*PROGRAM, "predict", "a.png", "--model", str(tiny_model), closed])
    done = subprocess.run(
        ["sh", "-c", program], cwd=tmp_path, capture_output=True, encoding="utf-8", check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert "Errno" not in done.stderr
    if code and "2>" not in closed:
        assert done.stderr.startswith("facial-expressions: standard output cannot be written: ")
        assert done.stderr.count("\n") == 1


@on_posix
@pytest.mark.parametrize("words", ["--version", "models list", "models path", "models info"])
def test_c17_every_verb_that_prints_says_that_stdout_is_closed(words: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{' '.join(PROGRAM)} {words} >&-"], capture_output=True, check=False
    )
    assert (done.returncode, b"it is closed" in done.stderr) == (4, True)


@on_posix
@pytest.mark.parametrize("redirect", ["<&-", "0>/dev/null"])
def test_c17_a_standard_input_that_cannot_be_read_is_a_row(redirect: str, tiny_model: Path) -> None:
    program = " ".join([*PROGRAM, "predict", "-", "--model", str(tiny_model), redirect])
    done = subprocess.run(["sh", "-c", program], capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("-  rejected: ")


@contextmanager
def no_console() -> Iterator[None]:
    """Make this process one without a console, as programs with windows are."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("stdin", "stdout", "stderr"):
            patch.setattr(sys, name, None)
        yield


@pytest.mark.parametrize(("words", "code"), [("--version", 4), ("models verify gone.onnx", 3)])
def test_c17_a_program_without_a_console_gets_an_exit_code(words: str, code: int) -> None:
    with no_console():
        found = main(words.split())
    assert found == code


def test_messages_and_bars_need_no_console() -> None:
    with no_console(), harmless_streams():
        sys.stderr.write("a message")
        with progress_bar("images") as bar:
            bar.show(1, 2)
            bar.say("a line")
        with pytest.raises(StorageError, match="it is closed"):
            sys.stdout.write("a result")


def test_streams_are_as_before_afterwards() -> None:
    before = sys.stdout, sys.stderr
    with harmless_streams():
        assert sys.stdout is not before[0]
    assert (sys.stdout, sys.stderr) == before
