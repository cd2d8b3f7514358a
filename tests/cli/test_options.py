"""The options of a recognizer on the command line: the same for every verb, from one definition."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from typer.main import get_command

from facial_expressions.cli import predict
from facial_expressions.cli.main import build_app, main
from facial_expressions.inference import detectors
from facial_expressions.inference.options import RecognizerOptions

OPENERS = ("predict", "video", "batch", "serve", "evaluate")
LACKING = {
    "evaluate": {"model", "labels", "min_confidence", "min_score", "largest", "crops"},
    "video": {"crops"},
}
"""Of evaluate the model is an argument, the labels are the truth's, the rest has fixed values."""

Import = Callable[[str], ModuleType]

DETECTOR = '''
"""A detector that takes every whole image for a face."""
from facial_expressions import Box, Detection, Framing
from facial_expressions.inference.detectors import register_detector

class WholeImage:
    framing = Framing(1, 1, 0.5, 0.5, 20)

    def detect(self, image):
        height, width = image.shape[:2]
        return [Detection(Box(0, 0, width, height), 1.0, None)]

@register_detector("toy")
def open_toy(options):
    return WholeImage()
'''

OPTION = '''
"""An option that the detector of this file has a use for."""
from dataclasses import dataclass, field
from facial_expressions import Box, Detection, Framing, RecognizerOptions
from facial_expressions.cli import predict
from facial_expressions.cli.options import takes_recognizer_options
from facial_expressions.inference.detectors import register_detector

@dataclass(frozen=True, slots=True)
class ToyOptions(RecognizerOptions):
    face_side: int = field(default=9, metadata={"help": "Side of every face.", "min": 1})

command = takes_recognizer_options(ToyOptions, detector="toy")(predict.command.__wrapped__)

class Corner:
    framing = Framing(1, 1, 0.5, 0.5, 20)

    def __init__(self, side):
        self.side = side

    def detect(self, image):
        return [Detection(Box(0, 0, self.side, self.side), 1.0)]

@register_detector("toy")
def open_toy(options):
    return Corner(options.face_side)
'''


@pytest.fixture
def import_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Import:
    """Import a module from its text; the detectors it registers are forgotten after the test."""
    detectors.list_detectors()  # has those of the package registered, which stay
    monkeypatch.setattr(detectors, "_OPENERS", dict(detectors._OPENERS))

    def do(text: str) -> ModuleType:
        path = tmp_path / "toy_part.py"
        path.write_text(text, encoding="utf-8")
        spec = importlib.util.spec_from_file_location("toy_part", path)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "toy_part", module)
        spec.loader.exec_module(module)
        return module

    return do


def ask(
    capsys: pytest.CaptureFixture[str], *words: str | Path
) -> tuple[int, list[dict[str, Any]], str]:
    """Run ``predict``; return code, rows and what it said."""
    code = main(["predict", *map(str, words), "--format", "json", "--threads", "1"])
    out, err = capsys.readouterr()
    return code, [json.loads(line) for line in out.splitlines()], err


def options_of(verb: str) -> dict[str, Any]:
    command = get_command(build_app()).commands[verb]  # type: ignore[attr-defined]
    return {parameter.name: parameter for parameter in command.params}


@pytest.mark.parametrize("verb", OPENERS)
def test_every_verb_has_every_option_with_the_same_help(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([verb, "--help"]) == 0
    page = " ".join(capsys.readouterr().out.split())
    for one in fields(RecognizerOptions):
        if one.name not in LACKING.get(verb, ()):
            assert f"--{one.name.replace('_', '-')}" in page
            assert one.metadata["help"] in page


@pytest.mark.parametrize(
    ("verb", "defaults"),
    [
        ("predict", {"threads": None, "max_pixels": 178_000_000}),
        ("batch", {"threads": 1, "max_pixels": 178_000_000}),
        ("serve", {"threads": 4, "max_pixels": 50_000_000}),
    ],
)
def test_a_verb_may_have_other_defaults(verb: str, defaults: dict[str, object]) -> None:
    parameters = options_of(verb)
    assert {name: parameters[name].default for name in defaults} == defaults


def every_option(model: Path) -> list[str]:
    """Return words for every option there is, none of them its default."""
    words = ["--model", str(model), "--labels", "ferplus", "--tta", "--threads", "1"]
    words += ["--device", "auto", "--small-faces", "--min-confidence", "1"]
    words += ["--min-score", "0.4", "--largest"]
    return [*words, "--max-pixels", "9999999", "--detector", "centerface"]


def test_predict_does_what_every_option_says(
    mapped_model: Path, astronaut: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(astronaut), "--format", "json", *every_option(mapped_model)]) == 0
    (row,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [len(face["probabilities"]) for face in row["faces"]] == [8]
    assert row["faces"][0]["uncertain"] is True


def test_video_does_what_every_option_says(
    mapped_model: Path, astronaut: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("av", reason="the extra video is not installed")
    from facial_expressions.images import load_image
    from tests.media.videos import even_times, write_video

    clip = write_video(tmp_path / "clip.mp4", [load_image(astronaut)] * 2, even_times(2))
    assert main(["video", str(clip), *every_option(mapped_model)]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [len(face["probabilities"]) for row in rows for face in row["faces"]] == [8, 8]
    assert main(["video", str(clip), "--model", str(mapped_model), "--max-pixels", "999"]) == 1
    assert "Allowed are 999 in all" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--device", "cuda"], 3, "onnxruntime-gpu"),
        (["--device", "cude"], 3, "Did you mean 'cuda'?"),
        (["--detector", "centreface"], 3, "Did you mean 'centerface'?"),
        (["--labels", "rafdb"], 3, "does not answer in the labels 'rafdb'"),
        (["--threads", "0"], 2, "--threads"),
        (["--min-confidence", "nan"], 2, "--min-confidence"),
    ],
)
@pytest.mark.parametrize("verb", ["predict", "batch"])
def test_bad_options_are_one_clear_line(
    verb: str,
    words: list[str],
    code: int,
    said: str,
    tiny_model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    inputs = [str(tmp_path / "a.jpg"), *([str(tmp_path / "rows")] if verb == "batch" else [])]
    (tmp_path / "a.jpg").touch()
    assert main([verb, *inputs, "--model", str(tiny_model), *words]) == code
    last = capsys.readouterr().err.splitlines()[-1]
    assert said in last


def test_what_only_the_value_itself_refuses_is_wrong_usage_too() -> None:
    given = {one.name: one.default for one in fields(RecognizerOptions)} | {"threads": 0}
    with pytest.raises(typer.BadParameter, match="threads: must be"):
        predict.command(images=["a.jpg"], **given)


def test_options_for_whole_photos_need_detect(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(tiny_model), "--data", str(tmp_path), "--small-faces"]) == 2
    assert "--small-faces: needs --detect" in capsys.readouterr().err


def test_a_detector_is_one_file(
    import_text: Import, tiny_model: Path, astronaut: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_text(DETECTOR)
    code, (row,), _ = ask(capsys, astronaut, "--model", tiny_model, "--detector", "toy")
    assert code == 0
    assert [face["box"] for face in row["faces"]] == [[0, 0, 512, 512]]
    assert row["faces"][0]["landmarks"] == []


def test_an_option_is_one_field(
    import_text: Import,
    tiny_model: Path,
    astronaut: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(predict, "command", import_text(OPTION).command)
    code, (row,), _ = ask(capsys, astronaut, "--model", tiny_model, "--face-side", "30")
    assert (code, [face["box"] for face in row["faces"]]) == (0, [[0, 0, 30, 30]])
    assert main(["predict", "a.jpg", "--face-side", "0"]) == 2
    assert main(["predict", "--help"]) == 0
    assert "Side of every face." in capsys.readouterr().out
