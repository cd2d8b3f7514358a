"""The verb ``data``: fetch a data set, say what it holds, audit it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer import Argument, Option

from facial_expressions.cli.options import CompetitionOption, FerplusOption, PartialOption
from facial_expressions.cli.progress import progress_bar

if TYPE_CHECKING:
    from facial_expressions.data.audit import Audit
    from facial_expressions.data.dataset import Dataset

app = typer.Typer(help="Download FER-2013; describe and audit data sets.", no_args_is_help=True)

DataPath = Annotated[
    Path,
    Argument(metavar="DATA", help="FER-2013 as csv, zip, tar.gz or folder, or any class folders."),
]
FormatOption = Annotated[Literal["text", "json"], Option("--format", help="Output format.")]
ProtocolOption = Annotated[
    str | None,
    Option(help="competition, kaggle or folder; default: the one that fits the data set."),
]


@app.command(epilog="Example: facial-expressions data info fer2013.tar.gz --protocol kaggle")
def info(
    path: DataPath,
    protocol: ProtocolOption = None,
    output: FormatOption = "text",
    allow_partial: PartialOption = False,
) -> None:
    """Describe a data set: splits, classes, counts, digest."""
    dataset = _load(path, protocol, allow_partial=allow_partial)
    if output == "json":
        print(json.dumps(_info(dataset)))
    else:
        print(_info_text(dataset))
    if _has_unreadable(dataset):
        raise typer.Exit(1)


@app.command(epilog="Example: facial-expressions data audit fer2013.tar.gz --out audit")
def audit(
    path: DataPath,
    protocol: ProtocolOption = None,
    ferplus: FerplusOption = None,
    competition: CompetitionOption = None,
    output: FormatOption = "text",
    out: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            help="Folder for audit.json, audit.txt and audit.html (needs the extra evaluate).",
        ),
    ] = None,
    allow_partial: PartialOption = False,
) -> None:
    """Find duplicates, leaks between splits, blank images, class imbalance, doubtful labels."""
    from facial_expressions.data.audit import audit_dataset, audit_text
    from facial_expressions.data.ferplus import ferplus_votes

    if out is not None:
        from facial_expressions.pages.templating import environment

        environment()  # says before the work that something is not installed
    dataset = _load(path, protocol, allow_partial=allow_partial)
    votes = None
    if ferplus is not None:
        with progress_bar(f"matching {ferplus.name}"):
            votes = ferplus_votes(dataset, ferplus, competition=competition)
    found = audit_dataset(dataset, votes=votes)
    print(json.dumps(found) if output == "json" else audit_text(found))
    if out is not None:
        _write_audit(found, dataset, out)
    if _has_unreadable(dataset):
        raise typer.Exit(1)


@app.command(epilog="Example: facial-expressions data fetch")
def fetch() -> None:
    """Download FER-2013 from Kaggle and print its folder; needs the extra fetch."""
    from facial_expressions.data.load import fetch_fer2013

    os.environ |= {"TQDM_DISABLE": "1", "KAGGLEHUB_VERBOSITY": "error"}  # its bar, lines on stdout
    with progress_bar("downloading FER-2013"):
        folder = fetch_fer2013()
    print(folder)


def _load(path: Path, protocol: str | None, *, allow_partial: bool) -> Dataset:
    from facial_expressions.data import load_dataset

    with progress_bar(f"reading {path.name}"):
        return load_dataset(path, protocol=protocol, allow_partial=allow_partial)


def _write_audit(found: Audit, dataset: Dataset, folder: Path) -> None:
    from facial_expressions.data.audit import audit_text
    from facial_expressions.files import write_file
    from facial_expressions.pages.audit_page import audit_page

    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / "audit.json", json.dumps(found, indent=1) + "\n")
    write_file(folder / "audit.txt", audit_text(found) + "\n")
    write_file(folder / "audit.html", audit_page(found, dataset))
    typer.echo(f"wrote {folder}", err=True)


def _has_unreadable(dataset: Dataset) -> bool:
    """Return whether an image of the data set could not be read."""
    return any("cannot be read" in sentence for sentence in dataset.left_out)


def _info(dataset: Dataset) -> dict[str, Any]:
    return {
        "schema": 1,
        "dataset": dataset.name,
        "protocol": dataset.protocol,
        "labels": list(dataset.labels),
        "splits": {
            split.name: {
                "n": len(split),
                "side_px": split.images.shape[1],
                "classes": {
                    label: int((split.labels == k).sum()) for k, label in enumerate(dataset.labels)
                },
                "usages": {
                    usage: int((split.usages == usage).sum())
                    for usage in sorted(set(split.usages.tolist()) - {""})
                },
            }
            for split in dataset.splits()
        },
        "left_out": list(dataset.left_out),
        "digest": dataset.digest(),
    }


def _info_text(dataset: Dataset) -> str:
    from facial_expressions.plain_text import counted

    facts = _info(dataset)
    lines = [
        f"data set    {facts['dataset']}, protocol {facts['protocol']}",
        f"labels      {', '.join(facts['labels'])}",
    ]
    for name, split in facts["splits"].items():
        usages = ", ".join(f"{n:,} {usage}" for usage, n in split["usages"].items())
        size = f"{split['side_px']}x{split['side_px']} grey"
        lines.append(
            f"{name:<12}{counted(split['n'], 'image')}, {size}" + f" ({usages})" * bool(usages)
        )
    lines += [f"note        {sentence}" for sentence in facts["left_out"]]
    return "\n".join([*lines, f"digest      {facts['digest']}"])
