"""The verb ``bank``: teachers' answers to every picture of a run, written for replay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["command"]


def command(  # noqa: PLR0913 - one argument per option
    recipe: Annotated[Path, typer.Argument(help="The recipe of the run that learns from them.")],
    *,
    data: Annotated[Path, typer.Option(help="The data set of that run.")],
    teacher: Annotated[
        list[Path],
        typer.Option(
            help="Folder of a finished run, a model file, or the name of a shipped model; "
            "may be repeated."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The bank's folder; an unfinished one goes on there.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="section.key=value over the recipe; may be repeated."),
    ] = None,
    ferplus: Annotated[
        Path | None,
        typer.Option(help="FER+ votes, fer2013new.csv, for a recipe with a ferplus_weight."),
    ] = None,
    competition: Annotated[
        Path | None,
        typer.Option(help="The competition file; FER+ needs it when DATA is the Kaggle layout."),
    ] = None,
    allow_partial: Annotated[
        bool, typer.Option("--allow-partial", help="Accept FER-2013 with pictures missing.")
    ] = False,
) -> None:
    """Write what teachers answer to every picture that a recipe will show, as it will show it.

    Training with --bank replays the answers without the teachers. A bank made for other data, seed
    or augmentation is refused.
    """
    from facial_expressions.training.recipe import Recipe

    loaded = Recipe.load(recipe, settings or [])
    from facial_expressions.cli.progress import progress_bar
    from facial_expressions.cli.training_inputs import import_training, load_training_data

    import_training("facial_expressions.training.teachers")
    from facial_expressions.training.material import EarlierWork, gather
    from facial_expressions.training.teacher_bank import write_bank
    from facial_expressions.training.teachers import open_teachers

    dataset, votes = load_training_data(
        loaded, data, ferplus=ferplus, competition=competition, allow_partial=allow_partial
    )
    # The bank does not depend on how much the run will learn from it.
    untaught = replace(loaded, distillation=replace(loaded.distillation, weight=0.0))
    material = gather(untaught, dataset, votes, EarlierWork())
    teachers = open_teachers(teacher, material.pupil)
    with progress_bar("answering") as bar:
        write_bank(out, teachers, material.batches(), material.pupil, on_progress=bar.show)
    typer.echo(out)
