"""The verb ``predict``: faces and their expressions in images and folders."""

from __future__ import annotations

import itertools
import os
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer
from typer import Argument, Option

from facial_expressions.cli.options import OverwriteOption, check_output, takes_recognizer_options
from facial_expressions.inference.options import RecognizerOptions

if TYPE_CHECKING:
    from facial_expressions.inference.recognizer import ExpressionRecognizer
    from facial_expressions.media.marked_images import MarkedImages
    from facial_expressions.pages.contact_sheet import ContactSheet
    from facial_expressions.results import ImageResult

_MANY: Final = 5
"""From this many images on there is a progress bar."""

_STDIN: Final = "-"
"""The argument that stands for one image on standard input."""

OutputFormat = Literal["text", "json", "csv"]


@dataclass(frozen=True, slots=True)
class ImageInput:
    """One input, which becomes exactly one row.

    Attributes:
        name: What the row calls it.
        path: Where it lies; None for standard input.
        inner: Its name with the folders between it and the folder that was named.
        skipped: Why it is not attempted; empty when it is.
    """

    name: str
    path: Path | None
    inner: str
    skipped: str = ""

    @property
    def is_missing(self) -> bool:
        """Whether there is nothing of that name."""
        return self.path is not None and not os.path.lexists(self.path)

    def read(self) -> str | Path | bytes:
        """Return the path, a name of no file, or the bytes on stdin: none where it is closed."""
        if self.path is not None:
            return self.name if self.is_missing else self.path
        try:
            return sys.stdin.buffer.read() if sys.stdin else b""
        except (OSError, ValueError):  # not open for reading, or closed by this program
            return b""


@takes_recognizer_options()
def command(
    images: Annotated[
        list[str], Argument(metavar="IMAGE", help="Images, folders, or - for stdin.")
    ],
    *,
    output: Annotated[
        OutputFormat, Option("--format", help="Text, one JSON object per image, or CSV.")
    ] = "text",
    draw: Annotated[
        Path | None,
        Option(
            metavar="PATH",
            help="Save images with the faces marked: a file (.png, .jpg, .webp) for one image, or "
            "a folder.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="Write a contact sheet (.html): thumbnails, shares, the most confident faces.",
        ),
    ] = None,
    explain: Annotated[
        bool,
        Option("--explain", help="Show what in each face led to the answer; needs --draw or JSON."),
    ] = False,
    overwrite: OverwriteOption = False,
    options: RecognizerOptions,
) -> None:
    """Find faces in images and folders, and name their expressions.

    The answer names what people would see in a face, not what the person feels.
    """
    from facial_expressions.files import write_file
    from facial_expressions.inference.recognizer import load_recognizer
    from facial_expressions.media.marked_images import MarkedImages

    warnings.filterwarnings("ignore", module=r"PIL\.")  # of metadata that is ignored anyway
    if explain and draw is None and output != "json":
        raise typer.BadParameter("needs --draw or --format json.", param_hint="--explain")
    inputs = list_inputs(images)
    if draw is not None:
        _check_draw(draw, inputs, overwrite=overwrite)
    if report is not None:
        check_output(report, "--report", (".html",), overwrite=overwrite)
    recognizer = load_recognizer(options)
    if explain:
        recognizer.classifier.explain([])  # raises where the model has no heat maps
    labels = recognizer.classifier.labels.names
    marked = None if draw is None else MarkedImages(draw)
    sheet = None
    if report is not None:
        from facial_expressions.pages.contact_sheet import ContactSheet

        # Its heading is the folder's name, if it is one.
        title = Path(images[0]).absolute().name if len(images) == 1 else "Expressions"
        sheet = ContactSheet(title, labels)
    rows = _rows(recognizer, inputs, marked, sheet, explain=explain)
    try:
        counts = _write(_with_progress(rows, len(inputs)), output, labels)
    finally:  # also after Ctrl-C
        if report and sheet:
            write_file(report, sheet.to_html())
    _summarise(counts, draw, report)
    if inputs and all(one.is_missing for one in inputs):
        raise typer.Exit(2)  # a slip in the command, not in the images
    if counts["rejected"] or counts["failed"]:
        raise typer.Exit(1)


def list_inputs(arguments: Iterable[str]) -> list[ImageInput]:
    """Turn files, folders and ``-`` into one entry per image, sorted within folders.

    A folder is walked with all folders inside it; hidden files and folders are left out, and so are
    files of other kinds. Skipped are a file that was named before, and a folder without images.
    """
    seen: set[str] = set()
    entries = []
    for entry in itertools.chain.from_iterable(map(_expand, arguments)):
        key = _STDIN if entry.path is None else str(entry.path.absolute())
        again = key in seen and not entry.skipped
        entries.append(replace(entry, skipped="named before") if again else entry)
        seen.add(key)
    return entries


def _expand(argument: str) -> Iterator[ImageInput]:
    if argument == _STDIN:
        yield ImageInput(_STDIN, None, "stdin")
        return
    from facial_expressions.images import IMAGE_SUFFIXES, walk_folder
    from facial_expressions.plain_text import counted

    path = Path(argument)
    if not os.path.isdir(path):  # noqa: PTH112 - also says no to a name that is too long
        yield ImageInput(argument, path, path.name)
        return
    files = list(walk_folder(path))
    images = sorted(one for one in files if one.suffix.lower() in IMAGE_SUFFIXES)
    for image in images:
        yield ImageInput(str(image), image, str(image.relative_to(path)))
    if not images:
        reason = f"no images in this folder; it holds {counted(len(files), 'other file')}"
        yield ImageInput(argument, path, "", skipped=reason)


def _check_draw(draw: Path, inputs: Sequence[ImageInput], *, overwrite: bool) -> None:
    """Refuse a file for many images, or one that cannot be written, before any work is done."""
    from facial_expressions.images import IMAGE_SUFFIXES
    from facial_expressions.media.marked_images import MARKED_SUFFIXES, is_file_name

    if is_file_name(draw):
        if len(inputs) > 1:
            problem = f"{draw} is one file for {len(inputs):,} images. Name a folder."
            raise typer.BadParameter(problem, param_hint="--draw")
        sources = [one.path for one in inputs if one.path]
        check_output(draw, "--draw", MARKED_SUFFIXES, sources=sources, overwrite=overwrite)
    elif draw.suffix.lower() in IMAGE_SUFFIXES and not draw.exists():
        problem = f"{draw}: marked images are written as {', '.join(MARKED_SUFFIXES)}."
        raise typer.BadParameter(problem, param_hint="--draw")


def _rows(
    recognizer: ExpressionRecognizer,
    inputs: Sequence[ImageInput],
    marked: MarkedImages | None,
    sheet: ContactSheet | None,
    *,
    explain: bool,
) -> Iterator[ImageResult]:
    """Yield one result per input, in order, each as soon as it is there."""
    from facial_expressions.errors import ImageError
    from facial_expressions.image_sources import source_name
    from facial_expressions.images import load_image
    from facial_expressions.results import ImageResult

    sources, again = itertools.tee(one.read() for one in inputs if not one.skipped)
    rows = recognizer.recognize_rows(sources, batch_size=1, explain=explain)
    for one in inputs:
        if one.skipped:
            yield ImageResult(one.name, "skipped", error=one.skipped)
            continue
        row, source, image = next(rows), next(again), None
        if row.status == "ok" and (marked or sheet):
            try:
                image = load_image(source, max_pixels=recognizer.options.max_pixels)
            except ImageError as error:  # it was there a moment ago
                row = ImageResult(one.name, "rejected", error=str(error))
        if marked and image is not None:
            path = marked.save(image, row.faces, row.explanations, name=one.inner)
            row = replace(row, drawn=str(path))
        if sheet:
            sheet.add(one.inner, row, image)
        yield replace(row, source=source_name(one.name))


def _write(
    rows: Iterator[ImageResult], output: OutputFormat, labels: Sequence[str]
) -> Counter[str]:
    """Print the rows as they come; return how many there are of each status, and of faces."""
    from facial_expressions.cli.result_rows import print_row, print_text
    from facial_expressions.rows import IMAGE, csv_header, to_csv, to_json

    write: dict[OutputFormat, Callable[[ImageResult], None]] = {
        "text": print_text,
        "json": lambda row: print_row(to_json(IMAGE, row.to_dict())),
        "csv": lambda row: print_row(to_csv(IMAGE, row.to_dict(), labels)),
    }
    counts: Counter[str] = Counter()
    if output == "csv":
        print_row(csv_header(IMAGE, labels))
    for row in rows:
        counts.update({row.status: 1, "faces": len(row.faces)})
        write[output](row)
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


def _summarise(counts: Counter[str], draw: Path | None, report: Path | None) -> None:
    """Say on stderr what became of many images, and where the marked ones are."""
    from facial_expressions.cli.result_rows import describe_counts

    if counts.total() - counts["faces"] > 1:
        print(describe_counts(counts), file=sys.stderr)
    if draw is not None and counts["ok"]:
        print(f"wrote {draw}", file=sys.stderr)
    if report is not None:
        print(f"wrote {report}", file=sys.stderr)
