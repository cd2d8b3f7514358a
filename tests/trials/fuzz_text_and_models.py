"""Feeds legal models that grow, spoilt ones, and names of any characters: what ``fuzz`` adds.

Everything is derived from the seed, as in ``tests/trials/fuzz.py``.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np

from facial_expressions.cli.main import main
from facial_expressions.cli.result_rows import to_text
from facial_expressions.cli.streams import harmless_streams
from facial_expressions.errors import ModelError
from facial_expressions.files import write_file
from facial_expressions.inference.classifier import load_classifier
from facial_expressions.inference.onnx_bytes import seal_model
from facial_expressions.media.summary import VideoSummary
from facial_expressions.results import ImageResult
from facial_expressions.rows import IMAGE, to_csv, to_json
from tests.growing_models import GROWING, grown
from tests.trials.findings import Findings
from tests.trials.mutations import mutate

__all__ = ["feed_models", "feed_names"]

_STEERING: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_LETTERS: Final = [
    *map(chr, range(1, 0x30)), *map(chr, range(0x7B, 0xA1)), "a", "é", "写", "😀", "\u202e",
    "\u2066", "\u200f", "\u2028", "\ufeff", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\u200b",
    "\udce9",
]  # fmt: skip
_VERBS: Final[tuple[list[str], ...]] = (
    ["video"],
    ["models", "verify"],
    ["evaluate", "--data"],
    ["batch"],
    [],
)


def feed_models(seed: int, start: int, count: int) -> Findings:
    """Open models that grow and spoilt ones in this process.

    Args:
        seed: Of the choices and the spoiling.
        start: Number of the first.
        count: How many.
    """
    findings = Findings()
    ways = list(GROWING.values())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        for number in range(start, start + count):
            random = np.random.default_rng([seed, number])
            way = ways[number % len(ways)]
            begin = ("seed", "crops", "fer2013_probabilities")[random.integers(3)]
            steps = int(random.integers(4 if random.integers(2) else 41))
            model = grown(way, steps, start=begin)
            data = model.SerializeToString()
            spoilt = mutate(data, random) if number % 3 == 2 else data
            path.write_bytes(seal_model(spoilt) if number % 2 else spoilt)
            began, allowed = time.process_time(), True
            _forget_peak()
            try:
                load_classifier(path, threads=1)
                outcome = "ok"
            except ModelError as error:
                outcome = "not opened" if "not opened" in str(error) else "ModelError"
                findings.refused_mb = max(findings.refused_mb, _peak_mb())
            except Exception as error:  # noqa: BLE001 - any other exception is what is looked for
                outcome, allowed = f"{type(error).__name__}: {error}"[:200], False
            findings.note(number, outcome, time.process_time() - began, allowed=allowed)
    return findings


def _forget_peak() -> None:
    """Let the system count the most memory in use from now on, where it can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak_mb() -> float:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    return int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024


def feed_names(seed: int, start: int, count: int) -> Findings:
    """Write rows, summaries and messages of files with odd names.

    Args:
        seed: Of the names.
        start: Number of the first.
        count: How many.
    """
    findings = Findings()
    for number in range(start, start + count):
        random = np.random.default_rng([seed, number])
        name = "".join(random.choice(_LETTERS, size=int(random.integers(1, 30))))
        began = time.process_time()
        wrong = _wrong_with(name, _VERBS[number % len(_VERBS)] if number % 20 == 0 else None)
        took_s = time.process_time() - began
        findings.note(number, wrong or "harmless", took_s, allowed=not wrong)
    return findings


def _wrong_with(name: str, verb: list[str] | None) -> str:
    """Return what is wrong with what is written of a name; an empty text when nothing is."""
    row = ImageResult(name, "rejected", error=name)
    line, cells = to_json(IMAGE, row.to_dict()), to_csv(IMAGE, row.to_dict(), ("happy",))
    text = to_text(row)
    written = [line, cells, text, VideoSummary(name).finish(status="ok").to_text()]
    if json.loads(line)["source"] != name:
        return "JSON gives another name"
    if "\n" in text:
        return "a name ends a line of text"
    (read,) = csv.reader(io.StringIO(cells, newline=""))
    if name != "-" and re.match(r"[\s\u200b\ufeff]*[=+@\uff1d\uff0b\uff0d\uff20-]", read[0]):
        return "CSV has a formula"
    with contextlib.redirect_stdout(io.StringIO()) as out, harmless_streams():
        out.write(name)
        print(name)
    written.append(out.getvalue().removeprefix(name))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.txt")
        write_file(path, name)
        written.append(path.read_text("utf-8"))
    if verb is not None:
        with contextlib.redirect_stderr(io.StringIO()) as err:
            main([*verb, name])
        written.append(err.getvalue())
        if "Traceback" in err.getvalue():
            return f"{' '.join(verb)} has a bug"
    return "a terminal is steered" if any(map(_STEERING.search, written)) else ""
