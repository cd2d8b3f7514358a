"""Fill the measured figures into README.md and docs/model-card.md from the shipped model's report.

The figures stand between ``<!-- figures: NAME -->`` and ``<!-- /figures -->``; nothing else in the
pages is touched. The report is written by ``facial-expressions evaluate``.

Example:
    python scripts/update_figures.py
    python scripts/update_figures.py --check
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
REPORT: Final = ROOT / "docs" / "reports" / "standardized-cnn" / "report.json"
PAGES: Final = (ROOT / "README.md", ROOT / "docs" / "model-card.md")
BLOCK: Final = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- /figures -->)", re.DOTALL)

SEED: Final = {"accuracy": 0.4585, "macro_f1": 0.36}
"""What the project's starting point reports on the same 7,178 pictures."""

Report = dict[str, Any]


def main(arguments: list[str]) -> int:
    """Fill the blocks, or with ``--check`` say whether they are as the report has them."""
    report: Report = json.loads(REPORT.read_text(encoding="utf-8"))
    stale = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        filled = fill(text, report)
        if filled != text:
            stale.append(page.name)
            if "--check" not in arguments:
                page.write_text(filled, encoding="utf-8")
    if "--check" in arguments and stale:
        print(f"figures are stale in {', '.join(stale)}; run: make figures", file=sys.stderr)
        return 1
    print(f"changed: {', '.join(stale) or 'nothing'}")
    return 0


def fill(text: str, report: Report) -> str:
    """Return a page with its blocks filled.

    Args:
        text: The page.
        report: What ``evaluate`` wrote as ``report.json``.

    Raises:
        KeyError: A block has a name that is not in ``BLOCKS``.
    """
    return BLOCK.sub(lambda m: f"{m[1]}{BLOCKS[m[2]](report)}\n{m[3]}", text)


def summary(report: Report) -> str:
    """Return the table of the README."""
    rows = [
        (f"accuracy, all {report['n']:,}", _percent(SEED["accuracy"]), _accuracy(report)),
        (f"macro F1, all {report['n']:,}", f"{SEED['macro_f1']:.2f}", f"{report['macro_f1']:.3f}"),
        *(
            (f"accuracy, {title} ({subset['n']:,})", "", _accuracy(subset))
            for name, title in SUBSETS.items()
            if (subset := report["subsets"].get(name))
        ),
        ("expected calibration error", "", _percent(report["ece"])),
    ]
    return "\n".join(
        [*_table(("FER-2013 test pictures", "seed", report["model"]), rows), "", *_origin(report)]
    )


def details(report: Report) -> str:
    """Return the tables of the model card."""
    classes = [
        (name, *(f"{row[key]:.3f}" for key in ("precision", "recall", "f1")), f"{row['support']:,}")
        for name, row in report["per_class"].items()
    ]
    averages = [
        (f"{kind} average", *(f"{row[key]:.3f}" for key in ("precision", "recall", "f1")), "")
        for kind, row in report["averages"].items()
    ]
    confusion = [
        (name, *(f"{count:,}" for count in row))
        for name, row in zip(report["labels"], report["confusion_matrix"], strict=True)
    ]
    rest = [
        ("balanced accuracy", _percent(report["balanced_accuracy"])),
        ("weighted F1", f"{report['weighted_f1']:.3f}"),
        ("negative log-likelihood", f"{report['nll']:.3f}"),
        ("Brier score", f"{report['brier']:.3f}"),
    ]
    return "\n".join(
        [
            summary(report),
            "",
            *_table(("class", "precision", "recall", "F1", "pictures"), [*classes, *averages]),
            "",
            "Confusion matrix; rows are the truth, columns the answer.",
            "",
            *_table(("", *report["labels"]), confusion),
            "",
            *_table(("figure", report["model"]), rest),
        ]
    )


SUBSETS: Final = {
    "public": "PublicTest",
    "private": "PrivateTest",
    "no_train_duplicate": "without copies of training pictures",
}
BLOCKS: Final[dict[str, Callable[[Report], str]]] = {"summary": summary, "details": details}


def _origin(report: Report) -> list[str]:
    return [
        f"One view of each crop; protocol `{report['protocol']}`; intervals are Wilson's at 95 %. "
        "Made by:",
        "",
        "```console",
        f"$ {report['command']}",
        "```",
    ]


def _accuracy(figures: Report) -> str:
    low, high = figures["accuracy_ci95"]
    return f"{_percent(figures['accuracy'])} ({100 * low:.1f} to {100 * high:.1f})"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f} %"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
