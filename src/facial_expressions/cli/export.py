"""The verb ``export``: a finished run becomes one model file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["command"]


def command(
    run: Annotated[
        str, typer.Argument(help="Folder of a finished run; with --int8 also a model or its file.")
    ],
    *,
    out: Annotated[Path, typer.Option(help="The model file to write, ending in .onnx.")],
    half: Annotated[
        bool, typer.Option("--half", help="Store weights in 16 bits: half the size, same speed.")
    ] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Compute in 8 bits; needs --data.")] = False,
    data: Annotated[
        Path | None, typer.Option(help="The data set that the run learnt from, for --int8.")
    ] = None,
) -> None:
    """Write a run's network as an ONNX file that carries all it needs, and check it against Keras.

    The file is written only when no probability differs by more than 0.0001 on 512 pictures and
    the answers agree on 99.9 % of the validation pictures. A file of --int8 is written only when it
    loses at most 0.3 points of validation accuracy and is faster, on one crop and on 256.
    """
    if int8 != (data is not None):
        raise typer.BadParameter(
            "needs --data, and --data is for --int8 only.", param_hint="--int8"
        )
    from facial_expressions.cli.training_inputs import import_training

    import_training("facial_expressions.training.export")
    from facial_expressions.training.export import export_run

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
    from facial_expressions.training.export import export_run
    from facial_expressions.training.quantization import quantize_file

    dataset = load_dataset(data)
    with tempfile.TemporaryDirectory() as folder:
        model = run
        if Path(run).is_dir():
            model = str(export_run(run, Path(folder) / "float.onnx", half_weights=half).path)
        result = quantize_file(model, out, dataset)
    size = result.path.stat().st_size / 1e6
    typer.echo(f"{result.path}: {size:.1f} MB, {result.verdict.describe()}")
