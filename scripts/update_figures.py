"""Fill the measured figures into README.md and docs/model-card.md from the reports of what ships.

The figures stand between ``<!-- figures: KIND MODEL ... -->`` and ``<!-- /figures -->``; nothing
else in the pages is touched. A model's reports, written by ``facial-expressions evaluate``, are in
``docs/reports/MODEL``, and beside it, where it was measured so, ``MODEL-views`` (test-time views)
and ``MODEL-ferplus`` (its FER+ head).

Example:
    python scripts/update_figures.py
    python scripts/update_figures.py --check
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
REPORTS: Final = ROOT / "docs" / "reports"
PAGES: Final = (ROOT / "README.md", ROOT / "docs" / "model-card.md")
BLOCK: Final = re.compile(
    r"(<!-- figures: (\w+) ([\w -]+?) -->\n).*?(<!-- /figures -->)", re.DOTALL
)

SEED: Final = {"accuracy": 0.4585, "macro_f1": 0.36}
"""What the project's starting point reports on the same 7,178 pictures."""

Report = dict[str, Any]
Reports = Mapping[str, Report]


def main(arguments: list[str]) -> int:
    """Fill the blocks, or with ``--check`` say whether they are as the reports have them."""
    reports = {
        path.parent.name: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(REPORTS.glob("*/report.json"))
    }
    stale = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        filled = fill(text, reports)
        if filled != text:
            stale.append(page.name)
            if "--check" not in arguments:
                page.write_text(filled, encoding="utf-8")
    if "--check" in arguments and stale:
        print(f"figures are stale in {', '.join(stale)}; run: make figures", file=sys.stderr)
        return 1
    print(f"changed: {', '.join(stale) or 'nothing'}")
    return 0


def fill(text: str, reports: Reports) -> str:
    """Return a page with its blocks filled.

    Args:
        text: The page.
        reports: By name what ``evaluate`` wrote as ``report.json``.

    Raises:
        KeyError: A block is of a kind that is not in ``BLOCKS``, or of a model without a report.
    """
    return BLOCK.sub(lambda m: f"{m[1]}{BLOCKS[m[2]](m[3].split(), reports)}\n{m[4]}", text)


def summary(names: Sequence[str], reports: Reports) -> str:
    """Return a table with a column for the seed and one for each model."""
    first = reports[names[0]]
    seed = (_percent(SEED["accuracy"]), f"{SEED['macro_f1']:.2f}")
    rows = [
        (f"accuracy, all {first['n']:,}", seed[0], *_each(names, reports, _accuracy)),
        (
            f"macro F1, all {first['n']:,}",
            seed[1],
            *_each(names, reports, lambda one: f"{one['macro_f1']:.3f}"),
        ),
    ]
    for key, title in SUBSETS.items():
        if subset := first["subsets"].get(key):
            cells = [_accuracy(reports[name]["subsets"][key]) for name in names]
            rows.append((f"accuracy, {title} ({subset['n']:,})", "", *cells))
    rows.append(
        ("expected calibration error", "", *_each(names, reports, lambda one: _percent(one["ece"])))
    )
    for kind, title in OTHER_REPORTS.items():
        others = [reports.get(f"{name}-{kind}") for name in names]
        if any(others):
            rows.append((title, "", *("" if one is None else _accuracy(one) for one in others)))
    return "\n".join(
        [*_table(("FER-2013 test pictures", "seed", *names), rows), "", *_origin(names, reports)]
    )


def details(names: Sequence[str], reports: Reports) -> str:
    """Return the tables of one model for the model card."""
    report = reports[names[0]]
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
OTHER_REPORTS: Final = {
    "views": "accuracy, mean of ten views, all 7,178",
    "ferplus": "accuracy on FER+ strict majority, eight expressions, 3,153 pictures of PrivateTest",
}
Block = Callable[[Sequence[str], Reports], str]
BLOCKS: Final[dict[str, Block]] = {"summary": summary, "details": details}


def _each(names: Sequence[str], reports: Reports, cell: Callable[[Report], str]) -> list[str]:
    return [cell(reports[name]) for name in names]


def _origin(names: Sequence[str], reports: Reports) -> list[str]:
    kinds = ("", *(f"-{kind}" for kind in OTHER_REPORTS))
    found = [f"{name}{kind}" for name in names for kind in kinds if f"{name}{kind}" in reports]
    return [
        "One view of each crop where nothing else is said; protocol "
        f"`{reports[names[0]]['protocol']}`; intervals are Wilson's at 95 %. Made by:",
        "",
        "```console",
        *(f"$ {reports[name]['command']}" for name in found),
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
