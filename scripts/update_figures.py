"""Fill the measured figures into README, model card and ``models/index.json`` from the reports.

The figures stand between ``<!-- figures: KIND MODEL ... -->`` and ``<!-- /figures -->``. The
reports are those of ``scripts/write_reports.py``; one of another file than the one that ships is
refused.

    python -m scripts.update_figures [--check]
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from scripts.pages import MISSING, ROOT, fill_blocks, markdown_table, percent, write_or_check

REPORTS: Final = ROOT / "docs" / "reports"
BENCHMARKS: Final = ROOT / "benchmarks"
INDEX: Final = ROOT / "src" / "facial_expressions" / "models" / "index.json"
PAGES: Final = (ROOT / "README.md", ROOT / "docs" / "model-card.md")

# What the project's starting point reports on the same 7,178 images.
SEED: Final = {"accuracy": 0.4585, "macro_f1": 0.36}
SUBSETS: Final = {
    "public": "PublicTest",
    "private": "PrivateTest",
    "no_train_duplicate": "without copies of training images",
}
OTHER_REPORTS: Final = {
    "views": "accuracy, mean of ten views, all 7,178",
    "ferplus": "accuracy on FER+ strict majority, eight expressions, 3,153 images of PrivateTest",
}
PEOPLE_REPORTS: Final = {"people": "people", "people-by-labels": "fer2013"}
"""Reports against FER+ votes, and the head that answers in each."""

Report = dict[str, Any]
Reports = Mapping[str, Report]
"""By name what ``evaluate`` wrote as ``report.json``."""


def main(arguments: Sequence[str]) -> int:
    """Fill the blocks, or with ``--check`` say whether they are as the reports have them."""
    reports = {
        path.parent.name: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(REPORTS.glob("*/report.json"))
    }
    index = INDEX.read_text(encoding="utf-8")
    check_digests(json.loads(index), reports)
    filled = {page: fill(page.read_text(encoding="utf-8"), reports) for page in PAGES}
    return write_or_check(filled | {INDEX: fill_index(index, reports)}, arguments, task="figures")


def fill(text: str, reports: Reports) -> str:
    """Return a page with its blocks filled; an unknown kind or model is a ``KeyError``."""
    return fill_blocks(text, "figures", lambda kind, names: BLOCKS[kind](names, reports))


def fill_index(text: str, reports: Reports) -> str:
    """Return ``index.json`` with the figures of the reports."""
    index: dict[str, Any] = json.loads(text)
    for name, entry in index["models"].items():
        entry.pop("measured", None)
        if one := reports.get(name):
            entry["measured"] = {
                "on": f"{one['dataset']}, protocol {one['protocol']}, {one['split']}",
                "n": one["n"],
                **{key: round(one[key], 4) for key in ("accuracy", "macro_f1", "ece")},
                "ms_per_crop": round(one["latency_ms"]["per_crop"], 2),
            }
    return json.dumps(index, indent=2) + "\n"


def check_digests(index: Mapping[str, Any], reports: Reports) -> None:
    """Raise when a report is of another file than the one that ships."""
    for name, entry in index["models"].items():
        for kind in (name, *(f"{name}-{kind}" for kind in OTHER_REPORTS | PEOPLE_REPORTS)):
            digest = reports[kind]["model_digest"] if kind in reports else entry["sha256"]
            if digest != entry["sha256"]:
                raise ValueError(
                    f"docs/reports/{kind}: the report of another file, SHA-256 "
                    f"{digest}, not {entry['sha256']}. Run: python -m scripts.write_reports"
                )


def headline(names: Sequence[str], reports: Reports) -> list[str]:
    """Return three figures of the model that answers by default."""
    people, labels = reports[f"{names[0]}-people"], reports[names[0]]
    rows = [
        (f"agrees with the majority of ten people ({people['n']:,} images)", _accuracy(people)),
        (f"agrees with FER-2013's label, `--labels fer2013` ({labels['n']:,})", _accuracy(labels)),
        (f"calibration error against the votes ({people['votes']['n']:,})",
         percent(people["votes"]["ece"])),
    ]  # fmt: skip
    header = (f"`{names[0]}`, the default, on FER-2013's test images", "result (95% interval)")
    return markdown_table(header, rows)


def peers(names: Sequence[str], reports: Reports) -> list[str]:
    """Return ``benchmarks/peers.csv`` as a table, with the figures that are measured here."""
    measured = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))["figures"]
        for path in (BENCHMARKS / "results").glob("*.json")
    }
    measured |= {"report": reports[names[0]], "people": reports[f"{names[0]}-people"]}
    measured["n"] = len(measured["footprint"]["install_mb"])

    def cell(text: str) -> str:
        """Fill a cell; it names its figures by benchmark and keys."""
        try:
            return text.format(**measured)
        except KeyError:
            return MISSING

    with (BENCHMARKS / "peers.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file, delimiter=";")
    return markdown_table(header, [[*map(cell, row)] for row in rows], left=len(header))


def summary(names: Sequence[str], reports: Reports) -> list[str]:
    """Return a table with a column for the seed and one for each model, and its origin."""
    own = [reports[name] for name in names]
    all_images = f"all {own[0]['n']:,}"
    f1 = [f"{one['macro_f1']:.3f}" for one in own]
    rows = [
        (f"accuracy, {all_images}", percent(SEED["accuracy"]), *map(_accuracy, own)),
        (f"macro F1, {all_images}", f"{SEED['macro_f1']:.2f}", *f1),
    ]
    for key, title in SUBSETS.items():
        if subset := own[0]["subsets"].get(key):
            cells = [_accuracy(one["subsets"][key]) for one in own]
            rows.append((f"accuracy, {title} ({subset['n']:,})", "", *cells))
    rows.append(("expected calibration error", "", *(percent(one["ece"]) for one in own)))
    robustness = [one.get("robustness") for one in own]
    if any(robustness):
        kept = [f"{one['relative_accuracy']:.3f}" if one else "" for one in robustness]
        lost = [f"{100 * one['box_loss']:.2f} points" if one else "" for one in robustness]
        rows.append(("mean accuracy under 11 corruptions, share of the clean", "", *kept))
        rows.append(("accuracy lost when the face box is slightly off", "", *lost))
    for kind, title in OTHER_REPORTS.items():
        others = [reports.get(f"{name}-{kind}") for name in names]
        if any(others):
            rows.append((title, "", *(_accuracy(one) if one else "" for one in others)))
    kinds = ("", *(f"-{kind}" for kind in OTHER_REPORTS))
    return [
        *markdown_table(("FER-2013 test images", "seed", *names), rows),
        "",
        "One view of each crop unless stated otherwise; protocol "
        f"`{own[0]['protocol']}`; 95% Wilson intervals. Reproduce with:",
        "",
        "```console",
        *(f"$ {reports[n + k]['command']}" for n in names for k in kinds if n + k in reports),
        "```",
    ]


def people(names: Sequence[str], reports: Reports) -> list[str]:
    """Return what two heads of one model answer, held against votes and against labels."""
    own = [reports[f"{names[0]}-{kind}"] for kind in PEOPLE_REPORTS]
    columns = [_people_column(one) for one in own]
    rows = [(title, *(one[title] for one in columns)) for title in columns[0]]
    heads = (f"`--labels {head}`" for head in PEOPLE_REPORTS.values())
    table = markdown_table((f"{names[0]}, PrivateTest", *heads), rows)
    return [*table, "", "```console", *(f"$ {one['command']}" for one in own), "```"]


def _people_column(report: Report) -> dict[str, str]:
    apart = report["subsets"]["no_train_duplicate"]
    labels, votes = report["against_labels"], report["votes"]
    return {
        f"right by the majority of ten people ({report['n']:,})": _accuracy(report),
        f"the same without copies of training images ({apart['n']:,})": _accuracy(apart),
        "balanced over the classes": percent(report["balanced_accuracy"]),
        "neutral faces called neutral": percent(report["per_class"]["neutral"]["recall"]),
        f"right by FER-2013's label ({labels['n']:,})": percent(labels["accuracy"]),
        "the same, balanced": percent(labels["balanced_accuracy"]),
        f"calibration error against the votes ({votes['n']:,})": percent(votes["ece"]),
        "distance from the votes (KL, nats)": f"{votes['kl']:.3f}",
    }


def details(names: Sequence[str], reports: Reports) -> list[str]:
    """Return the tables of one model's own report, and how right its surest answers are."""
    surest = coverage_lines(reports[names[0]])
    text = (REPORTS / names[0] / "report.md").read_text(encoding="utf-8")
    _, _, tables = text.partition("\n\n")[2].partition("\n\n")  # title, and what was measured
    own = tables.partition("\n![")[0].replace("\n## ", "\n#### ")
    return [*own.strip().splitlines(), "", "#### Most confident answers", "", *surest]


def coverage_lines(report: Report) -> list[str]:
    """Return how accurate the most confident answers are, and the model's own threshold in bold."""
    points = {
        f"{100 * share:.0f}%": next(p for p in report["coverage"] if p["coverage"] >= share - 1e-9)
        for share in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
    }
    own = report["uncertain"]
    if own["threshold"] > 0:
        points[f"**{100 * own['coverage']:.1f}%, not `uncertain`**"] = own
    rows = [
        (kept, f"{point['threshold']:.3f}", percent(point["accuracy"]))
        for kept, point in points.items()
    ]
    header = ("answers kept, most confident first", "confidence from", "accuracy")
    return markdown_table(header, rows)


def _accuracy(figures: Report) -> str:
    low, high = figures["accuracy_ci95"]
    return f"{percent(figures['accuracy'])} ({100 * low:.1f} to {100 * high:.1f})"


BLOCKS: Final = {block.__name__: block for block in (headline, peers, summary, people, details)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
