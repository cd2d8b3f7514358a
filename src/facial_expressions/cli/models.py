"""The verb ``models``: list, describe, locate and verify models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from facial_expressions.plain_text import one_line

if TYPE_CHECKING:
    from facial_expressions.inference.classifier import ExpressionClassifier
    from facial_expressions.inference.model_store import ReleasedModel

app = typer.Typer(help="List, describe, locate and verify models.", no_args_is_help=True)

ModelArgument = Annotated[str, Argument(metavar="MODEL", help="Name of a shipped model, or file.")]
JsonOption = Annotated[bool, Option("--json", help="Print JSON for programs.")]


@app.command(name="list", epilog="Example: facial-expressions models list")
def list_(as_json: JsonOption = False) -> None:
    """List the shipped models, the default first, with the figures of their reports.

    Accuracy and ECE were measured on the test images; ms/face is the time for one crop.
    """
    from facial_expressions.inference.model_store import list_models
    from facial_expressions.pages.tables import Table, lines

    entries = [_entry(model) for model in list_models()]
    if as_json:
        print(json.dumps(entries, ensure_ascii=False))
        return
    header = ("  model", "size", "labels", "accuracy", "ECE", "ms/face", "licence", "summary")
    for line in lines(Table(header, [*map(_cells, entries)], sides="lrlrrrll")):
        print(line)


@app.command(epilog="Example: facial-expressions models info standardized-cnn")
def info(model: ModelArgument = "default", as_json: JsonOption = False) -> None:
    """Describe a model: its labels and their figures, input, training data, licence."""
    from facial_expressions.inference.classifier import load_classifier

    classifier = load_classifier(model)
    if as_json:
        print(json.dumps(_facts(classifier), ensure_ascii=False))
        return
    for title, facts in _described(classifier):
        print(title)
        for name, value in facts:
            print(f"  {name:<30}{one_line(value) or '-'}")


@app.command(epilog="Example: facial-expressions models path")
def path(model: ModelArgument = "default") -> None:
    """Print the path of a model's file."""
    from facial_expressions.inference.model_store import resolve

    print(resolve(model)[0])


@app.command(epilog="Example: facial-expressions models verify")
def verify(
    model: Annotated[str | None, Argument(metavar="MODEL", help="Default: all of them.")] = None,
) -> None:
    """Check that models are intact and run.

    Without a name, also checks the face detector.
    """
    from facial_expressions.inference.classifier import load_classifier
    from facial_expressions.inference.detectors.centerface import (
        CenterFaceDetector,
        centerface_path,
    )
    from facial_expressions.inference.model_store import list_models

    names = [model] if model else [released.name for released in list_models()]
    for name in names:
        print(f"{name}  ok  {load_classifier(name).path}")
    if model is None:
        CenterFaceDetector()
        print(f"face detector  ok  {centerface_path()}")


def _entry(model: ReleasedModel) -> dict[str, Any]:
    measured = model.measured
    return {
        "name": model.name,
        "default": model.is_default,
        "path": str(model.path),
        "bytes": model.n_bytes,
        "sha256": model.sha256,
        "labels": model.labels,
        "accuracy": measured.accuracy if measured else None,
        "macro_f1": measured.macro_f1 if measured else None,
        "ece": measured.ece if measured else None,
        "measured_on": measured.on if measured else "",
        "ms_per_crop": measured.ms_per_crop if measured else None,
        "licence": model.licence,
        "summary": model.summary,
    }


def _cells(entry: dict[str, Any]) -> tuple[str, ...]:
    """Return one row of the list; what is not known is a dash."""

    def number(name: str, form: str) -> str:
        return "-" if entry[name] is None else format(entry[name], form)

    return (
        f"{'*' if entry['default'] else ' '} {entry['name']}",
        f"{entry['bytes'] / 1e6:.1f} MB",
        entry["labels"] or "-",
        number("accuracy", ".2%"),
        number("ece", ".3f"),
        number("ms_per_crop", ".2f"),
        entry["licence"],
        entry["summary"],
    )


def _facts(classifier: ExpressionClassifier) -> dict[str, Any]:
    from dataclasses import asdict

    from facial_expressions.inference.runtime import file_sha256

    facts = asdict(classifier.metadata)
    file = {"path": str(classifier.path), "sha256": file_sha256(classifier.path)}
    return {"name": facts["name"], **file, **facts}


def _described(classifier: ExpressionClassifier) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield what a model says of itself for people: a title, and lines of name and value."""
    facts, metadata = _facts(classifier), classifier.metadata
    side = metadata.preprocessing.size
    yield (
        one_line(metadata.name),
        [
            ("file", f"{facts['path']} ({classifier.path.stat().st_size / 1e6:.1f} MB)"),
            ("SHA-256", facts["sha256"]),
            ("network", f"{metadata.architecture}, grey crops of {side}x{side} pixels"),
            ("training data", metadata.data),
            ("licence", metadata.licence),
            ("written by", metadata.created_with),
        ],
    )
    for head in metadata.heads:
        mark = " (default)" if head.name == metadata.default_head else ""
        yield (
            f"labels {one_line(head.name)}{mark}",
            [
                ("expressions", ", ".join(head.labels)),
                ("uncertain below", f"{head.calibration.uncertain_below:.0%}"),
                *(
                    (name.replace("_", " "), _figure(name, head.figures[name]))
                    for name in head.figures
                ),
            ],
        )


def _figure(name: str, value: float) -> str:
    """Write accuracies and shares as percentages, errors and losses as numbers."""
    return f"{value:.2%}" if name.endswith(("accuracy", "share", "f1")) else f"{value:.4f}"
