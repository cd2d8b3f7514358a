"""Fill the measured speeds into the pages from the files in ``benchmarks/results``.

The tables stand between ``<!-- benchmarks: KIND -->`` and ``<!-- /benchmarks -->``. The rows of the
tables of targets and of trust are those of ``benchmarks/targets.csv``: what is measured, the file
of results that has it and where in its figures, how the number is written, what it has to be and
what it is meant to become.

    python -m scripts.update_benchmarks [--check | --print]
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from scripts.pages import MISSING, ROOT, fill_blocks, markdown_table, write_or_check

BENCHMARKS: Final = ROOT / "benchmarks"
PAGES: Final = tuple(
    ROOT / "docs" / page for page in ("benchmarks.md", "concepts/cost.md", "security.md")
)

PRICE_PER_CORE_HOUR: Final = 0.05  # of a rented machine, in dollars, assumed
CLUSTER_CORES: Final = 64
IMAGES: Final = 10_000_000
FRAMES: Final = 1000 * 3600 * 25  # a thousand hours of video

RATES: Final = {
    "images, own processes": ("batch_scaling", "runs", "2 processes", "photos_per_s"),
    "images, Ray": ("batch_scaling", "runs", "Ray, 2 workers", "photos_per_s"),
    "video, a detection on every frame":
        ("peer", "video 640x480", "detection on every 1", "frames_per_s"),
    "video, a detection on every fifth":
        ("peer", "video 640x480", "detection on every 5", "frames_per_s"),
}  # fmt: skip
"""What large amounts consist of, and where its rate is."""

PEERS: Final = {"peer": "`fer`", "peer_web": "`face-api`", "against": "earlier commit"}
_SIDES: Final = ("ours_ms", "theirs_ms")

Result = dict[str, Any]
Results = Mapping[str, Result]


def main(arguments: Sequence[str]) -> int:
    """Fill the blocks; ``--check`` says whether they are filled, ``--print`` shows the table."""
    results = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted((BENCHMARKS / "results").glob("*.json"))
    }
    if "--print" in arguments:
        print("\n".join(targets(results)))
        return 0
    filled = {page: fill(page.read_text(encoding="utf-8"), results) for page in PAGES}
    return write_or_check(filled, arguments, task="figures")


def fill(text: str, results: Results) -> str:
    """Fill a page's blocks; an unknown kind is a ``KeyError``."""
    return fill_blocks(text, "benchmarks", lambda kind, _: BLOCKS[kind](results))


def read_targets(table: str) -> list[dict[str, str]]:
    """Return the rows of ``benchmarks/targets.csv`` that stand in a table."""
    with (BENCHMARKS / "targets.csv").open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file, delimiter=";") if row["table"] == table]


def targets(results: Results) -> list[str]:
    """Return the table of what was aimed at and what is measured."""
    rows = [_cells(row, results) for row in read_targets("targets")]
    found = _groups(results, "same_labels").values()
    same, faces = (sum(one[key] for one in found) for key in ("same", "faces"))
    written = f"{same:,} of {faces:,} faces, {len(found)} modes" if found else MISSING
    rows.append(("same labels in every mode", "`same_labels`", written, "100%", "100%"))
    return markdown_table(("what", "benchmark", "measured", "must", "aim"), rows, left=2)


def trust(results: Results) -> list[str]:
    """Return the table of what is promised under load, on corrupted input and after kills."""
    rows = [_cells(row, results)[:4] for row in read_targets("trust")]
    return markdown_table(("what", "benchmark", "measured", "must"), rows, left=2)


def _cells(row: dict[str, str], results: Results) -> tuple[str, str, str, str, str]:
    value = _number(results, row["benchmark"], *row["keys"].split(" > "))
    written = MISSING if value is None else row["form"].format(value)
    return row["what"], f"`{row['benchmark']}`", written, row["must"], row["aim"]


def _number(results: Results, benchmark: str, *keys: str) -> float | None:
    """Return one measured figure; None when there is none."""
    value: Any = results.get(benchmark, {})
    for key in ("figures", *keys):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, int | float) else None


def _groups(results: Results, benchmark: str) -> dict[str, dict[str, Any]]:
    """Return the figures of a benchmark that are groups of figures."""
    figures = results.get(benchmark, {}).get("figures", {})
    return {name: one for name, one in figures.items() if isinstance(one, dict)}


def times(results: Results) -> list[str]:
    """Return the table of the times on both sides of every comparison with a peer."""
    rows = [
        (peer, f"{what}: {pair}".removesuffix(": "), *(f"{one[key]:.2f}" for key in _SIDES))
        for benchmark, peer in PEERS.items()
        for what, pairs in _groups(results, benchmark).items()
        for pair, one in ({"": pairs} if "ours_ms" in pairs else pairs).items()
        if isinstance(one, dict)
    ]
    return markdown_table(("peer", "ms per crop, photo or frame", "ours", "theirs"), rows, left=2)


def faults(results: Results) -> list[str]:
    """Return what the broken batches gave, in a sentence."""
    if "batch_faults" not in results:
        return [f"Broken batches: {MISSING}."]
    figures = results["batch_faults"]["figures"]
    runs, photos, n = figures["runs"], figures["photos"], len(figures["runs"])
    workers, commands = (sum(one[who]["kills"] for one in runs) for who in ("workers", "command"))
    same = sum(one["workers"]["same"] and one["command"]["same"] for one in runs)
    times_as_long = [one["workers"]["times_as_long"] for one in runs]
    return [
        f"Published of `batch_faults`: {n} runs over {photos:,} photos, in which",
        f"{workers} workers and {commands} commands were killed. {same} of {n} gave exactly",
        "the rows of the undisturbed batch; with workers killed it took",
        f"{min(times_as_long):.2f} to {max(times_as_long):.2f} times its time.",
    ]


def detection(results: Results) -> list[str]:
    """Return the table of the faces that the detector finds, by their width."""
    settings = _groups(results, "detection")
    widths = sorted({width for one in settings.values() for width in one["found"]}, key=int)
    rows = []
    for name, one in settings.items():
        found = [f"{one['found'][w]:.0%}" if w in one["found"] else "" for w in widths]
        rows.append((name, f"{one['ms']:.0f}", *found, str(one["false"])))
    return markdown_table(("image, searched in", "ms", *(f"{w} px" for w in widths), "false"), rows)


def install(results: Results) -> list[str]:
    """Return the table of what the base install is made of."""
    sizes: dict[str, float] = _groups(results, "footprint").get("install_mb", {})
    parts = {name: size for name, size in sizes.items() if size >= 1}
    if sizes:
        parts["all others"] = sum(size for size in sizes.values() if size < 1)
    whole = sum(sizes.values())
    rows = [(name, f"{size:.1f}", f"{size / whole:.1%}") for name, size in parts.items()]
    return markdown_table(("distribution", "MB", "share"), rows)


def origins(results: Results) -> list[str]:
    """Return the table of where and when each result was measured."""
    rows = []
    for name, one in results.items():
        machine = f"{one['machine']['processor']}, {one['machine']['cores']} cores"
        runtime = f"onnxruntime {one['versions']['onnxruntime']}"
        rows.append((f"`{name}`", one["time"][:10], one["commit"], machine, runtime))
    return markdown_table(("benchmark", "day", "commit", "machine", "version"), rows, left=5)


def cost(results: Results) -> list[str]:
    """Return the table of what large amounts cost."""
    rows = []
    for what, keys in RATES.items():
        rate = _number(results, *keys)
        if rate is None:
            rows.append((what, MISSING, "", "", ""))
            continue
        # Two workers were measured, and videos with the whole machine.
        is_batch = keys[0] == "batch_scaling"
        rate /= 2 if is_batch else results[keys[0]]["machine"]["cores"]
        hours = (IMAGES if is_batch else FRAMES) / rate / 3600
        price, wall = hours * PRICE_PER_CORE_HOUR, hours / CLUSTER_CORES
        rows.append((what, f"{rate:.1f}/s", f"{hours:,.0f}", f"${price:,.0f}", f"{wall:,.1f} h"))
    header = ("what", "one core", "core-hours", "price", f"on {CLUSTER_CORES} cores")
    return markdown_table(header, rows)


_WRITERS: Final = (targets, trust, times, detection, faults, install, origins, cost)
BLOCKS: Final = {block.__name__: block for block in _WRITERS}


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
