"""The progress bar of all verbs: on stderr, where that is a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from facial_expressions.cli.streams import terminal_of
from facial_expressions.plain_text import visible

if TYPE_CHECKING:
    from rich.progress import Progress

_SPEED_OVER_S: Final = 600.0
_LOG_EVERY_S: Final = 10.0


class ProgressBar:
    """What is being done, a bar, how much is done and how fast, and the time left.

    Args:
        bar: What draws it.
        title: What is being done, or what is counted.
        is_logged: Whether it is a line every ten seconds instead.
    """

    def __init__(self, bar: Progress, title: str, *, is_logged: bool) -> None:
        self._bar = bar
        bar.add_task(title, total=None, done="")
        (self._task,), self._text = bar.tasks, ""
        self._task.fields["done"] = self
        self._logged_s = time.monotonic() if is_logged else None

    def show(
        self, done: float, total: float | None = None, *, title: str = "", text: str = ""
    ) -> None:
        """Show how far it is.

        Args:
            done: How much is done. The first call with a total may start anywhere: the time left
                follows from what is done after it.
            total: How much there is; None or 0 where nobody knows yet.
            title: What is being done from now on; empty continues with what it was.
            text: How much is done, in words; empty takes the numbers.
        """
        task, title, self._text = self._task, title or self._task.description, text
        self._bar.update(task.id, completed=done, total=total or None, description=title)
        if self._logged_s is not None and time.monotonic() - self._logged_s >= _LOG_EVERY_S:
            self._logged_s = time.monotonic()
            left = task.time_remaining
            self.say(f"{title} {self}" + (f", {timedelta(seconds=left)} left" if left else ""))

    def __str__(self) -> str:
        """Return how much is done and how fast: what is drawn, and asked for no more often."""
        done, total, speed = self._task.completed, self._task.total, self._task.speed
        text = f"{done:,}/{total:,}" if total else f"{done:,}"
        return self._text or text + (f", {speed:,.1f} a second" if speed else "")

    def say(self, line: str) -> None:
        """Write a line above the bar, also where no bar is shown."""
        self._bar.console.print(visible(line), markup=False, highlight=False, soft_wrap=True)


@contextmanager
def progress_bar(
    title: str, *, prints_rows: bool = False, is_logged: bool = False
) -> Iterator[ProgressBar]:
    """Show a bar while the block runs, if stderr is a terminal; it goes at the end of the block.

    Args:
        title: What is being done, or what is counted.
        prints_rows: Whether rows go to stdout meanwhile: no bar where that is a terminal too.
        is_logged: Whether lines are written instead where stderr is not a terminal.

    Examples:
        >>> with progress_bar("images") as bar:
        ...     bar.show(1, 2)
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    is_terminal = sys.stderr.isatty()
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[done]}", markup=False),
        TimeRemainingColumn(),
        console=Console(file=terminal_of(sys.stderr)),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        speed_estimate_period=_SPEED_OVER_S,
        disable=not is_terminal or (prints_rows and sys.stdout.isatty()),
    ) as bar:
        yield ProgressBar(bar, title, is_logged=is_logged and not is_terminal)
