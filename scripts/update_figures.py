"""Fill the measured figures into README, model card and ``models/index.json`` from the reports.

The figures stand between ``<!-- figures: KIND MODEL ... -->`` and ``<!-- /figures -->``; nothing
else in the pages is touched. A model's reports, written by ``facial-expressions evaluate``, are in
``docs/reports/MODEL``, and beside it, where it was measured so, ``MODEL-views`` (test-time views)
and ``MODEL-ferplus`` (its FER+ head). ``scripts/write_reports.py`` writes them all.

In the index a model that has a report gets the figures that ``models list`` shows. A report of
another file than the one that ships is refused.

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
sys.path.insert(0, str(ROOT))  # for the script beside this one, when it is run as a file

from scripts.card_tables import (  # noqa: E402
    calibration_lines,
    coverage_lines,
    markdown_table,
    percent,
    robustness_lines,
)

REPORTS: Final = ROOT / "docs" / "reports"
INDEX: Final = ROOT / "src" / "facial_expressions" / "models" / "index.json"
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
    index = INDEX.read_text(encoding="utf-8")
    check_digests(json.loads(index), reports)
    filled = {page: fill(page.read_text(encoding="utf-8"), reports) for page in PAGES}
    filled[INDEX] = fill_index(index, reports)
    stale = []
    for path, text in filled.items():
        if text != path.read_text(encoding="utf-8"):
            stale.append(path.name)
            if "--check" not in arguments:
                path.write_text(text, encoding="utf-8")
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


def fill_index(text: str, reports: Reports) -> str:
    """Return ``index.json`` with the figures of the reports.

    Args:
        text: The index.
        reports: By name what ``evaluate`` wrote as ``report.json``.
    """
    index: dict[str, Any] = json.loads(text)
    for name, entry in index["models"].items():
        entry.pop("measured", None)
        if name in reports:
            entry["measured"] = _measured(reports[name])
    return json.dumps(index, indent=2) + "\n"


def check_digests(index: Mapping[str, Any], reports: Reports) -> None:
    """Raise when a report is of another file than the one that ships.

    Args:
        index: Content of ``index.json``.
        reports: By name what ``evaluate`` wrote as ``report.json``.

    Raises:
        ValueError: A report's digest is not that of the model it is named for.
    """
    for name, entry in index["models"].items():
        for kind in (name, *(f"{name}-{kind}" for kind in OTHER_REPORTS)):
            digest = reports[kind]["model_digest"] if kind in reports else entry["sha256"]
            if digest != entry["sha256"]:
                raise ValueError(
                    f"docs/reports/{kind} is the report of another file; received SHA-256 "
                    f"{digest}, expected {entry['sha256']}; run: python scripts/write_reports.py"
                )


def summary(names: Sequence[str], reports: Reports) -> str:
    """Return a table with a column for the seed and one for each model."""
    first = reports[names[0]]
    seed = (percent(SEED["accuracy"]), f"{SEED['macro_f1']:.2f}")
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
        ("expected calibration error", "", *_each(names, reports, lambda one: percent(one["ece"])))
    )
    for title, cell in MORE_ROWS.items():
        cells = _each(names, reports, cell)
        if any(cells):
            rows.append((title, "", *cells))
    for kind, title in OTHER_REPORTS.items():
        others = [reports.get(f"{name}-{kind}") for name in names]
        if any(others):
            rows.append((title, "", *("" if one is None else _accuracy(one) for one in others)))
    return "\n".join(
        [
            *markdown_table(("FER-2013 test pictures", "seed", *names), rows),
            "",
            *_origin(names, reports),
        ]
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
        ("balanced accuracy", percent(report["balanced_accuracy"])),
        ("weighted F1", f"{report['weighted_f1']:.3f}"),
    ]
    return "\n".join(
        [
            *markdown_table(
                ("class", "precision", "recall", "F1", "pictures"), [*classes, *averages]
            ),
            "",
            "Confusion matrix; rows are the truth, columns the answer.",
            "",
            *markdown_table(("", *report["labels"]), confusion),
            "",
            *markdown_table(("figure", report["model"]), rest),
            "",
            *calibration_lines(report),
            "",
            *coverage_lines(report),
            "",
            *robustness_lines(report),
        ]
    ).rstrip()


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
    return f"{percent(figures['accuracy'])} ({100 * low:.1f} to {100 * high:.1f})"


def _relative(report: Report) -> str:
    robustness = report.get("robustness")
    return f"{robustness['relative_accuracy']:.3f}" if robustness else ""


def _box_loss(report: Report) -> str:
    robustness = report.get("robustness")
    return f"{100 * robustness['box_loss']:.2f} points" if robustness else ""


def _measured(report: Report) -> dict[str, Any]:
    """Return what the index holds of a report."""
    return {
        "on": f"{report['dataset']}, protocol {report['protocol']}, {report['split']}",
        "n": report["n"],
        "accuracy": round(report["accuracy"], 4),
        "macro_f1": round(report["macro_f1"], 4),
        "ece": round(report["ece"], 4),
        "ms_per_crop": round(report["latency_ms"]["per_crop"], 2),
    }


MORE_ROWS: Final[dict[str, Callable[[Report], str]]] = {
    "mean accuracy under 11 corruptions, share of the clean": _relative,
    "mean loss when the detector's box lies off": _box_loss,
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
