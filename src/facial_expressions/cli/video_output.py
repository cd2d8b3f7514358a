"""What the verb ``video`` writes: rows as they come, summaries at the end, and a word on both."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import typer

from facial_expressions.cli.stop_signals import hold_signals

if TYPE_CHECKING:
    from facial_expressions.media.frames import Frame
    from facial_expressions.media.summary import VideoSummary
    from facial_expressions.pages.video_page import VideoPage
    from facial_expressions.results import FrameResult

ROWS: Final = (".jsonl", ".csv", ".parquet", ".mp4")
"""Endings of files that take every frame."""

SUMMARIES: Final = (".json", ".txt", ".png", ".html")
"""Endings of files that are written at the end."""

_LOGGER: Final = logging.getLogger(__name__)


class VideoOutput:
    """The outputs of one video. What goes wrong with one of them costs the others nothing.

    Args:
        files: The files; their endings are checked.
        source: What the summary calls the video.
        labels: Names of the expressions.
        prints_summary: Whether the summary goes to stdout.
        min_track_s: Seconds; tracks that were seen for less are counted, not listed.
        overwrite: Whether files that exist are replaced.

    Attributes:
        status: For the summary: ``ok``, ``truncated`` or ``interrupted``, as it is at first.
        errors: Of each file that could not be written, why.
        is_printing: Whether rows go to stdout, as nothing else was asked for.
    """

    def __init__(
        self,
        files: Sequence[Path],
        source: str,
        labels: Sequence[str],
        *,
        prints_summary: bool,
        min_track_s: float,
        overwrite: bool,
    ) -> None:
        from facial_expressions.media.summary import VideoSummary

        self._files, self._labels = files, labels
        self._prints_summary, self._overwrite = prints_summary, overwrite
        self._collected = VideoSummary(source, min_track_s=min_track_s)
        self._page: VideoPage | None = None
        if self._of_kind((".html",)):
            from facial_expressions.pages.video_page import VideoPage

            self._page = VideoPage(labels)
        self._start_s = time.monotonic()
        self.status = "interrupted"
        self.is_printing = not (files or prints_summary)

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[None]:
        """Open the files that take every frame; at the end of the block write the summaries.

        Rows call the video ``name``. If one file cannot be opened, nothing is left of the others.
        """
        from facial_expressions.media.sinks import Sinks, open_sink

        self._name = name
        opened = {}
        with ExitStack() as stack:
            for file in self._of_kind(ROWS):
                sink = open_sink(file, source=name, labels=self._labels, overwrite=self._overwrite)
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
        if self._sinks.all_failed and not (self._prints_summary or self._of_kind(SUMMARIES)):
            raise typer.Exit(1)

    def _finish(self) -> None:
        """Write the summaries, and say on stderr what there is now."""
        whole = self._collected.finish(status=self.status, errors=tuple(self.errors.values()))
        if not whole.n_frames:
            return
        self._write_summaries(whole)
        if self._prints_summary:
            print(whole.to_text(), end="", flush=True)
        told = [] if self._prints_summary else [whole.headline]
        written = [str(file) for file in self._files if str(file) not in self.errors]
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
            ".png": lambda _: png_of(timeline_chart(whole, self._labels)),
            ".html": lambda file: self._page_html(whole, file),
        }
        for file in self._of_kind(SUMMARIES):
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
        return [file for file in self._files if file.suffix.lower() in endings]
