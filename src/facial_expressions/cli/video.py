"""The verb ``video``: faces, their tracks and expressions in a video file or a camera."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from facial_expressions.cli.options import OverwriteOption, check_output, takes_recognizer_options
from facial_expressions.cli.video_output import ROWS, SUMMARIES, VideoOutput
from facial_expressions.errors import CameraError, VideoError
from facial_expressions.inference.options import RecognizerOptions
from facial_expressions.plain_text import shown

if TYPE_CHECKING:
    from facial_expressions.media.frames import Frame, FrameSource
    from facial_expressions.media.schedule import Every


@takes_recognizer_options(without=("crops",))
def command(  # noqa: PLR0913 - one argument per option
    source: Annotated[
        str,
        Argument(
            metavar="SOURCE",
            help="A video; a folder of images or a pattern (shot-%04d.png); webcam, webcam:1, ...; "
            "or an address (rtsp://, http://).",
        ),
    ],
    *,
    out: Annotated[
        list[Path] | None,
        Option(
            metavar="FILE",
            help="Rows (.jsonl, .csv, .parquet), the marked video (.mp4), a summary (.json, "
            ".txt), a timeline (.png) or both as a page (.html); may be given several times. "
            "Without it, rows as JSON Lines on stdout.",
        ),
    ] = None,
    every: Annotated[
        str, Option(metavar="N|auto", help="Detect faces on every Nth frame; auto: in real time.")
    ] = "1",
    full_search: Annotated[
        float,
        Option(
            min=0,
            metavar="SECONDS",
            help="Search the whole frame this often; between, look where the faces were. "
            "0: every frame, slower.",
        ),
    ] = 0.5,
    smooth: Annotated[
        float, Option(min=0, metavar="SECONDS", help="Time constant of smoothing; 0: none.")
    ] = 0.0,
    fps: Annotated[
        float | None,
        Option(min=0.01, max=1000, help="Frames a second of numbered images, raw streams."),
    ] = None,
    reconnect: Annotated[
        bool,
        Option(
            "--reconnect",
            help="Look for a camera or stream again that gives no more images, for 30 s.",
        ),
    ] = False,
    summary: Annotated[
        bool, Option("--summary", help="Print a summary per track instead of rows.")
    ] = False,
    min_track: Annotated[
        float,
        Option(
            min=0,
            metavar="SECONDS",
            help="Tracks seen for less are counted, not listed, in summaries.",
        ),
    ] = 0.3,
    overwrite: OverwriteOption = False,
    options: RecognizerOptions,
) -> None:
    """Find and follow faces in a video, and name their expressions: one row per frame.

    The answer names what people would see in a face, not what the person feels.
    """
    from facial_expressions.media.analysis import (
        FrameAnalyzer,
        analyze_frames,
        frames_ahead,
        load_video_recognizer,
    )
    from facial_expressions.media.sources import is_live, open_source

    files = out or []
    step = _parse_every(every)
    _check_files(files, source, overwrite=overwrite)
    _check_source(source, is_live=is_live(source), reconnect=reconnect, fps=fps)
    ahead = frames_ahead(source, step, threads=options.threads)
    recognizer = load_video_recognizer(options, ahead=ahead)
    labels = recognizer.classifier.labels.names
    output = VideoOutput(
        files, source, labels, prints_summary=summary, min_track_s=min_track, overwrite=overwrite
    )
    with open_source(source, reconnect=reconnect, max_pixels=options.max_pixels, fps=fps) as frames:
        analyzer = FrameAnalyzer(
            recognizer,
            every=step,
            smooth_s=smooth,
            interval_s=frames.frame_interval_s,
            full_search_s=full_search,
        )
        followed = _with_progress(frames, is_printing=output.is_printing)
        with output.open(frames.name):
            for frame, result in analyze_frames(followed, analyzer, ahead=ahead):
                output.write(frame, result)
            output.status = "truncated" if frames.note else "ok"
        if frames.note:
            print(frames.note, file=sys.stderr)
        if frames.note or output.errors:
            raise typer.Exit(1)


def _parse_every(text: str) -> Every:
    if text == "auto":
        return "auto"
    if not (text.isascii() and text.isdigit() and int(text)):
        raise typer.BadParameter(
            f"{text!r} is neither auto nor a whole number of 1 or more.", param_hint="--every"
        )
    return int(text)


def _check_source(source: str, *, is_live: bool, reconnect: bool, fps: float | None) -> None:
    """Refuse what can be no source, as wrong usage."""
    from facial_expressions.media.sources import check_source

    if reconnect and not is_live:
        raise typer.BadParameter("is for a camera or stream only.", param_hint="--reconnect")
    if fps is not None and is_live:
        raise typer.BadParameter("is for images and raw streams only.", param_hint="--fps")
    try:
        check_source(source)
    except (CameraError, VideoError) as error:
        raise typer.BadParameter(f"{error}.") from error


def _check_files(files: Sequence[Path], source: str, *, overwrite: bool) -> None:
    """Refuse what cannot be written before any work is done."""
    for file in files:
        if files.count(file) > 1:
            raise typer.BadParameter(f"{shown(file)}: given twice.", param_hint="--out")
        check_output(
            file, "--out", (*ROWS, *SUMMARIES), sources=[Path(source)], overwrite=overwrite
        )


def _with_progress(frames: FrameSource, *, is_printing: bool) -> Iterator[Frame]:
    """Show a bar on stderr, or a line now and then; none where the rows are on the terminal."""
    from facial_expressions.cli.progress import progress_bar

    with progress_bar("video", prints_rows=is_printing, is_logged=True) as bar:
        for frame in frames:
            yield frame
            text = f"{frame.frame + 1} frames, {frame.time_s:.1f} s"
            bar.show(frame.time_s, frames.duration_s, text=text)
