"""The verb ``export``: a finished run becomes one model file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["command"]


def command(
    run: Annotated[
        str,
        typer.Argument(
            help="Folder of a finished run; with --int8 or --people also a model or its file."
        ),
    ],
    *,
    out: Annotated[Path, typer.Option(help="The model file to write, ending in .onnx.")],
    half: Annotated[
        bool, typer.Option("--half", help="Store weights in 16 bits: half the size, same speed.")
    ] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Compute in 8 bits; needs --data.")] = False,
    people: Annotated[
        bool,
        typer.Option(
            "--people",
            help="Add the head that answers as most people would; needs --data and --ferplus.",
        ),
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(help="The data set that the run learnt from, for --int8 and --people."),
    ] = None,
    ferplus: Annotated[
        Path | None, typer.Option(help="FER+ votes, fer2013new.csv, for --people.")
    ] = None,
) -> None:
    """Write a run's network as an ONNX file that carries all it needs, and check it against Keras.

    The file is written only when no probability differs by more than 0.0001 on 512 images and
    the answers agree on 99.9% of the validation images. A file of --int8 is written only when it
    loses at most 0.3 points of validation accuracy and is faster, on one crop and on 256. With
    --people the other heads answer as before.
    """
    if (int8 or people) != (data is not None):
        raise typer.BadParameter("--int8 and --people need --data, and nothing else does.")
    if people != (ferplus is not None):
        raise typer.BadParameter("--people needs --ferplus, and nothing else does.")
    if int8 and people:
        raise typer.BadParameter("--people comes after --int8, as a command of its own.")
    from facial_expressions.errors import needs_extra

    with needs_extra("train"):
        from facial_expressions.training.export import export_run

    if data is not None and ferplus is not None:
        _export_people(run, out, data, ferplus, half=half)
        return
    if data is not None:
        _export_int8(run, out, data, half=half)
        return
    result = export_run(run, out, half_weights=half)
    typer.echo(
        f"{result.path}: {result.path.stat().st_size / 1e6:.1f} MB, largest difference to Keras "
        f"{result.difference:.1e}, same answer on {result.agreement:.2%}, "
        f"temperature {result.metadata.head().calibration.temperature:.3f}"
    )


def _export_int8(run: str, out: Path, data: Path, *, half: bool) -> None:
    """Quantize a model, or what a run is exported to."""
    from facial_expressions.data.load import load_dataset
    from facial_expressions.training.quantization import quantize_file

    dataset = load_dataset(data)
    with _as_model(run, half=half) as model:
        verdict = quantize_file(model, out, dataset)
    typer.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB, {verdict.describe()}")


def _export_people(run: str, out: Path, data: Path, ferplus: Path, *, half: bool) -> None:
    """Add the head ``people`` to a model, or to what a run is exported to."""
    from facial_expressions.data.ferplus import ferplus_votes
    from facial_expressions.data.load import load_dataset
    from facial_expressions.files import write_file
    from facial_expressions.inference.classifier import load_classifier
    from facial_expressions.training.people_head import add_people_head

    dataset = load_dataset(data)
    with _as_model(run, half=half) as model:
        write_file(out, add_people_head(model, dataset, ferplus_votes(dataset, ferplus)))
    figures = load_classifier(out).head.figures
    typer.echo(
        f"{out}: right by the majority of votes {figures['validation_accuracy']:.2%} on "
        f"validation; {figures['validation_certain_share']:.0%} are certain, of these "
        f"{figures['validation_certain_accuracy']:.2%} are right"
    )


@contextmanager
def _as_model(run: str, *, half: bool) -> Iterator[str]:
    """Yield a model's name or file; a run is exported to one that is gone afterwards."""
    from facial_expressions.training.export import export_run

    with tempfile.TemporaryDirectory() as folder:
        is_run = Path(run).is_dir()
        exported = Path(folder) / "float.onnx"
        yield str(export_run(run, exported, half_weights=half).path) if is_run else run
