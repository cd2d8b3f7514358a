"""The verb ``video``: faces, their tracks and expressions in a video file or a camera."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from facial_expressions.cli.options import takes_recognizer_options
from facial_expressions.errors import CameraError
from facial_expressions.inference.options import RecognizerOptions

if TYPE_CHECKING:
    from facial_expressions.media.frames import Frame, FrameSource
    from facial_expressions.media.schedule import Every
    from facial_expressions.media.summary import Summary, VideoSummary
    from facial_expressions.results import FrameResult

__all__ = ["command"]

_ROWS: Final = (".jsonl", ".csv", ".parquet", ".mp4")
_SUMMARIES: Final = (".json", ".txt", ".png", ".html")
_AUTO: Final = "auto"


@takes_recognizer_options()
def command(  # noqa: PLR0913 - one argument per option
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A video file, or webcam, webcam:1, ...")
    ],
    *,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Rows (.jsonl, .csv, .parquet), the marked video (.mp4), a summary (.json, "
            ".txt), a timeline (.png) or both as a page (.html); may be given several times. "
            "Without it, rows as JSON Lines on stdout.",
        ),
    ] = None,
    every: Annotated[
        str,
        typer.Option(metavar="N|auto", help="Detect faces on every Nth frame; auto: in real time."),
    ] = "1",
    full_search: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="Search the whole frame this often; between, look where the faces were. "
            "0: every frame, slower.",
        ),
    ] = 0.5,
    smooth: Annotated[
        float,
        typer.Option(min=0, metavar="SECONDS", help="Time constant of smoothing; 0: none."),
    ] = 0.0,
    reconnect: Annotated[
        bool,
        typer.Option(
            "--reconnect", help="Look for a camera again that gives no more images, for 30 s."
        ),
    ] = False,
    summary: Annotated[
        bool, typer.Option("--summary", help="Print a summary per track instead of rows.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that exist.")
    ] = False,
    options: RecognizerOptions,
) -> None:
    """Find and follow faces in a video, and name their expressions: one row per frame.

    The answer names what people would see in a face, not what the person feels.
    """
    from facial_expressions.media.analysis import (
        FrameAnalyzer,
        analyze_frames,
        frames_ahead,
        is_camera,
        load_video_recognizer,
        open_source,
    )
    from facial_expressions.media.summary import VideoSummary

    files = out or []
    step = _parse_every(every)
    _check_files(files, source, overwrite=overwrite)
    _check_source(source, is_camera=is_camera(source), reconnect=reconnect)
    ahead = frames_ahead(source, step, threads=options.threads)
    recognizer = load_video_recognizer(options, ahead=ahead)
    collected, status = VideoSummary(source), "interrupted"
    labels = recognizer.classifier.labels.names
    with open_source(source, reconnect=reconnect, max_pixels=options.max_pixels) as frames:
        try:
            is_printing = not (files or summary)
            shown = _with_progress(frames, is_printing)
            analyzer = FrameAnalyzer(
                recognizer,
                every=step,
                smooth_s=smooth,
                interval_s=frames.frame_interval_s,
                full_search_s=full_search,
            )
            results = analyze_frames(shown, analyzer, ahead=ahead)
            _write(results, files, collected, frames.name, labels, is_printing=is_printing)
            status = "truncated" if frames.note else "ok"
        finally:
            whole = collected.finish(status=status)
            _write_summaries(whole, files, labels)
            if summary:
                print(whole.to_text(), end="", flush=True)
        if frames.note:
            print(frames.note, file=sys.stderr)
            raise typer.Exit(1)


def _parse_every(text: str) -> Every:
    if text == _AUTO:
        return "auto"
    if not (text.isascii() and text.isdigit() and int(text)):
        raise typer.BadParameter(
            f"{text!r} is neither auto nor a whole number of 1 or more.", param_hint="--every"
        )
    return int(text)


def _check_source(source: str, *, is_camera: bool, reconnect: bool) -> None:
    """Refuse what can be no source, as wrong usage."""
    from facial_expressions.media.camera import camera_position

    if reconnect and not is_camera:
        raise typer.BadParameter("is for a camera only.", param_hint="--reconnect")

    if is_camera:
        try:
            camera_position(source.partition(":")[2])
        except CameraError as error:
            raise typer.BadParameter(f"{error}.") from error
    elif "://" not in source and not os.path.lexists(source):
        raise typer.BadParameter(f"no such video; received {source}; check the path.")


def _check_files(files: Sequence[Path], source: str, *, overwrite: bool) -> None:
    """Refuse what cannot be written before any work is done."""
    for file in files:
        problem = ""
        if file.suffix.lower() not in (*_ROWS, *_SUMMARIES):
            problem = f"ends in none of {', '.join((*_ROWS, *_SUMMARIES))}"
        elif files.count(file) > 1:
            problem = "is given twice"
        elif not file.parent.is_dir():
            problem = "lies in a folder that does not exist; make the folder first"
        elif file.exists() and Path(source).exists() and file.samefile(source):
            problem = "is the source itself"
        elif file.exists() and not overwrite:
            problem = "exists; add --overwrite to replace it"
        if problem:
            raise typer.BadParameter(f"{file} {problem}.", param_hint="--out")


def _write(
    results: Iterator[tuple[Frame, FrameResult]],
    files: Sequence[Path],
    collected: VideoSummary,
    source: str,
    labels: Sequence[str],
    *,
    is_printing: bool,
) -> None:
    """Hand every frame to every sink as it comes; closes the sinks whatever happens."""
    from facial_expressions.cli.result_rows import print_row
    from facial_expressions.media.sinks import open_sink
    from facial_expressions.rows import FRAME, to_json

    with ExitStack() as stack:
        sinks = [
            stack.enter_context(open_sink(file, source=source, labels=labels, overwrite=True))
            for file in files
            if file.suffix.lower() in _ROWS
        ]
        for frame, result in results:
            collected.add(result)
            for sink in sinks:
                sink.write(frame, result)
            if is_printing:
                print_row(to_json(FRAME, result.to_dict(source)))


def _with_progress(frames: FrameSource, is_printing: bool) -> Iterator[Frame]:
    """Show a bar on stderr, unless the rows themselves are on the terminal."""
    from facial_expressions.cli.progress import progress_bar

    with progress_bar("video", prints_rows=is_printing) as bar:
        for frame in frames:
            yield frame
            text = f"{frame.index + 1} frames, {frame.time_s:.1f} s"
            bar.show(frame.time_s, frames.duration_s, text=text)


def _write_summaries(whole: Summary, files: Sequence[Path], labels: Sequence[str]) -> None:
    from facial_expressions.files import write_file
    from facial_expressions.pages.drawing import png_of
    from facial_expressions.pages.video_page import timeline_chart, video_page

    make: dict[str, Callable[[], str | bytes]] = {
        ".json": whole.to_json,
        ".txt": whole.to_text,
        ".png": lambda: png_of(timeline_chart(whole, labels)),
        ".html": lambda: video_page(whole, labels),
    }
    for file in files:
        if file.suffix.lower() in _SUMMARIES:
            write_file(file, make[file.suffix.lower()]())
