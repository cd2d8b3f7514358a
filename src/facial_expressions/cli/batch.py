"""The verb ``batch``: any number of images to shards of rows, on all cores or on a cluster."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Argument, Option

from facial_expressions.cli.options import takes_recognizer_options
from facial_expressions.inference.options import RecognizerOptions


@takes_recognizer_options(threads=1)
def command(  # noqa: PLR0913 - one argument per option
    source: Annotated[
        str,
        Argument(
            metavar="INPUT",
            help="A folder, a quoted pattern, a list of paths (.txt, .csv, .jsonl), a .tar archive "
            "or an image.",
        ),
    ],
    output: Annotated[Path, Argument(metavar="OUTPUT", help="Folder for the shards.")],
    *,
    row_format: Annotated[
        Literal["jsonl", "parquet"],
        Option("--format", help="JSON Lines, or Parquet (needs pyarrow)."),
    ] = "jsonl",
    shard_size: Annotated[int, Option(min=1, help="Rows per shard.")] = 1000,
    resume: Annotated[
        bool, Option("--resume", help="Resume the batch in OUTPUT, if there is one.")
    ] = False,
    engine: Annotated[
        Literal["local", "ray"],
        Option(help="Processes on this machine, or Ray (needs the extra ray)."),
    ] = "local",
    workers: Annotated[
        int | None, Option(min=1, help="Number of workers; default: one per core.")
    ] = None,
    address: Annotated[
        str | None, Option(help="Address of a Ray cluster; default: start Ray on this machine.")
    ] = None,
    options: RecognizerOptions,
) -> None:
    """Find faces and name their expressions in any number of images: one row per input.

    Rows have the format of predict --format json. The answer names what people would see in a face,
    not what the person feels.
    """
    if address is not None and engine != "ray":
        raise typer.BadParameter("needs --engine ray.", param_hint="--address")
    from facial_expressions.cli.progress import progress_bar
    from facial_expressions.cli.result_rows import describe_counts
    from facial_expressions.distributed.batch import BatchOptions, WorkerOptions, run_batch
    from facial_expressions.plain_text import counted

    model = Path(options.model)
    if model.suffix == ".onnx":  # workers of a cluster start in folders of their own
        options = replace(options, model=model.absolute())
    rows = BatchOptions(options, file_format=row_format, shard_size=shard_size)
    crew = WorkerOptions(engine, workers, address)
    try:
        with progress_bar("listing", is_logged=True) as bar:

            def show(n_done: int, n_inputs: int | None) -> None:
                bar.show(n_done, n_inputs, title="listing" if n_inputs is None else "images")

            summary = run_batch(
                source, output, options=rows, workers=crew, resume=resume, on_progress=show
            )
    except (KeyboardInterrupt, SystemExit):  # Ctrl-C; SIGTERM and SIGHUP
        print("to continue, run the same command with --resume", file=sys.stderr)
        raise
    said = describe_counts(summary.counts)
    if summary.n_left_out:
        said += f"; {counted(summary.n_left_out, 'other file')} left out"
    print(said, file=sys.stderr)
    if summary.n_before:
        print(f"{counted(summary.n_before, 'row')} from before", file=sys.stderr)
    print(f"rows are in {output}", file=sys.stderr)
    if summary.counts["rejected"] or summary.counts["failed"]:
        raise typer.Exit(1)
