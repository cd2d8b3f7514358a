"""Fill the measured speeds into the pages from the files in ``benchmarks/results``.

The tables stand between ``<!-- benchmarks: KIND -->`` and ``<!-- /benchmarks -->``; nothing else in
the pages is touched. What has no result says so.

Example:
    python scripts/update_benchmarks.py
    python scripts/update_benchmarks.py --check
    python scripts/update_benchmarks.py --print
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for the scripts beside this one, when it is run as a file

from scripts.benchmark_rows import ROWS, TRUST, Row  # noqa: E402
from scripts.card_tables import markdown_table  # noqa: E402

RESULTS: Final = ROOT / "benchmarks" / "results"
PAGES: Final = tuple(
    ROOT / "docs" / page for page in ("benchmarks.md", "concepts/cost.md", "security.md")
)
BLOCK: Final = re.compile(r"(<!-- benchmarks: (\w+) -->\n).*?(<!-- /benchmarks -->)", re.DOTALL)
MISSING: Final = "not measured"

PRICE_PER_CORE_HOUR: Final = 0.05
"""Assumed price of one core of a rented machine for an hour, in dollars."""

CLUSTER_CORES: Final = 64
PICTURES: Final = 10_000_000
HOURS_OF_VIDEO: Final = 1000
FRAMES_PER_S: Final = 25

Result = dict[str, Any]
Results = Mapping[str, Result]


def main(arguments: Sequence[str]) -> int:
    """Fill the blocks; ``--check`` says whether they are filled, ``--print`` shows the table."""
    results = read_results(RESULTS)
    if "--print" in arguments:
        print("\n".join(targets(results)))
        return 0
    stale = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if fill(text, results) != text:
            stale.append(page.name)
            if "--check" not in arguments:
                page.write_text(fill(text, results), encoding="utf-8")
    if "--check" in arguments and stale:
        print(f"speeds are stale in {', '.join(stale)}; run: make figures", file=sys.stderr)
        return 1
    print(f"changed: {', '.join(stale) or 'nothing'}")
    return 0


def read_results(folder: Path) -> dict[str, Result]:
    """Return what benchmarks wrote, by their names.

    Args:
        folder: Their files; it need not be there.
    """
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.json"))
    }


def fill(text: str, results: Results) -> str:
    """Return a page with its blocks filled.

    Args:
        text: The page.
        results: What benchmarks wrote, by their names.

    Raises:
        KeyError: A block is of a kind that is not in ``BLOCKS``.
    """
    return BLOCK.sub(lambda m: m[1] + "\n".join([*BLOCKS[m[2]](results), m[3]]), text)


def number(results: Results, benchmark: str, *keys: str) -> float | None:
    """Return one measured figure; None when there is none.

    Args:
        results: What benchmarks wrote, by their names.
        benchmark: Name of a benchmark.
        *keys: Where in its figures.
    """
    value: Any = results.get(benchmark, {}).get("figures")
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, int | float) else None


def targets(results: Results) -> list[str]:
    """Return the table of what was aimed at and what is measured."""
    rows = [_cells(row, results) for row in ROWS]
    rows.append(("same labels in every mode", "`same_labels`", *_same_labels(results)))
    return markdown_table(("what", "benchmark", "measured", "must", "aim"), rows, left=2)


def trust(results: Results) -> list[str]:
    """Return the table of what is promised under load, on spoilt input and after kills."""
    rows = [_cells(row, results)[:4] for row in TRUST]
    return markdown_table(("what", "benchmark", "measured", "must"), rows, left=2)


def _cells(row: Row, results: Results) -> tuple[str, str, str, str, str]:
    value = number(results, row.benchmark, *row.keys)
    written = MISSING if value is None else row.form.format(value)
    return row.what, f"`{row.benchmark}`", written, row.must, row.aim


def _same_labels(results: Results) -> tuple[str, str, str]:
    modes = results.get("same_labels", {}).get("figures", {})
    found = [one for one in modes.values() if isinstance(one, dict)]
    if not found:
        return MISSING, "100 %", "100 %"
    same, faces = (sum(one[key] for one in found) for key in ("same", "faces"))
    return f"{same:,} of {faces:,} faces, {len(found)} modes", "100 %", "100 %"


def times(results: Results) -> list[str]:
    """Return the table of the times on both sides of every comparison with the peer."""
    rows = [
        (f"{what}: {pair}".removesuffix(": "), f"{one['ours_ms']:.2f}", f"{one['theirs_ms']:.2f}")
        for what, pairs in results.get("peer", {}).get("figures", {}).items()
        for pair, one in ({"": pairs} if "ours_ms" in pairs else pairs).items()
        if isinstance(one, dict)
    ]
    return markdown_table(
        ("ms per crop, photo or frame", "ours", "`fer`"), rows or [(MISSING, "", "")]
    )


def faults(results: Results) -> list[str]:
    """Return what the broken batches gave, in a sentence."""
    figures = results.get("batch_faults", {}).get("figures")
    if figures is None:
        return [f"Broken batches: {MISSING}."]
    runs = figures["runs"]
    workers, commands = (sum(one[who]["kills"] for one in runs) for who in ("workers", "command"))
    same = sum(one["workers"]["same"] and one["command"]["same"] for one in runs)
    times = [one["workers"]["times_as_long"] for one in runs]
    n, photos = len(runs), figures["photos"]
    return [
        f"Published of `batch_faults`: {n} runs over {photos:,} photos, in which",
        f"{workers} workers and {commands} commands were killed. {same} of {n} gave exactly",
        "the rows of the undisturbed batch; with workers killed it took",
        f"{min(times):.2f} to {max(times):.2f} times its time.",
    ]


def detection(results: Results) -> list[str]:
    """Return the table of the faces that the detector finds, by their width."""
    settings = {
        name: one
        for name, one in results.get("detection", {}).get("figures", {}).items()
        if isinstance(one, dict)
    }
    widths = sorted({int(width) for one in settings.values() for width in one["found"]})
    rows = [
        (
            name,
            f"{one['ms']:.0f}",
            *(f"{one['found'][str(w)]:.0%}" if str(w) in one["found"] else "" for w in widths),
            str(one["false"]),
        )
        for name, one in settings.items()
    ]
    header = ("picture, searched in", "ms", *(f"{width} px" for width in widths), "false")
    return markdown_table(header, rows or [(MISSING, *[""] * (len(header) - 1))])


def install(results: Results) -> list[str]:
    """Return the table of what the base install is made of."""
    sizes = results.get("footprint", {}).get("figures", {}).get("install_mb", {})
    whole = sum(sizes.values())
    rows = [
        (name, f"{size:.1f}", f"{size / whole:.1%}") for name, size in sizes.items() if size >= 1
    ]
    small = sum(size for size in sizes.values() if size < 1)
    rows += [("all others", f"{small:.1f}", f"{small / whole:.1%}")] if sizes else []
    return markdown_table(("distribution", "MB", "share"), rows or [(MISSING, "", "")])


def origins(results: Results) -> list[str]:
    """Return the table of where and when each result was measured."""
    rows = [
        (
            f"`{name}`",
            one["time"][:10],
            one["commit"],
            f"{one['machine']['processor']}, {one['machine']['cores']} cores",
            f"onnxruntime {one['versions']['onnxruntime']}",
        )
        for name, one in results.items()
    ]
    header = ("benchmark", "day", "commit", "machine", "version")
    return markdown_table(header, rows or [(MISSING, "", "", "", "")], left=5)


@dataclass(frozen=True, slots=True)
class Load:
    """One line of the table of costs.

    Attributes:
        what: What is worked on.
        amount: How many pictures or frames.
        benchmark: The file of results that has the rate.
        keys: Where in its figures the rate is, per second.
    """

    what: str
    amount: int
    benchmark: str
    keys: tuple[str, ...]


_FRAMES: Final = HOURS_OF_VIDEO * 3600 * FRAMES_PER_S
LOADS: Final = (
    Load("pictures, own processes", PICTURES, "batch_scaling",
         ("runs", "2 processes", "photos_per_s")),
    Load("pictures, Ray", PICTURES, "batch_scaling", ("runs", "Ray, 2 workers", "photos_per_s")),
    Load("video, a detection on every frame", _FRAMES, "peer",
         ("video 640x480", "detection on every 1", "frames_per_s")),
    Load("video, a detection on every fifth", _FRAMES, "peer",
         ("video 640x480", "detection on every 5", "frames_per_s")),
)  # fmt: skip


def cost(results: Results) -> list[str]:
    """Return the table of what large amounts cost."""
    rows = []
    for load in LOADS:
        rate = number(results, load.benchmark, *load.keys)
        if rate is None:
            rows.append((load.what, MISSING, "", "", ""))
            continue
        per_core = rate / busy_cores(results[load.benchmark])
        hours = load.amount / per_core / 3600
        price = f"${hours * PRICE_PER_CORE_HOUR:,.0f}"
        wall = f"{hours / CLUSTER_CORES:,.1f} h"
        rows.append((load.what, f"{per_core:.1f}/s", f"{hours:,.0f}", price, wall))
    header = ("what", "one core", "core-hours", "price", f"on {CLUSTER_CORES} cores")
    return markdown_table(header, rows)


def busy_cores(result: Result) -> int:
    """Return how many cores a rate was measured with: two workers, or a video's whole machine.

    Args:
        result: What a benchmark wrote.
    """
    return 2 if result["benchmark"] == "batch_scaling" else int(result["machine"]["cores"])


Block = Callable[[Results], list[str]]
BLOCKS: Final[dict[str, Block]] = {
    "targets": targets,
    "trust": trust,
    "times": times,
    "detection": detection,
    "faults": faults,
    "install": install,
    "origins": origins,
    "cost": cost,
}


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
