"""The verb ``predict``: faces and their expressions in images and folders."""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from facial_expressions.cli.options import takes_recognizer_options
from facial_expressions.inference.options import RecognizerOptions

if TYPE_CHECKING:
    from facial_expressions.cli.image_inputs import ImageInput
    from facial_expressions.inference.recognizer import ExpressionRecognizer
    from facial_expressions.media.drawn_folder import DrawnFolder
    from facial_expressions.results import ImageResult

__all__ = ["command"]

_BATCH: Final = 16
_MANY: Final = 5
"""From this many images on there is a progress bar."""

OutputFormat = Literal["text", "json", "csv"]


@takes_recognizer_options()
def command(
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE...", help="Images, folders, or - for stdin.")
    ],
    *,
    output: Annotated[
        OutputFormat, typer.Option("--format", help="Text, one JSON object an image, or CSV.")
    ] = "text",
    draw: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for images with the faces marked.")
    ] = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="Show where in each face the answer was found: with --draw or JSON."
        ),
    ] = False,
    options: RecognizerOptions,
) -> None:
    """Find faces and name their expressions, in images and in folders of images.

    The answer names what people would see in a face, not what the person feels.
    """
    from facial_expressions.cli.image_inputs import list_inputs
    from facial_expressions.inference.recognizer import load_recognizer
    from facial_expressions.media.drawn_folder import DrawnFolder

    warnings.filterwarnings("ignore", module=r"PIL\.")  # of metadata that is ignored anyway
    if explain and draw is None and output != "json":
        raise typer.BadParameter("--explain needs --draw DIR or --format json to show it")
    recognizer = load_recognizer(options)
    inputs = list_inputs(images)
    folder = None if draw is None else DrawnFolder(draw, max_pixels=options.max_pixels)
    if explain:
        recognizer.check_explains()
    rows = _rows(recognizer, inputs, folder, explain=explain)
    counts = _write(_with_progress(rows, len(inputs)), output, recognizer.classifier.labels.names)
    _summarise(counts, draw)
    if inputs and all(one.is_missing for one in inputs):
        raise typer.Exit(2)  # a slip in the command, not in the images
    if counts["rejected"] or counts["failed"]:
        raise typer.Exit(1)


def _rows(
    recognizer: ExpressionRecognizer,
    inputs: Sequence[ImageInput],
    folder: DrawnFolder | None,
    *,
    explain: bool,
) -> Iterator[ImageResult]:
    """Yield one result per input, in order."""
    from dataclasses import replace

    from facial_expressions.results import ImageResult

    attempted = [one for one in inputs if not one.skipped]
    read: dict[str, Path | bytes] = {}

    def sources() -> Iterator[Path | bytes]:
        for one in attempted:
            read[one.name] = one.read()
            yield read[one.name]

    answers = recognizer.recognize_rows(sources(), batch_size=_BATCH, explain=explain)
    for one in inputs:
        if one.skipped:
            yield ImageResult(one.name, "skipped", error=one.skipped)
        else:
            row = replace(next(answers), source=one.name)
            source = read.pop(one.name)
            if folder is not None and row.status == "ok":
                folder.save(source, row.faces, row.explanations, name=one.name)
            yield row


def _write(
    rows: Iterator[ImageResult], output: OutputFormat, labels: Sequence[str]
) -> Counter[str]:
    """Print the rows as they come; return how many there are of each status, and of faces."""
    from facial_expressions.cli.result_rows import print_row, to_text
    from facial_expressions.rows import IMAGE, csv_header, to_csv, to_json

    write: dict[OutputFormat, Callable[[ImageResult], str]] = {
        "text": to_text,
        "json": lambda row: to_json(IMAGE, row.to_dict()),
        "csv": lambda row: to_csv(IMAGE, row.to_dict(), labels),
    }
    counts: Counter[str] = Counter()
    if output == "csv":
        print_row(csv_header(IMAGE, labels))
    for row in rows:
        counts.update({row.status: 1, "faces": len(row.faces)})
        print_row(write[output](row))
    return counts


def _with_progress(rows: Iterator[ImageResult], total: int) -> Iterator[ImageResult]:
    """Show a bar on stderr for many images, unless the rows themselves appear on the terminal."""
    from facial_expressions.cli.progress import progress_bar

    if total < _MANY:
        yield from rows
        return
    with progress_bar("images", prints_rows=True) as bar:
        for done, row in enumerate(rows, 1):
            yield row
            bar.show(done, total)


def _summarise(counts: Counter[str], draw: Path | None) -> None:
    """Say on stderr what became of many images, and where the marked ones are."""
    from facial_expressions.cli.result_rows import describe_counts

    if counts.total() - counts["faces"] > 1:
        print(describe_counts(counts), file=sys.stderr)
    if draw is not None and counts["ok"]:
        print(f"marked images are in {draw}", file=sys.stderr)
