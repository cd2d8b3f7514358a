"""The verb ``average``: several finished runs become one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from facial_expressions.cli import options


def command(
    runs: Annotated[list[Path], Argument(metavar="RUN", help="Two or more finished runs.")],
    *,
    data: options.DataOption,
    out: Annotated[Path, Option(metavar="DIR", help="Folder to write; export reads it.")],
    ferplus: options.FerplusOption = None,
    competition: options.CompetitionOption = None,
    allow_partial: options.PartialOption = False,
) -> None:
    """Average the weights of several runs of one network.

    The statistics of normalisation layers are re-measured on training images. The folder can be
    exported, and records the SHA-256 of each run's weights.
    """
    from facial_expressions.cli.progress import progress_bar
    from facial_expressions.errors import needs_extra

    with needs_extra("train"):
        from facial_expressions.training.averaging import average_runs
        from facial_expressions.training.material import load_training_data
        from facial_expressions.training.trained_networks import FinishedRun

    recipe = FinishedRun(runs[0]).recipe
    with progress_bar(f"reading {data.name}"):
        dataset, votes = load_training_data(
            recipe, data, ferplus=ferplus, competition=competition, allow_partial=allow_partial
        )
    with progress_bar(f"averaging {len(runs)} runs"):
        accuracy = average_runs(runs, out, dataset, votes=votes)
    typer.echo(f"validation accuracy {accuracy:.4f}, the average of {len(runs)} runs")
    typer.echo(out)
