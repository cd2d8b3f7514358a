"""The verb ``video``: faces, their tracks and expressions in a video file or a camera."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import quote

import typer
from typer import Argument, Option

from facial_expressions.cli.options import OverwriteOption, check_output, takes_recognizer_options
from facial_expressions.cli.stop_signals import hold_signals
from facial_expressions.errors import CameraError, VideoError
from facial_expressions.inference.options import RecognizerOptions
from facial_expressions.plain_text import shown

if TYPE_CHECKING:
    from facial_expressions.media.frames import Frame, FrameSource
    from facial_expressions.media.schedule import Every
    from facial_expressions.media.summary import VideoSummary
    from facial_expressions.pages.video_page import VideoPage
    from facial_expressions.results import FrameResult

_ROWS: Final = (".jsonl", ".csv", ".parquet", ".mp4")
"""Endings of files that take every frame."""

_SUMMARIES: Final = (".json", ".txt", ".png", ".html")
"""Endings of files that are written at the end."""

_LOGGER: Final = logging.getLogger(__name__)


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
    output = _VideoOutput(
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
            file, "--out", (*_ROWS, *_SUMMARIES), sources=[Path(source)], overwrite=overwrite
        )


def _with_progress(frames: FrameSource, *, is_printing: bool) -> Iterator[Frame]:
    """Show a bar on stderr, or a line now and then; none where the rows are on the terminal."""
    from facial_expressions.cli.progress import progress_bar

    with progress_bar("video", prints_rows=is_printing, is_logged=True) as bar:
        for frame in frames:
            yield frame
            text = f"{frame.frame + 1} frames, {frame.time_s:.1f} s"
            bar.show(frame.time_s, frames.duration_s, text=text)


@dataclass
class _VideoOutput:
    """The outputs of one video. What goes wrong with one of them costs the others nothing.

    ``status`` is that of the summary; ``errors`` say why files could not be written; rows go to
    stdout, ``is_printing``, where nothing else was asked for.
    """

    files: Sequence[Path]
    source: str
    labels: Sequence[str]
    prints_summary: bool
    min_track_s: float
    overwrite: bool
    status: str = "interrupted"

    def __post_init__(self) -> None:
        from facial_expressions.media.summary import VideoSummary

        self._collected = VideoSummary(self.source, min_track_s=self.min_track_s)
        self._page: VideoPage | None = None
        if self._of_kind((".html",)):
            from facial_expressions.pages.video_page import VideoPage

            self._page = VideoPage(self.labels)
        self._start_s = time.monotonic()
        self.is_printing = not (self.files or self.prints_summary)

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[None]:
        """Open the files that take every frame; at the end of the block write the summaries.

        Rows call the video ``name``. If one file cannot be opened, nothing is left of the others.
        """
        from facial_expressions.media.sinks import Sinks, open_sink

        self._name = name
        opened = {}
        with contextlib.ExitStack() as stack:
            for file in self._of_kind(_ROWS):
                sink = open_sink(file, source=name, labels=self.labels, overwrite=self.overwrite)
                opened[str(file)] = stack.push(sink)
            stack.pop_all()
        self._sinks = Sinks(opened)
        self.errors = self._sinks.errors
        try:
            with self._sinks:
                yield
        finally:
            self._finish()

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Take a frame and what was found in it: every file has both, or none.

        Raises:
            typer.Exit: The last file that was asked for has failed.
        """
        from facial_expressions.cli.result_rows import print_row
        from facial_expressions.rows import FRAME, to_json

        with hold_signals():
            self._collected.add(result)
            if self._page:
                self._page.add(frame, result)
            self._sinks.write(frame, result)
        if self.is_printing:
            print_row(to_json(FRAME, result.to_dict(self._name)))
        if self._sinks.all_failed and not (self.prints_summary or self._of_kind(_SUMMARIES)):
            raise typer.Exit(1)

    def _finish(self) -> None:
        """Write the summaries, and say on stderr what there is now."""
        whole = self._collected.finish(status=self.status, errors=tuple(self.errors.values()))
        if not whole.n_frames:
            return
        self._write_summaries(whole)
        if self.prints_summary:
            print(whole.to_text(), end="", flush=True)
        told = [] if self.prints_summary else [whole.headline]
        written = [str(file) for file in self.files if str(file) not in self.errors]
        if written:
            seconds = time.monotonic() - self._start_s
            told.append(f"wrote {', '.join(written)} in {seconds:.1f} s")
        if told:
            print("; ".join(told), file=sys.stderr)

    def _write_summaries(self, whole: VideoSummary) -> None:
        from facial_expressions.files import output_error, write_file
        from facial_expressions.pages.drawing import png_of
        from facial_expressions.pages.video_page import timeline_chart

        make: dict[str, Callable[[Path], str | bytes]] = {
            ".json": lambda _: whole.to_json(),
            ".txt": lambda _: whole.to_text(),
            ".png": lambda _: png_of(timeline_chart(whole, self.labels)),
            ".html": lambda file: self._page_html(whole, file),
        }
        for file in self._of_kind(_SUMMARIES):
            try:
                write_file(file, make[file.suffix.lower()](file))
            except Exception as error:  # noqa: BLE001 - whatever it is, the other files are written
                self.errors[str(file)] = output_error(str(file), error)
                _LOGGER.error("%s", self.errors[str(file)])  # noqa: TRY400 - one line for people

    def _page_html(self, whole: VideoSummary, file: Path) -> str:
        """Return the page, with the marked video beside it as its player."""
        marked = [one for one in self._of_kind((".mp4",)) if str(one) not in self.errors]
        beside = [os.fsencode(os.path.relpath(one, file.parent)) for one in marked[:1]]
        player = "".join(quote(one.replace(os.fsencode(os.sep), b"/")) for one in beside)
        return self._page.to_html(whole, player=player) if self._page else ""

    def _of_kind(self, endings: Sequence[str]) -> list[Path]:
        return [file for file in self.files if file.suffix.lower() in endings]
