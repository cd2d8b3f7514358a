"""The verb ``train``: one run into a folder, resumable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from facial_expressions.cli import options

if TYPE_CHECKING:
    from facial_expressions.cli.progress import ProgressBar
    from facial_expressions.training.train import TrainingProgress


def command(  # noqa: PLR0913 - one argument an option
    recipe: Annotated[
        Path, Argument(metavar="RECIPE", help="Recipe (.toml), e.g. recipes/standardized-cnn.toml.")
    ],
    *,
    data: options.DataOption,
    out: Annotated[
        Path, Option(metavar="DIR", help="Folder of the run; an unfinished run there is resumed.")
    ],
    settings: Annotated[
        list[str] | None,
        Option("--set", metavar="SECTION.KEY=VALUE", help="Override the recipe; may be repeated."),
    ] = None,
    ferplus: options.FerplusOption = None,
    competition: options.CompetitionOption = None,
    start: Annotated[
        str | None,
        Option(
            "--from",
            metavar="MODEL",
            help="Initial weights: folder of a finished run, a model file, or the name of a "
            "shipped model.",
        ),
    ] = None,
    teacher: Annotated[
        list[Path] | None,
        Option(metavar="MODEL", help="Teacher for distillation, as for --from; may be repeated."),
    ] = None,
    tensorboard: Annotated[
        Path | None, Option(metavar="DIR", help="Folder for TensorBoard event files.")
    ] = None,
    deterministic: Annotated[
        bool,
        Option(
            "--deterministic", help="Reproduce a run bit for bit on this machine; may be slower."
        ),
    ] = False,
    allow_partial: options.PartialOption = False,
) -> None:
    """Train a network, or resume a run that was stopped.

    Ctrl-C, a kill or a power cut loses at most the current epoch; the same command resumes. The
    environment variable KERAS_BACKEND selects the backend: tensorflow (default), torch or jax.
    """
    from facial_expressions.cli.progress import progress_bar
    from facial_expressions.errors import needs_extra
    from facial_expressions.plain_text import counted
    from facial_expressions.training.recipe import Recipe

    loaded = Recipe.load(recipe, settings or [])
    with needs_extra("train"):
        from facial_expressions.training.devices import make_deterministic
        from facial_expressions.training.material import EarlierWork, load_training_data
        from facial_expressions.training.train import tensorboard_callback, train

    if deterministic:
        make_deterministic()
    dataset, votes = load_training_data(
        loaded, data, ferplus=ferplus, competition=competition, allow_partial=allow_partial
    )
    earlier = EarlierWork(start=start, teachers=tuple(teacher or ()))
    callbacks = [] if tensorboard is None else [tensorboard_callback(tensorboard)]
    with progress_bar("reading") as bar:
        run = train(
            loaded,
            dataset,
            out,
            votes=votes,
            earlier=earlier,
            on_progress=_show_on(bar),
            callbacks=callbacks,
        )
    last = run.read_history()[-1]
    epochs = counted(int(last["epoch"]), "epoch")
    typer.echo(f"validation accuracy {last['val_accuracy']:.4f} after {epochs}")
    typer.echo(out)


def _show_on(bar: ProgressBar) -> Callable[[TrainingProgress], None]:
    """Show loss, accuracy and the time left of the whole run, and a line for each epoch."""

    def show(progress: TrainingProgress) -> None:
        if progress.last is not None and progress.step == 1:
            bar.say(
                "epoch {epoch}: loss {loss:.4f}, accuracy {accuracy:.4f}, validation "
                "{val_loss:.4f} / {val_accuracy:.4f}, {seconds:.0f} s".format(**progress.last)
            )
        bar.show(
            (progress.epoch - 1) * progress.steps + progress.step,
            progress.epochs * progress.steps,
            title=f"epoch {progress.epoch}/{progress.epochs} loss {progress.loss:.3f}",
        )

    return show
