"""The verb ``train``: one run into a folder, resumable."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.progress import Progress as Bar

    from facial_expressions.data.dataset import Dataset
    from facial_expressions.training.recipe import Recipe
    from facial_expressions.training.train import Progress

__all__ = ["command", "import_training", "load_training_data", "step_bar"]


def command(  # noqa: PLR0913 - one argument an option
    recipe: Annotated[Path, typer.Argument(help="A TOML recipe, for example recipes/seed.toml.")],
    *,
    data: Annotated[
        Path, typer.Option(help="FER-2013 as csv, zip, tar.gz or folder, or class folders.")
    ],
    out: Annotated[Path, typer.Option(help="The run's folder; an unfinished run goes on there.")],
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
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Whose weights are the first ones: folder of a finished run, a model file, or "
            "the name of a shipped model.",
        ),
    ] = None,
    teacher: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of a finished run, a model file, or the name of a shipped model, to learn "
            "from (distillation.weight); may be repeated."
        ),
    ] = None,
    bank: Annotated[
        Path | None, typer.Option(help="Answers of teachers, written by the verb bank.")
    ] = None,
    tensorboard: Annotated[
        Path | None, typer.Option(help="Folder for TensorBoard's event files.")
    ] = None,
    deterministic: Annotated[
        bool,
        typer.Option(
            "--deterministic", help="The same bits at every run on this machine; may be slower."
        ),
    ] = False,
    allow_partial: Annotated[
        bool, typer.Option("--allow-partial", help="Accept FER-2013 with pictures missing.")
    ] = False,
) -> None:
    """Train one network, or go on with a run that was stopped.

    Ctrl-C, a kill or a power cut loses at most the epoch under way: the same command resumes.
    The Keras backend is chosen by the environment variable KERAS_BACKEND: tensorflow (default),
    torch or jax.
    """
    from facial_expressions.training.recipe import Recipe

    loaded = Recipe.load(recipe, settings or [])
    import_training("facial_expressions.training.train")
    from facial_expressions.training.devices import make_deterministic
    from facial_expressions.training.event_files import tensorboard_callback
    from facial_expressions.training.material import EarlierWork
    from facial_expressions.training.train import train

    if deterministic:
        make_deterministic()
    dataset, votes = load_training_data(
        loaded, data, ferplus=ferplus, competition=competition, allow_partial=allow_partial
    )
    earlier = EarlierWork(start=start, teachers=tuple(teacher or ()), bank=bank)
    callbacks = [] if tensorboard is None else [tensorboard_callback(tensorboard)]
    with _progress_bar() as on_progress:
        run = train(
            loaded,
            dataset,
            out,
            votes=votes,
            earlier=earlier,
            on_progress=on_progress,
            callbacks=callbacks,
        )
    last = run.history[-1]
    typer.echo(f"validation accuracy {last.val_accuracy:.4f} after {last.epoch} epochs")
    typer.echo(out)


def load_training_data(
    recipe: Recipe,
    data: Path,
    *,
    ferplus: Path | None,
    competition: Path | None,
    allow_partial: bool,
) -> tuple[Dataset, dict[str, NDArray[np.uint8]] | None]:
    """Load what a recipe learns from: the data set, and the FER+ votes if it has such a head.

    Args:
        recipe: The recipe.
        data: The data set's file or folder.
        ferplus: The FER+ file.
        competition: The competition file, which gives pictures of the Kaggle layout their votes.
        allow_partial: Whether pictures of FER-2013 may be missing.
    """
    from facial_expressions.data import load_dataset
    from facial_expressions.data.ferplus import ferplus_votes

    dataset = load_dataset(
        data, protocol=recipe.data.protocol, seed=recipe.run.seed, allow_partial=allow_partial
    )
    if ferplus is None or recipe.optimization.ferplus_weight == 0:
        return dataset, None
    return dataset, ferplus_votes(dataset, ferplus, competition=competition)


def import_training(module: str) -> None:
    """Import a module of ``training``, turning a missing dependency into its install line.

    Args:
        module: Full name of the module.

    Raises:
        MissingExtraError: Keras, its backend or another package of the extra is not installed.
    """
    from facial_expressions.errors import MissingExtraError

    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("facial_expressions"):
            raise
        raise MissingExtraError.of("train", error.name or "keras") from error


@contextlib.contextmanager
def step_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on stderr with the time left.

    Args:
        title: What is being done.

    Yields:
        Called with the steps done and the steps in all.
    """
    with _bar() as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _bar() -> Bar:
    from rich import progress as rich_progress
    from rich.console import Console

    columns = (
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TimeRemainingColumn(elapsed_when_finished=True),
    )
    console = Console(stderr=True)
    return rich_progress.Progress(*columns, console=console, speed_estimate_period=600)


@contextlib.contextmanager
def _progress_bar() -> Iterator[Callable[[Progress], None]]:
    """Show a bar on stderr with loss, accuracy and the time left of the whole run."""
    with _bar() as bar:
        task = bar.add_task("reading", total=None)
        shown = 0

        def show(progress: Progress) -> None:
            nonlocal shown
            row = progress.last
            if row is not None and row.epoch > shown:
                shown = row.epoch
                bar.console.print(
                    f"epoch {row.epoch}: loss {row.loss:.4f}, accuracy {row.accuracy:.4f}, "
                    f"validation {row.val_loss:.4f} / {row.val_accuracy:.4f}, {row.seconds:.0f} s"
                )
            bar.update(
                task,
                total=progress.epochs * progress.steps,
                completed=(progress.epoch - 1) * progress.steps + progress.step,
                description=f"epoch {progress.epoch}/{progress.epochs} loss {progress.loss:.3f}",
            )

        yield show
