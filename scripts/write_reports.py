"""Measure the models that ship, on FER-2013, and put their reports under ``docs/reports``.

The report of ``plain`` has the model's name, the others ``NAME-KIND``. The corruption table of the
first takes about ten minutes a model on two idle cores. Then run ``make figures``.

    python -m scripts.write_reports --data shared/data/fer2013 [compact --only plain views]
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from facial_expressions.cli.main import main as run
from facial_expressions.inference.classifier import load_classifier
from facial_expressions.inference.model_store import list_models
from facial_expressions.labels import FERPLUS, PEOPLE
from scripts.pages import ROOT

REPORTS: Final = ROOT / "docs" / "reports"
COMMANDS: Final = {
    "plain": "--data archive.zip --split test --robustness",
    "views": "--data archive.zip --split test --tta",
    "ferplus": "--data fer2013.tar.gz --split test --labels ferplus --ferplus fer2013new.csv",
    "people": "--data fer2013.tar.gz --split test --labels people --ferplus fer2013new.csv",
    "people-by-labels": "--data fer2013.tar.gz --split test --labels people --head fer2013 "
    "--ferplus fer2013new.csv",
}
"""Options of each kind of report; files are named as they lie in the data folder."""

NEEDS: Final = ("archive.zip", "fer2013.tar.gz", "fer2013new.csv")
LEFT_BEHIND: Final = ("samples.png", "report.html", "predictions.csv")
"""What shows images of FER-2013 or names its rows: it must not enter the repository."""


def main(arguments: list[str]) -> int:
    """Write the reports asked for."""
    parser = argparse.ArgumentParser(description="Measure the models that ship.")
    parser.add_argument("models", nargs="*", help="names; without any, every model")
    parser.add_argument("--data", type=Path, required=True, help=f"folder with {', '.join(NEEDS)}")
    parser.add_argument("--only", nargs="+", choices=list(COMMANDS), default=list(COMMANDS))
    options = parser.parse_args(arguments)
    names = options.models or [model.name for model in list_models()]
    for name, kind in itertools.product(names, options.only):
        if not answers_in(name, kind):
            continue
        folder = REPORTS / (name if kind == "plain" else f"{name}-{kind}")
        with tempfile.TemporaryDirectory() as workplace:  # so that the command names no other
            for file in NEEDS:
                Path(workplace, file).symlink_to((options.data / file).resolve())
            with contextlib.chdir(workplace):
                code = run(["evaluate", name, *COMMANDS[kind].split(), "--out", "report"])
            if code != 0:
                print(f"{name}, {kind}: evaluate ended with code {code}", file=sys.stderr)
                return code
            keep(Path(workplace, "report"), folder)
        print(f"wrote {folder}")
    return 0


def keep(report: Path, folder: Path) -> None:
    """Copy what may be published of a report."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(report.iterdir()):
        if file.name not in LEFT_BEHIND:
            shutil.copyfile(file, folder / file.name)
    page = folder / "report.md"
    lines = page.read_text(encoding="utf-8").split("\n\n")
    kept = [line for line in lines if "(samples.png)" not in line]
    page.write_text("\n\n".join(kept), encoding="utf-8")


def answers_in(name: str, kind: str) -> bool:
    """Return whether a model has the head that a kind of report is of."""
    needed = {"ferplus": FERPLUS.name, "people": PEOPLE.name, "people-by-labels": PEOPLE.name}
    heads = load_classifier(name, threads=1).metadata.head_names
    return needed.get(kind, heads[0]) in heads


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
