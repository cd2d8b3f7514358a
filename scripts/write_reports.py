"""Measure the models that ship, on FER-2013, and put their reports under ``docs/reports``.

For each model: ``NAME``, one view of each of the 7,178 test pictures with the corruption table;
``NAME-views``, the same pictures with test-time views; ``NAME-ferplus``, the FER+ labels where the
model answers in them. What shows pictures of FER-2013 or names its rows (``samples.png``,
``report.html``, ``predictions.csv``) is left behind: it must not enter the repository. Then run
``make figures``.

The corruption table takes 55 times as long as the plain report: about ten minutes a model on two
idle cores.

Example:
    python scripts/write_reports.py --data shared/data/fer2013
    python scripts/write_reports.py --data shared/data/fer2013 compact --only plain views
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from facial_expressions.cli.main import main as run
from facial_expressions.inference.classifier import load_classifier
from facial_expressions.inference.model_store import list_models
from facial_expressions.labels import FERPLUS

REPORTS: Final = Path(__file__).resolve().parents[1] / "docs" / "reports"
OUT: Final = "report"
COMMANDS: Final = {
    "plain": "--data archive.zip --split test --robustness",
    "views": "--data archive.zip --split test --tta",
    "ferplus": "--data fer2013.tar.gz --split test --labels ferplus --ferplus fer2013new.csv",
}
"""Options of each kind of report; files are named as they lie in the data folder."""

NEEDS: Final = ("archive.zip", "fer2013.tar.gz", "fer2013new.csv")
LEFT_BEHIND: Final = ("samples.png", "report.html", "predictions.csv")


def main(arguments: list[str], reports: Path = REPORTS) -> int:
    """Write the reports asked for."""
    parser = argparse.ArgumentParser(description="Measure the models that ship.")
    parser.add_argument("models", nargs="*", help="names; without any, every model")
    parser.add_argument("--data", type=Path, required=True, help=f"folder with {', '.join(NEEDS)}")
    parser.add_argument("--only", nargs="+", choices=list(COMMANDS), default=list(COMMANDS))
    parser.add_argument("--add", default="", help="further options of evaluate, as one text")
    options = parser.parse_args(arguments)
    names = options.models or [model.name for model in list_models()]
    for name in names:
        for kind in options.only:
            if kind == "ferplus" and not answers_in_ferplus(name):
                continue
            folder = reports / name if kind == "plain" else reports / f"{name}-{kind}"
            code = write_report(name, kind, options.data, folder, shlex.split(options.add))
            if code != 0:
                print(f"{name}, {kind}: evaluate ended with code {code}", file=sys.stderr)
                return code
            print(f"wrote {folder}")
    return 0


def write_report(name: str, kind: str, data: Path, folder: Path, more: Sequence[str]) -> int:
    """Run ``evaluate`` in a folder of its own, so that the report's command names no other.

    Args:
        name: The model.
        kind: A key of ``COMMANDS``.
        data: Folder of the data files.
        folder: Where the report goes.
        more: Further options.

    Returns:
        The exit code.
    """
    with tempfile.TemporaryDirectory() as workplace:
        for file in NEEDS:
            if (data / file).exists():
                Path(workplace, file).symlink_to((data / file).resolve())
        with contextlib.chdir(workplace):
            words = ["evaluate", name, *shlex.split(COMMANDS[kind]), *more, "--out", OUT]
            code = run(words)
        if code == 0:
            keep(Path(workplace, OUT), folder)
    return code


def keep(report: Path, folder: Path) -> None:
    """Copy what may be published of a report.

    Args:
        report: What ``evaluate`` wrote.
        folder: Where it goes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(report.iterdir()):
        if file.name not in LEFT_BEHIND:
            shutil.copyfile(file, folder / file.name)
    page = folder / "report.md"
    lines = page.read_text(encoding="utf-8").split("\n\n")
    kept = [line for line in lines if "(samples.png)" not in line]
    page.write_text("\n\n".join(kept), encoding="utf-8")


def answers_in_ferplus(name: str) -> bool:
    """Return whether a model has a head for FER+."""
    return FERPLUS.name in load_classifier(name, threads=1).metadata.head_names


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
