"""The verb ``export``: a finished run becomes one model file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["command"]


def command(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    *,
    out: Annotated[Path, typer.Option(help="The model file to write, ending in .onnx.")],
    half: Annotated[
        bool, typer.Option("--half", help="Store weights in 16 bits: half the size, same speed.")
    ] = False,
) -> None:
    """Write a run's network as an ONNX file that carries all it needs, and check it against Keras.

    The file is written only when no probability differs by more than 0.0001 on 512 pictures and
    the answers agree on 99.9 % of the validation pictures.
    """
    from facial_expressions.cli.training_inputs import import_training

    import_training("facial_expressions.training.export")
    from facial_expressions.training.export import export_run

    result = export_run(run, out, half_weights=half)
    typer.echo(
        f"{result.path}: {result.path.stat().st_size / 1e6:.1f} MB, largest difference to Keras "
        f"{result.difference:.1e}, same answer on {result.agreement:.2%}, "
        f"temperature {result.metadata.head().calibration.temperature:.3f}"
    )
