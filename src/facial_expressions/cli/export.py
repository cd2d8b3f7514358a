"""The verb ``export``: a finished run becomes one model file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from facial_expressions.cli.options import FerplusOption
from facial_expressions.cli.progress import progress_bar


def command(
    run: Annotated[
        str,
        Argument(
            metavar="RUN",
            help="Folder of a finished run; with --int8 or --people also a model's name or file.",
        ),
    ],
    *,
    out: Annotated[Path, Option(metavar="FILE", help="Model file (.onnx) to write.")],
    half: Annotated[
        bool, Option("--half", help="Store weights in 16 bits: half the size, same speed.")
    ] = False,
    int8: Annotated[bool, Option("--int8", help="Quantise to 8 bits; needs --data.")] = False,
    people: Annotated[
        bool,
        Option(
            "--people",
            help="Add a head that answers as most people would; needs --data and --ferplus.",
        ),
    ] = False,
    data: Annotated[
        Path | None, Option(help="Data set the run was trained on, for --int8 and --people.")
    ] = None,
    ferplus: FerplusOption = None,
) -> None:
    """Export a run as an ONNX model file, and check it against Keras.

    The file is written only when no probability differs by more than 0.0001 on 512 images and
    the answers agree on 99.9% of the validation images. A file of --int8 is written only when it
    loses at most 0.3 points of validation accuracy and is faster, on one crop and on 256; its
    confidences are fitted again, those of a head ferplus when --ferplus is given. With --people
    the other heads answer as before.
    """
    if (int8 or people) != (data is not None):
        raise typer.BadParameter("--int8 and --people need --data, and nothing else does.")
    if people and ferplus is None:
        raise typer.BadParameter("--people needs --ferplus.")
    if ferplus is not None and data is None:
        raise typer.BadParameter("Only --int8 and --people use --ferplus.")
    from facial_expressions.errors import needs_extra

    with needs_extra("train"):
        from facial_expressions.training.export import export_run

    if data is None:
        with progress_bar(f"exporting {Path(run).name}"):
            result = export_run(run, out, half_weights=half)
        typer.echo(
            f"{result.path}: {result.path.stat().st_size / 1e6:.1f} MB, largest difference to "
            f"Keras {result.difference:.1e}, same answer on {result.agreement:.2%}, "
            f"temperature {result.metadata.head().calibration.temperature:.3f}"
        )
        return
    _export_with_data(run, out, data, ferplus, half=half, int8=int8, people=people)
    typer.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


def _export_with_data(
    run: str, out: Path, data: Path, ferplus: Path | None, *, half: bool, int8: bool, people: bool
) -> None:
    """Write a model in 8 bits, with the head people, or both."""
    import tempfile

    from facial_expressions.data.ferplus import ferplus_votes
    from facial_expressions.data.load import load_dataset
    from facial_expressions.files import write_file
    from facial_expressions.inference.classifier import load_classifier
    from facial_expressions.training.export import export_run
    from facial_expressions.training.people_head import add_people_head
    from facial_expressions.training.quantization import quantize_file

    with progress_bar(f"reading {data.name}"):
        dataset = load_dataset(data)
        votes = ferplus_votes(dataset, ferplus) if ferplus else None
    with tempfile.TemporaryDirectory() as folder:
        model = run
        if Path(run).is_dir():
            with progress_bar(f"exporting {Path(run).name}"):
                model = str(export_run(run, Path(folder) / "float.onnx", half_weights=half).path)
        if int8:
            made = Path(folder) / "int8.onnx" if people else out
            with progress_bar("quantising"):
                verdict = quantize_file(model, made, dataset, votes).describe()
            typer.echo(f"8 bits: {verdict}")
            model = str(made)
        if people and votes is not None:
            with progress_bar("fitting the head people"):
                write_file(out, add_people_head(model, dataset, votes))
                figures = load_classifier(out).head.figures
            typer.echo(
                "people: right by the majority of votes "
                f"{figures['validation_accuracy']:.2%} on validation; "
                f"{figures['validation_certain_share']:.0%} are certain, of these "
                f"{figures['validation_certain_accuracy']:.2%} are right"
            )
